"""NumPy twins of HLLM's parts, in float64: a decoder over vectors, the item's state, the losses."""

import math

import numpy as np

from tests.reference.recall import causal_block, layer_norm


def causal_decoder(x, length, w, layers, heads):
    """States (length, d) of one sequence (T, d), left-aligned; weights by path."""
    steps = np.array([
        [math.sqrt(x.shape[1]) * x[t, j] + w["positions"][t, j] for j in range(x.shape[1])]
        for t in range(length)
    ]).reshape(length, x.shape[1])  # fmt: skip
    for layer in range(layers):
        name = f"block_{layer}/"
        own = {path.removeprefix(name): v for path, v in w.items() if path.startswith(name)}
        steps = causal_block(steps, length, own, heads, False)
    return layer_norm(steps, w["norm/gamma"], w["norm/beta"], 1e-8)


def with_item(words, item):
    """The vectors (n, d) of a text's real tokens, and [ITEM] behind the last of them."""
    return np.array([*words, item])


def info_nce(query, positive, negatives, scale, same=None):
    """-log of the positive's share, by cosines; negatives that are the positive's twins left out.

    Args:
        query: (D,).
        positive: (D,).
        negatives: list of (D,).
        scale: factor of the cosines.
        same: cosine with the positive above which a negative does not count.
    """
    def cosine(a, b):
        return sum(x * y for x, y in zip(a, b, strict=True)) / math.sqrt(
            sum(x * x for x in a) * sum(y * y for y in b)
        )

    own = math.exp(scale * cosine(query, positive))
    others = [
        math.exp(scale * cosine(query, one)) for one in negatives
        if same is None or cosine(positive, one) <= same
    ]
    return -math.log(own / (own + sum(others)))
