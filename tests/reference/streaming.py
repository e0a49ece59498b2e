"""Streaming frequencies and a queue of vectors by their equations, in plain loops."""

import math
from collections import Counter


class Frequency:
    """Algorithm 2 of Yi et al. and the count where an item is, each starting at its first value.

    `functions` are hashes.
    """

    def __init__(self, alpha, functions):
        self.alpha, self.functions, self.step = alpha, functions, 0
        self.last, self.gap, self.count = ([{} for _ in functions] for _ in range(3))

    def see(self, batch):
        self.step += 1
        for number, function in enumerate(self.functions):
            for bucket, times in Counter(function(item) for item in batch if item).items():
                since = self.step - self.last[number].get(bucket, 0)
                for known, new in ((self.gap[number], since), (self.count[number], times)):
                    old = known.get(bucket, new)
                    known[bucket] = old + self.alpha * (new - old)
                self.last[number][bucket] = self.step

    def log_count(self, item):
        expected = [
            counts.get(function(item), 1) / max(gaps.get(function(item), self.step), 1)
            for function, gaps, counts in zip(self.functions, self.gap, self.count, strict=True)
        ]
        return math.log(min(expected))


class Queue:
    def __init__(self, size, width):
        self.entries = [(0, [0.0] * width)] * size

    def put(self, ids, vectors):
        new = [(int(i), list(map(float, v))) for i, v in zip(ids, vectors, strict=True) if i]
        self.entries = (new + self.entries)[: len(self.entries)]
