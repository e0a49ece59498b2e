"""NumPy twin of searching by inner product, in float64, with plain loops."""

import math

import numpy as np


def search(queries, vectors, ids, k, exclude=None):
    """(ids, scores), two lists of k a user: the best items that are not excluded.

    Args:
        queries: (N, D) or (N, K, D).
        vectors: (V, D).
        ids: V ids.
        k: number of items.
        exclude: a list of ids a user, or None.
    """
    found_ids, found_scores = [], []
    for row, query in enumerate(np.asarray(queries, "float64")):
        interests = [query] if query.ndim == 1 else list(query)
        used = [interest for interest in interests if any(x != 0 for x in interest)]
        pairs = []
        for item, vector in zip(ids, np.asarray(vectors, "float64"), strict=True):
            if exclude is not None and item in list(exclude[row]):
                continue
            score = max(
                sum(a * b for a, b in zip(interest, vector, strict=True))
                for interest in (used or interests)
            )
            pairs.append((-score, item))
        best = sorted(pairs)[:k]
        nobody = "" if isinstance(ids[0], str) else -1
        found_ids.append([item for _, item in best] + [nobody] * (k - len(best)))
        found_scores.append([-score for score, _ in best] + [-math.inf] * (k - len(best)))
    return found_ids, found_scores
