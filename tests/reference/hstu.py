"""HSTU by its equations, in float64 and plain loops."""

import math

import numpy as np


def silu(x):
    return x / (1.0 + math.exp(-x)) if x > -700 else 0.0


def bucket(one, other):
    """Which of 129 buckets of growing width a difference of two times is in."""
    return min(math.floor(math.log(max(1, abs(int(one) - int(other)))) / 0.301), 128)


def rab(i, j, prefix, window, by_distance, by_time, times, query_times):
    """The bias of query i and key j, None where the query does not see the key."""
    if j < prefix:
        return 0.0
    if i < prefix or j > i or (window is not None and i - j >= window):
        return None
    bias = by_distance[i - j]
    if times is not None:
        bias += by_time[bucket(query_times[i], times[j])]
    return bias


def norm(x):
    return (x - x.mean()) / math.sqrt(((x - x.mean()) ** 2).mean() + 1e-6)


def hstu_block(
    x, weights, heads, n, prefix=0, window=None, times=None, query_times=None,
):
    """The layer on the real elements (S, D) of one row."""
    inner = weights["output_kernel"].shape[0]
    size = inner // heads
    maps = [[silu(float(one)) for one in norm(row) @ weights["input_kernel"]] for row in x]
    maps = np.array(maps).reshape(len(x), 4 * inner)
    gate, value, query, key = (maps[:, k * inner : (k + 1) * inner] for k in range(4))
    result = np.zeros_like(x)
    for i in range(len(x)):
        attended = np.zeros(inner)
        for h in range(heads):
            own = slice(h * size, (h + 1) * size)
            for j in range(len(x)):
                bias = rab(i, j, prefix, window, weights["bias/by_distance"],
                           weights.get("bias/by_time"), times, query_times)
                if bias is not None:
                    score = float(query[i, own] @ key[j, own]) + bias
                    attended[own] += silu(score) / n * value[j, own]
        passed = norm(attended) * gate[i]
        result[i] = x[i] + passed @ weights["output_kernel"] + weights["output_bias"]
    return result
