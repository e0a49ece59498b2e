"""NumPy twins of the evaluation metrics: the definitions, as plain loops over pairs."""

import math


def auc_by_pairs(labels, scores, weights=None):
    """Share of (positive, negative) pairs in the right order, ties half."""
    weights = [1.0] * len(labels) if weights is None else weights
    won = pairs = 0.0
    for i, label_i in enumerate(labels):
        for j, label_j in enumerate(labels):
            if label_i == 1 and label_j == 0:
                pair = weights[i] * weights[j]
                pairs += pair
                if scores[i] > scores[j]:
                    won += pair
                elif scores[i] == scores[j]:
                    won += pair / 2
    return won / pairs


def auc_by_ranks(labels, scores):
    """(sum of the positives' ranks - P(P+1)/2) / (P N), equal scores sharing a mean rank."""
    rank_sum = 0.0
    positives = sum(labels)
    for label, score in zip(labels, scores, strict=True):
        if label == 1:
            below = sum(other < score for other in scores)
            equal = sum(other == score for other in scores)
            rank_sum += below + (equal + 1) / 2
    negatives = len(labels) - positives
    return (rank_sum - positives * (positives + 1) / 2) / (positives * negatives)


def log_loss(labels, probabilities, eps):
    total = 0.0
    for label, probability in zip(labels, probabilities, strict=True):
        p = min(max(probability, eps), 1 - eps)
        total -= label * math.log(p) + (1 - label) * math.log(1 - p)
    return total / len(labels)


def gauc(labels, scores, groups, weighting):
    """(value, groups counted, groups in all)."""
    weighted = total_weight = 0.0
    counted = 0
    names = []
    for name in groups:
        if name not in names:
            names.append(name)
    for name in names:
        rows = [i for i in range(len(groups)) if groups[i] == name]
        y = [labels[i] for i in rows]
        if sum(y) in (0, len(y)):
            continue
        if weighting == "impressions":
            weight = len(rows)
        elif weighting == "clicks":
            weight = sum(y)
        else:
            weight = 1
        weighted += weight * auc_by_pairs(y, [scores[i] for i in rows])
        total_weight += weight
        counted += 1
    return weighted / total_weight, counted, len(names)
