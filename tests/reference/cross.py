"""NumPy twins of the cross layers, in float64, from the equations with plain loops."""

import math

import numpy as np

from tests.reference.core import sigmoid


def affine(matrix, vector, bias):
    """W x + b of one row, W indexed [output][input]."""
    return [
        sum(matrix[i][j] * vector[j] for j in range(len(vector))) + bias[i]
        for i in range(len(matrix))
    ]


def softmax(scores):
    top = max(scores)
    powers = [math.exp(score - top) for score in scores]
    return [power / sum(powers) for power in powers]


def vector_cross(x0, x, w, b):
    """x0 (xᵀ w) + b + x; (B, n)."""
    out = np.zeros(x.shape)
    for r in range(x.shape[0]):
        product = sum(x[r, j] * w[j] for j in range(x.shape[1]))
        for i in range(x.shape[1]):
            out[r, i] = x0[r, i] * product + b[i] + x[r, i]
    return out


def matrix_cross(x0, x, matrix, b):
    """x0 ∘ (W x + b) + x, W indexed [output][input]; (B, n)."""
    out = np.zeros(x.shape)
    for r in range(x.shape[0]):
        inner = affine(matrix, x[r], b)
        for i in range(x.shape[1]):
            out[r, i] = x0[r, i] * inner[i] + x[r, i]
    return out


def expert_gates(x, gate, activation):
    """(B, E); the gate's rows are the experts."""
    out = np.zeros((x.shape[0], len(gate)))
    for r in range(x.shape[0]):
        logits = affine(gate, x[r], [0.0] * len(gate))
        out[r] = softmax(logits) if activation == "softmax" else [sigmoid(v) for v in logits]
    return out


def mixture_cross(x0, x, experts, b, gates):
    """Σ_k G_k x0 ∘ (U_k tanh(C_k tanh(V_kᵀ x)) + b) + x.

    An expert is (Vᵀ, C, U), each indexed [output][input]; the gates are (B, E).
    """
    rows, width = x.shape
    out = np.array(x, "float64")
    for r in range(rows):
        for k, (down, middle, up) in enumerate(experts):
            hidden = [math.tanh(v) for v in affine(down, x[r], [0.0] * len(down))]
            hidden = [math.tanh(v) for v in affine(middle, hidden, [0.0] * len(middle))]
            expert = affine(up, hidden, b)
            for i in range(width):
                out[r, i] += gates[r, k] * x0[r, i] * expert[i]
    return out


def information_gates(x, gate):
    """σ(W_g x), W_g indexed [output][input]; (B, n)."""
    return np.array([[sigmoid(v) for v in affine(gate, row, [0.0] * len(gate))] for row in x])


def gated_cross(x0, x, matrix, b, gate):
    """x0 ∘ (W x + b) ∘ σ(W_g x) + x; (B, n)."""
    gates = information_gates(x, gate)
    out = np.zeros(x.shape)
    for r in range(x.shape[0]):
        inner = affine(matrix, x[r], b)
        for i in range(x.shape[1]):
            out[r, i] = x0[r, i] * inner[i] * gates[r, i] + x[r, i]
    return out


def regulation_gates(logits, temperature, scale):
    """Softmax over all the logits (F, d) there are, times their number where scaled; (F, d)."""
    flat = softmax([value / temperature for row in logits for value in row])
    factor = len(flat) if scale else 1
    depth = len(logits[0])
    return np.array(
        [[flat[f * depth + d] * factor for d in range(depth)] for f in range(len(logits))]
    )


def regulate(x, gates, fields):
    """Every element times its field's gate, or its own; (B, F·D)."""
    depth = x.shape[1] // fields
    out = np.zeros(x.shape)
    for r in range(x.shape[0]):
        for f in range(fields):
            for d in range(depth):
                gate = gates[f][d] if len(gates[f]) > 1 else gates[f][0]
                out[r, f * depth + d] = gate * x[r, f * depth + d]
    return out


def relu(values):
    return [value if value > 0 else 0.0 for value in values]


def concatenation_bridge(x, h, matrix, b):
    """ReLU(W [x; h] + b); (B, n)."""
    return np.array(
        [relu(affine(matrix, [*x[r], *h[r]], b)) for r in range(x.shape[0])]
    )


def bridge_weights(x, h, cross_net, deep_net):
    """Softmax over the scores pᵀ ReLU(W v + b) of both branches; a net is (W, b, p); (B, 2)."""
    out = np.zeros((x.shape[0], 2))
    for r in range(x.shape[0]):
        scores = []
        for row, (matrix, b, p) in ((x[r], cross_net), (h[r], deep_net)):
            hidden = relu(affine(matrix, row, b))
            scores.append(sum(p[k] * hidden[k] for k in range(len(hidden))))
        out[r] = softmax(scores)
    return out
