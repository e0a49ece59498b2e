"""Streaming frequencies and a queue of vectors by their equations, in plain loops."""

import math


class Frequency:
    """Algorithm 2 of Yi et al. with the first gap as an item's start; `functions` are hashes."""

    def __init__(self, alpha, functions):
        self.alpha, self.functions, self.step = alpha, functions, 0
        self.last, self.gap = [{} for _ in functions], [{} for _ in functions]

    def see(self, batch):
        self.step += 1
        for number, function in enumerate(self.functions):
            for bucket in {function(item) for item in batch if item}:
                since = self.step - self.last[number].get(bucket, 0)
                if bucket in self.gap[number]:
                    old = self.gap[number][bucket]
                    since = (1 - self.alpha) * old + self.alpha * since
                self.gap[number][bucket] = since
                self.last[number][bucket] = self.step

    def log_probability(self, item):
        gaps = [
            gaps.get(function(item), self.step)
            for function, gaps in zip(self.functions, self.gap, strict=True)
        ]
        return -math.log(max(*gaps, 1))


class Queue:
    def __init__(self, size, width):
        self.entries = [(0, [0.0] * width)] * size

    def put(self, ids, vectors):
        new = [(int(i), list(map(float, v))) for i, v in zip(ids, vectors, strict=True)]
        self.entries = (new + self.entries)[: len(self.entries)]
