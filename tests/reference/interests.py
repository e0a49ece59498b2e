"""Several interests by their equations, in float64 and plain loops."""

import math

import numpy as np


def squash(z):
    norm = math.sqrt(float(z @ z))
    return z * 0.0 if norm == 0 else norm**2 / (1 + norm**2) * z / norm


def softmax(scores):
    powers = [math.exp(s - max(scores)) for s in scores]
    return [p / sum(powers) for p in powers]


def interests_of(length, most, adaptive=True):
    """K' = max(1, min(K, ⌊log2 n⌋))."""
    if not adaptive:
        return most
    return max(1, min(most, math.floor(math.log2(length)))) if length else 1


def routing(behaviors, kernel, start, iterations, adaptive=True):
    """One user's interests (K, d) and the weights of the last round, from real steps alone."""
    most = start.shape[1]
    used = interests_of(len(behaviors), most, adaptive)
    mapped = [kernel.T @ e for e in behaviors]
    logits = [list(start[t, :used]) for t in range(len(behaviors))]
    result = np.zeros((most, kernel.shape[1]))
    weights = []
    for _ in range(iterations):
        weights = [softmax(row) for row in logits]
        for k in range(used):
            z = np.zeros(kernel.shape[1])
            for t, vector in enumerate(mapped):
                z = z + weights[t][k] * vector
            result[k] = squash(z)
        for t, vector in enumerate(mapped):
            for k in range(used):
                logits[t][k] += float(result[k] @ vector)
    return result, weights


def label_aware(interests, target, power):
    used = [u for u in interests if u.any()] or list(interests)
    scores = [float(u @ target) for u in used]
    if power == "hard":
        return used[int(np.argmax(scores))]
    return sum(w * u for w, u in zip(softmax([power * s for s in scores]), used, strict=True))


def self_attentive(keys, values, inner, outer):
    """A = softmax_t(W2 tanh(W1 keysᵀ)); interests A · values, of one user's real steps."""
    result = np.zeros((outer.shape[1], values.shape[1]))
    if not len(keys):
        return result
    for k in range(outer.shape[1]):
        scores = [float(np.tanh(key @ inner) @ outer[:, k]) for key in keys]
        for weight, value in zip(softmax(scores), values, strict=True):
            result[k] += weight * value
    return result
