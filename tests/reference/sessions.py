"""NumPy twins of session models and their layers, in float64, from the equations with loops."""

import math

import numpy as np

from tests.reference.behavior import gru
from tests.reference.core import sigmoid
from tests.reference.transformer import layer_norm, transformer_block


def gru_states(vectors, w, cell):
    """The states of one session (T, D) → (T, n); weights by path below `cell`."""
    parts = [np.split(w[f"{cell}/{name}"], 3, axis=-1)
             for name in ("kernel", "recurrent_kernel", "bias")]  # fmt: skip
    weights = dict(zip("urc", zip(*parts, strict=True), strict=True))
    return gru(vectors[None], np.ones((1, len(vectors))), weights)[0]


def additive_weights(query, sequence, mask, w, normalize):
    """a_t = vᵀ sigmoid(A1 q + A2 x_t + b): (B, T), padding 0.

    Args:
        query: (B, C).
        sequence: (B, T, D).
        mask: (B, T).
        w: "query_kernel", "step_kernel", "score_kernel" and maybe "bias".
        normalize: softmax over the real steps.
    """
    rows, steps, _ = sequence.shape
    weights = np.zeros((rows, steps))
    for b in range(rows):
        real = [t for t in range(steps) if mask[b][t]]
        for t in real:
            inner = query[b] @ w["query_kernel"] + sequence[b, t] @ w["step_kernel"]
            inner = inner + w.get("bias", 0.0)
            weights[b, t] = sum(
                v * sigmoid(value) for v, value in zip(w["score_kernel"][:, 0], inner, strict=True)
            )
        if normalize and real:
            powers = {t: math.exp(weights[b, t]) for t in real}
            for t in real:
                weights[b, t] = powers[t] / sum(powers.values())
    return weights


def additive_pooling(query, sequence, mask, w, normalize):
    """Σ_t a_t x_t: (B, D)."""
    weights = additive_weights(query, sequence, mask, w, normalize)
    out = np.zeros((len(sequence), sequence.shape[-1]))
    for b, row in enumerate(weights):
        for t, weight in enumerate(row):
            out[b] += weight * sequence[b, t]
    return out


def below(w, prefix):
    """The weights whose path begins with a layer's, by the rest of the path."""
    return {path[len(prefix) + 1 :]: v for path, v in w.items() if path.startswith(f"{prefix}/")}


def narm(vectors, w, normalize):
    """The user vector of one session (T, D)."""
    states = gru_states(vectors, w, "gru/rnn/cell")
    purpose = additive_pooling(
        states[-1:], states[None], np.ones((1, len(states))), below(w, "attention"), normalize
    )[0]
    return np.concatenate([states[-1], purpose]) @ w["bilinear/kernel"]


def stamp(vectors, w, add_mean):
    """The user vector of one session (T, D)."""
    mean, last = sum(vectors) / len(vectors), vectors[-1]
    general = additive_pooling(
        np.concatenate([mean, last])[None], vectors[None], np.ones((1, len(vectors))),
        below(w, "attention"), False,
    )[0]
    if add_mean:
        general = general + mean
    towers = [
        np.tanh(vector @ w[f"{part}_tower/kernel"] + w[f"{part}_tower/bias"])
        for part, vector in (("general", general), ("last", last))
    ]
    return towers[0] * towers[1]


def gelu(x):
    return x * (1.0 + math.erf(x / math.sqrt(2.0))) / 2.0


def bert4rec(vectors, hidden, w, layers, heads):
    """Queries (N, d + 1) of one sequence (N, d) some of whose steps are [MASK]."""
    steps = np.array([
        w["mask_token/token"] if gone else vector
        for vector, gone in zip(vectors, hidden, strict=True)
    ])
    states = layer_norm(
        steps + w["positions/positions"][: len(steps)], w["embedding_norm/gamma"],
        w["embedding_norm/beta"],
    )
    for i in range(layers):
        states = transformer_block(
            states[None], np.ones((1, len(states)), bool), below(w, f"block_{i}"), heads, gelu
        )[0]
    inner = states @ w["output/kernel"] + w["output/bias"]
    return np.array([[*(gelu(value) for value in row), 1.0] for row in inner])
