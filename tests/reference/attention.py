"""NumPy twins of self-attention layers, in float64, from the equations with plain loops."""

import math

import numpy as np


def interacting(fields, query, key, value, residual=None, *, program=False):
    """AutoInt's layer: (weights (B, H, F, F), output (B, F, H·d)).

    Args:
        fields: (B, F, D).
        query: (H, D, d).
        key: (H, D, d).
        value: (H, D, d).
        residual: (D, H·d), or None.
        program: whether in its authors' form: a ReLU on each projection, scores over √d.
    """
    rows, count, _ = fields.shape

    def projected(row, kernel):
        found = row @ kernel
        return np.where(found > 0, found, 0) if program else found

    heads, _, size = query.shape
    weights = np.zeros((rows, heads, count, count))
    out = np.zeros((rows, count, heads * size))
    for b in range(rows):
        for m in range(count):
            for h in range(heads):
                q = projected(fields[b, m], query[h]) / (math.sqrt(size) if program else 1)
                scores = [sum(q * projected(fields[b, k], key[h])) for k in range(count)]
                top = max(scores)
                total = sum(math.exp(s - top) for s in scores)
                for k in range(count):
                    share = math.exp(scores[k] - top) / total
                    weights[b, h, m, k] = share
                    out[b, m, h * size : (h + 1) * size] += share * projected(
                        fields[b, k], value[h]
                    )
            if residual is not None:
                out[b, m] += projected(fields[b, m], residual)
            out[b, m] = [max(x, 0.0) for x in out[b, m]]
    return weights, out
