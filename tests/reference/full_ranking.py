"""Twins of the ranking metrics and of the baselines of retrieval: the definitions, as loops."""

import math

import numpy as np


def target_positions(scores, targets, seen):
    """Places of one user's targets, best first; `scores[i]` is that of item i, 0 is padding."""
    targets = sorted(set(targets), key=lambda t: -scores[t])
    hidden = (set(seen) | set(targets)) | {0}
    others = [scores[i] for i in range(len(scores)) if i not in hidden]
    positions = []
    for place, target in enumerate(targets, start=1):
        greater = sum(other > scores[target] for other in others)
        equal = sum(other == scores[target] for other in others)
        positions.append(place + greater + equal / 2)
    return positions


def best_items(scores, targets, seen, number):
    """The `number` best items of one user, the smaller id first among equals."""
    hidden = set(seen) - set(targets)
    left = [i for i in range(1, len(scores)) if i not in hidden and scores[i] > -math.inf]
    return sorted(left, key=lambda i: (-scores[i], i))[:number]


def user_metrics(positions, k):
    """Metrics at k of one user, from the places of all targets."""
    hits = [p for p in positions if p <= k]
    dcg = sum(1 / math.log2(1 + p) for p in hits)
    ideal = sum(1 / math.log2(1 + i) for i in range(1, min(k, len(positions)) + 1))
    precisions = [i / p for i, p in enumerate(sorted(positions), start=1) if p <= k]
    return {
        "hr": 1.0 if hits else 0.0,
        "recall": len(hits) / len(positions),
        "ndcg": dcg / ideal,
        "mrr": 1 / min(positions) if hits else 0.0,
        "map": sum(precisions) / min(k, len(positions)),
        "precision": len(hits) / k,
    }


def mean_metrics(scores, targets, seen, k):
    """Means over users, the same weight each, by "<metric>@<k>"."""
    rows = []
    for user in range(len(scores)):
        rows.append(user_metrics(target_positions(scores[user], targets[user], seen[user]), k))
    return {f"{name}@{k}": sum(row[name] for row in rows) / len(rows) for name in rows[0]}


def coverage(lists, items):
    found = {item for one in lists for item in one}
    return len(found) / items


def novelty(lists, counts):
    """Mean self-information of the recommended items in bits."""
    total = sum(counts[1:])
    bits = [-math.log2(max(counts[item], 1) / total) for one in lists for item in one]
    return sum(bits) / len(bits)


def _users_by_items(histories, items):
    matrix = np.zeros((len(histories), items + 1))
    for user, history in enumerate(histories):
        for item in history:
            if item:
                matrix[user, item] = 1.0
    return matrix


def item_knn_scores(histories, items, neighbors, shrinkage, given):
    """Sum over the items that are given of their likeness to i, if they are among i's nearest."""
    matrix = _users_by_items(histories, items)
    scores = np.zeros((len(given), items + 1))
    for i in range(1, items + 1):
        likeness = {}
        for j in range(1, items + 1):
            if j != i:
                common = float(np.sum(matrix[:, i] * matrix[:, j]))
                norm = math.sqrt(matrix[:, i].sum() * matrix[:, j].sum())
                likeness[j] = common / (norm + shrinkage) if common else 0.0
        nearest = sorted(likeness, key=lambda j: (-likeness[j], j))[:neighbors]
        for row, history in enumerate(given):
            scores[row, i] = sum(likeness[j] for j in nearest if j in set(history))
    return scores


def ease_scores(histories, items, regularization, given):
    """Each item regressed on all others with a ridge: what EASE's closed form minimises."""
    matrix = _users_by_items(histories, items)
    weights = np.zeros((items + 1, items + 1))
    for i in range(1, items + 1):
        others = [j for j in range(1, items + 1) if j != i]
        x = matrix[:, others]
        ridge = x.T @ x + regularization * np.eye(len(others))
        weights[others, i] = np.linalg.solve(ridge, x.T @ matrix[:, i])
    return _users_by_items(given, items) @ weights


def markov_scores(histories, items, given):
    """Times that i came next after the last item, and below 1 the popularity for ties."""
    popularity = [0] * (items + 1)
    for history in histories:
        for item in history:
            popularity[item] += 1
    scores = np.zeros((len(given), items + 1))
    for row, history in enumerate(given):
        for i in range(items + 1):
            follows = 0
            for other in histories:
                for before, after in zip(other[:-1], other[1:], strict=True):
                    follows += bool(history) and before == history[-1] and after == i
            scores[row, i] = follows + popularity[i] / (max(popularity) + 1)
    return scores
