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


def self_attentive(keys, values, inner, outer, shares=None):
    """A = softmax_t(W2 tanh(W1 keysᵀ)); interests A · values, of one user's real steps.

    With shares (T, K) each score is multiplied by that of its step and interest.
    """
    result = np.zeros((outer.shape[1], values.shape[1]))
    if not len(keys):
        return result
    for k in range(outer.shape[1]):
        scores = [float(np.tanh(key @ inner) @ outer[:, k]) for key in keys]
        if shares is not None:
            scores = [score * shares[t][k] for t, score in enumerate(scores)]
        for weight, value in zip(softmax(scores), values, strict=True):
            result[k] += weight * value
    return result


def selected(summary, prototypes, number):
    """The nearest prototypes times the sigmoids of their scores, the nearest first."""
    scores = [float(c @ summary) for c in prototypes]
    order = sorted(range(len(scores)), key=lambda i: -scores[i])[:number]
    return np.array([prototypes[i] / (1.0 + math.exp(-scores[i])) for i in order])


def assigned(behaviors, prototypes, temperature):
    """Softmax of each step's cosines over the prototypes: (T, K)."""

    def cosine(x, c):
        return float(x @ c) / math.sqrt(float(x @ x) * float(c @ c))

    return [softmax([cosine(x, c) / temperature for c in prototypes]) for x in behaviors]


def covariance_penalty(prototypes):
    """½ Σ over pairs of different prototypes of their squared covariance."""
    total = 0.0
    for i, a in enumerate(prototypes):
        for j, b in enumerate(prototypes):
            if i != j:
                total += (float((a - a.mean()) @ (b - b.mean())) / len(a)) ** 2
    return total / 2.0


def sparse_interests(behaviors, positions, weights, number, temperature):
    """SINE's user vector from one user's real steps, by the paper's figure.

    Args:
        behaviors: (T, d).
        positions: (T, d).
        weights: "prototypes" (L, d); "summary", "interests" and "next_intention", each a pair of
            maps; "query", kernel (2d, d) and bias.
        number: K.
        temperature: of the assignment.
    """
    (summary,) = self_attentive(behaviors, behaviors, *weights["summary"])
    prototypes = selected(summary, weights["prototypes"], number)
    shares = assigned(behaviors, prototypes, temperature)
    interests = self_attentive(behaviors + positions, behaviors, *weights["interests"], shares)
    intentions = np.array([
        x + sum(p * c for p, c in zip(share, prototypes, strict=True))
        for x, share in zip(behaviors, shares, strict=True)
    ])
    (intention,) = self_attentive(intentions, intentions, *weights["next_intention"])
    kernel, bias = weights["query"]
    query = np.concatenate([sum(interests) / number, intention]) @ kernel + bias
    return label_aware(interests, query, 1.0)
