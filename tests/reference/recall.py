"""Recall models' losses and layers by their equations, in float64 and plain loops."""

import math

import numpy as np


def sigmoid(x):
    return 1.0 / (1.0 + math.exp(-x))


def softmax_loss(positive, negatives):
    """-log(e^s+ / (e^s+ + Σ e^s-))."""
    return -math.log(math.exp(positive) / (math.exp(positive) + sum(map(math.exp, negatives))))


def bce(positive, negatives, beta=1.0):
    """-(β log σ(s+) + Σ log(1 - σ(s-))) / (K + 1)."""
    total = beta * math.log(sigmoid(positive))
    for s in negatives:
        total += math.log(1.0 - sigmoid(s))
    return -total / (len(negatives) + 1)


def gbce(positive, negatives, items, t, drawn):
    alpha = drawn / (items - 1)
    beta = alpha * (t * (1 - 1 / alpha) + 1 / alpha)
    return bce(positive, negatives, beta)


def bpr(positive, negatives):
    return sum(-math.log(sigmoid(positive - s)) for s in negatives) / len(negatives)


def _weights(negatives):
    powers = [math.exp(s) for s in negatives]
    return [p / sum(powers) for p in powers]


def bpr_max(positive, negatives, regularization):
    weights = _weights(negatives)
    above = sum(w * sigmoid(positive - s) for w, s in zip(weights, negatives, strict=True))
    penalty = sum(w * s * s for w, s in zip(weights, negatives, strict=True))
    return -math.log(above) + regularization * penalty


def top1(positive, negatives):
    terms = [sigmoid(s - positive) + sigmoid(s * s) for s in negatives]
    return sum(terms) / len(terms)


def top1_max(positive, negatives):
    terms = [sigmoid(s - positive) + sigmoid(s * s) for s in negatives]
    return sum(w * term for w, term in zip(_weights(negatives), terms, strict=True))


def triplet(positive, negatives, margin):
    """Over distances 1 - cosine."""
    terms = [max(0.0, margin + (1 - positive) - (1 - s)) for s in negatives]
    return sum(terms) / len(terms)


def positions_of(labels):
    """(row, step) of each position that has a positive; step None for one a row."""
    if labels.ndim == 1:
        return [(row, None) for row, label in enumerate(labels) if label]
    return [(row, step) for row, step in np.argwhere(labels)]


def row_losses(labels, of_position):
    """Rows' parts of the mean over positions, from the loss of each position."""
    rows = len(labels)
    places = positions_of(labels)
    result = np.zeros(rows)
    for row, step in places:
        result[row] += of_position[row, step]
    return result * rows / max(len(places), 1)


def catalogue_loss(queries, labels, items, temperature):
    losses = {}
    for row, step in positions_of(labels):
        query = queries[row] if step is None else queries[row, step]
        label = labels[row] if step is None else labels[row, step]
        scores = [float(query @ items[i]) / temperature for i in range(1, len(items))]
        losses[row, step] = softmax_loss(
            scores[label - 1], scores[: label - 1] + scores[label:]
        )
    return row_losses(labels, losses)


def retrieval_loss(
    loss, queries, positives, labels, sets, *, temperature=1.0, positive_log_q=None, seen=None,
    hardest=None, bias=0.0, similar=None, has_bias=False,
):
    """Sets of (ids, vectors, log_q or None); `loss` takes a score and a list of scores."""
    losses = {}
    for row, step in positions_of(labels):
        place = (row,) if step is None else (row, step)
        own = labels[place]
        positive = float(queries[place] @ positives[place]) / temperature + bias
        if positive_log_q is not None:
            positive -= positive_log_q[place]
        negatives = []
        for number, (ids, vectors, log_q) in enumerate(sets):
            shared = ids.ndim == 1
            scores = []
            for k in range(ids.shape[-1]):
                at = (k,) if shared else (*place, k)
                if ids[at] in (0, own) or (seen is not None and ids[at] in seen[row]):
                    continue
                one, other = positives[place], vectors[at]
                if has_bias:
                    one, other = one[:-1], other[:-1]
                norms = np.linalg.norm(one) * np.linalg.norm(other)
                if similar and similar[number] is not None and (
                    float(one @ other) > similar[number] * norms
                ):
                    continue
                score = float(queries[place] @ vectors[at]) / temperature + bias
                scores.append(score - (0.0 if log_q is None else log_q[at]))
            most = hardest[number] if hardest else None
            negatives += sorted(scores, reverse=True)[:most]
        losses[row, step] = loss(positive, negatives)
    return row_losses(labels, losses)


def causal_attention(x_query, x_key, wq, wkv, wo, heads, length):
    """Multi-head attention of steps over those before them; rows of x beyond length are 0."""
    width = x_query.shape[-1]
    head = width // heads
    query, key, value = x_query @ wq, x_key @ wkv[:, :width], x_key @ wkv[:, width:]
    out = np.zeros((length, width))
    for h in range(heads):
        part = slice(h * head, (h + 1) * head)
        for t in range(length):
            scores = [query[t, part] @ key[s, part] / math.sqrt(head) for s in range(t + 1)]
            powers = [math.exp(s - max(scores)) for s in scores]
            for s, power in enumerate(powers):
                out[t, part] += power / sum(powers) * value[s, part]
    return out if wo is None else out @ wo


def layer_norm(x, scale, shift, epsilon):
    mean = x.mean(axis=-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(axis=-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + epsilon) * scale + shift


def causal_block(x, length, w, heads, original):
    """SASRec's block for one sequence (T, d); weights by name; zeros beyond the length."""
    x = x[:length]
    norm = lambda v, name: layer_norm(v, w[f"{name}/gamma"], w[f"{name}/beta"], 1e-8)  # noqa: E731
    wq, wkv = w["attention/query_kernel"], w["attention/key_value_kernel"]
    normal = norm(x, "norm_attention")
    if original:
        y = normal + causal_attention(normal, x, wq, wkv, None, heads, length)
        z = residual = norm(y, "norm_feed_forward")
    else:
        wo = w["attention/output_kernel"]
        y = residual = x + causal_attention(normal, normal, wq, wkv, wo, heads, length)
        z = norm(y, "norm_feed_forward")
    inner = np.maximum(z @ w["inner/kernel"] + w["inner/bias"], 0.0)
    return residual + inner @ w["outer/kernel"] + w["outer/bias"]
