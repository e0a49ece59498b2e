"""Multi-task models and loss balancing by the papers' equations, float64, plain loops."""

import math

import numpy as np

from tests.reference.core import mlp


def softmax(scores):
    top = max(scores)
    parts = [math.exp(s - top) for s in scores]
    return [part / sum(parts) for part in parts]


def expert_gate(selector, experts, matrix, activation="softmax"):
    """(B, n) and E of (B, D) → gates (B, E) and their mixture (B, D)."""
    gates, mixed = [], []
    for b, row in enumerate(selector):
        scores = [sum(row[i] * matrix[i][e] for i in range(len(row))) for e in range(len(experts))]
        if activation == "softmax":
            own = softmax(scores)
        else:
            own = [1 / (1 + math.exp(-s)) for s in scores]
        gates.append(own)
        mixed.append(sum(g * expert[b] for g, expert in zip(own, experts, strict=True)))
    return np.array(gates), np.array(mixed)


def information_transfer(transferred, own, h1, h2, h3):
    """AITM, equations 3 to 5; h are (d, d)."""
    out, weights = [], []
    for p, q in zip(transferred, own, strict=True):
        scores = [float((u @ h2) @ (u @ h3)) / math.sqrt(len(p)) for u in (p, q)]
        w = softmax(scores)
        weights.append(w)
        out.append(w[0] * (p @ h1) + w[1] * (q @ h1))
    return np.array(out), np.array(weights)


def tower(weights, name, x):
    """An MLP with ReLU whose weights are given by path."""
    layers = []
    while f"{name}/dense_{len(layers)}/kernel" in weights:
        at = f"{name}/dense_{len(layers)}"
        layers.append((weights[f"{at}/kernel"], weights[f"{at}/bias"], None))
    return mlp(x.copy(), layers, "relu")


def pcgrad(gradients, orders):
    """Algorithm 1 on whole gradients; `orders` holds the others of each task in their order."""
    total = np.zeros_like(gradients[0])
    for i, gradient in enumerate(gradients):
        own = gradient.copy()
        for j in orders[i]:
            inner = float(own @ gradients[j])
            if inner < 0:
                own = own - inner / float(gradients[j] @ gradients[j]) * gradients[j]
        total += own
    return total


def grad_norm_gradient(weights, norms, losses, first, alpha):
    """d/dw of sum |w_k g_k - target_k| by finite differences, the targets held."""
    ratios = [loss / start for loss, start in zip(losses, first, strict=True)]
    rates = [ratio / (sum(ratios) / len(ratios)) for ratio in ratios]
    mean = sum(w * g for w, g in zip(weights, norms, strict=True)) / len(weights)
    targets = [mean * rate**alpha for rate in rates]

    def distance(w):
        return sum(abs(a * g - t) for a, g, t in zip(w, norms, targets, strict=True))

    step, out = 1e-6, []
    for k in range(len(weights)):
        up, down = list(weights), list(weights)
        up[k] += step
        down[k] -= step
        out.append((distance(up) - distance(down)) / (2 * step))
    return np.array(out)


def first_adam_step(weights, gradient, learning_rate):
    """Adam from rest moves each weight by the rate against the gradient's sign; then sum K."""
    moved = [max(w - learning_rate * g / (abs(g) + 1e-8), 0.0)
             for w, g in zip(weights, gradient, strict=True)]  # fmt: skip
    return np.array([w * len(moved) / sum(moved) for w in moved])


def meta_balance(averages, norms, relax, beta, mode):
    """(new averages, factors) of one weight; task 0 is the main one."""
    new = [n if a == 0 else beta * a + (1 - beta) * n for a, n in zip(averages, norms, strict=True)]
    factors = []
    for average in new:
        ratio = new[0] / average if average > 0 and new[0] > 0 else 1.0
        if mode == "shrink":
            ratio = min(ratio, 1.0)
        if mode == "enlarge":
            ratio = max(ratio, 1.0)
        factors.append(relax * ratio + (1 - relax))
    return new, factors


def dynamic_weights(last, before_last, temperature):
    """K softmax(r / T)."""
    parts = [math.exp(a / b / temperature) for a, b in zip(last, before_last, strict=True)]
    return [len(parts) * part / sum(parts) for part in parts]
