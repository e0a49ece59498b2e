"""NumPy twins of the layers of DIN and DIEN, in float64, from the equations with plain loops."""

import math

import numpy as np

from tests.reference.core import ACTIVATIONS, dense, dice, masked_softmax, sigmoid


def local_activation_unit(target, behaviors, mask, *, first, hidden, score, activation, normalize):
    """w_t = MLP([q, k_t, q - k_t, q∘k_t]); (B, T).

    Args:
        target: (B, D).
        behaviors: (B, T, D).
        mask: (B, T).
        first: (kernel (4 D, n), bias (n,), statistics).
        hidden: list of such, one a further layer.
        score: (kernel, bias or None).
        activation: "dice" or a name in ACTIVATIONS.
        normalize: softmax of the scores over sqrt(D).

    Statistics are (alpha, mean, variance) for "dice" and None otherwise.
    """
    rows, steps, width = behaviors.shape
    scores = np.zeros((rows, steps))
    for b in range(rows):
        for t in range(steps):
            q, k = target[b], behaviors[b, t]
            x = [*q, *k, *(q[d] - k[d] for d in range(width)), *(q[d] * k[d] for d in range(width))]
            x = np.array([x])
            for kernel, bias, statistics in (first, *hidden):
                x = dense(x, kernel, bias)
                if activation == "dice":
                    x = dice(x, *statistics)
                else:
                    x = np.array([[ACTIVATIONS[activation](value) for value in x[0]]])
            scores[b, t] = dense(x, *score)[0, 0]
    if normalize:
        return masked_softmax(scores / math.sqrt(width), mask)
    return np.array([[s if m else 0.0 for s, m in zip(*row, strict=True)]
                     for row in zip(scores, mask, strict=True)])  # fmt: skip


def weighted_sum(weights, sequence):
    """Σ_t w_t e_t; (B, D)."""
    out = np.zeros((sequence.shape[0], sequence.shape[2]))
    for b in range(sequence.shape[0]):
        for t in range(sequence.shape[1]):
            for d in range(sequence.shape[2]):
                out[b, d] += weights[b, t] * sequence[b, t, d]
    return out


def bilinear_attention(target, states, mask, kernel):
    """softmax_t of e W h_t; (B, T)."""
    scores = np.zeros(states.shape[:2])
    for b in range(states.shape[0]):
        for t in range(states.shape[1]):
            scores[b, t] = sum(
                target[b, i] * kernel[i, j] * states[b, t, j]
                for i in range(kernel.shape[0]) for j in range(kernel.shape[1])
            )
    return masked_softmax(scores, mask)


def gru(sequence, mask, weights, *, kind="GRU", attention=None, update_gate="paper"):
    """All states (B, T, n) of GRU, AGRU or AUGRU.

    Args:
        sequence: (B, T, D).
        mask: (B, T); a step that is not real keeps the state.
        weights: dict from "u", "r", "c" to (W (D, n), U (n, n), b (n,)); AGRU has no "u".
        kind: "GRU", "AGRU" or "AUGRU".
        attention: (B, T).
        update_gate: "paper" scales u by a, "released" scales the keep gate 1 - u by 1 - a.
    """
    rows, steps, _ = sequence.shape
    units = len(weights["c"][2])

    def part(gate, i, x, h):
        w, u, b = weights[gate]
        from_input = sum(x[k] * w[k, i] for k in range(len(x))) + b[i]
        return from_input, sum(h[k] * u[k, i] for k in range(units))

    out = np.zeros((rows, steps, units))
    for b in range(rows):
        h = [0.0] * units
        for t in range(steps):
            if mask[b][t]:
                new = []
                for i in range(units):
                    reset = sigmoid(sum(part("r", i, sequence[b, t], h)))
                    from_input, from_state = part("c", i, sequence[b, t], h)
                    candidate = math.tanh(from_input + reset * from_state)
                    if kind != "AGRU":
                        u = sigmoid(sum(part("u", i, sequence[b, t], h)))
                    if kind == "AGRU":
                        u = attention[b][t]
                    elif kind == "AUGRU" and update_gate == "paper":
                        u = attention[b][t] * u
                    elif kind == "AUGRU":
                        keep = (1 - attention[b][t]) * (1 - u)
                        u = 1 - keep
                    new.append((1 - u) * h[i] + u * candidate)
                h = new
            out[b, t] = h
    return out


def next_behavior_loss(states, behaviors, negatives, mask, score, negatives_mask=None):
    """-mean over real t ≥ 1 of log s(h_{t-1}, e_t) + mean_k log(1 - s(h_{t-1}, ê_tk)).

    The inner mean is over the negatives that are there; steps without one do not count.

    Args:
        states: (B, T, n).
        behaviors: (B, T, D).
        negatives: (B, T, K, D).
        mask: (B, T).
        score: function of a state and a vector to a logit.
        negatives_mask: (B, T, K); all when None.
    """
    if negatives_mask is None:
        negatives_mask = np.ones(negatives.shape[:3], bool)
    total, count = 0.0, 0
    for b in range(states.shape[0]):
        for t in range(1, states.shape[1]):
            if not mask[b][t] or not any(negatives_mask[b][t]):
                continue
            h = states[b, t - 1]
            term = math.log(sigmoid(score(h, behaviors[b, t])))
            there = negatives[b, t][negatives_mask[b][t]]
            wrong = [math.log(1 - sigmoid(score(h, e))) for e in there]
            total -= term + sum(wrong) / len(wrong)
            count += 1
    return total / count if count else 0.0


def inner(state, vector):
    return sum(a * b for a, b in zip(state, vector, strict=True))
