"""From the candidates of a library to the best items: scored, filtered, in order."""

from __future__ import annotations

import numpy as np

from deeprec_tf.retrieval.backend import Backend

_NUMBERS = 2**24  # of candidates' vectors held at a time: 64 MiB


def best_candidates(
    backend: Backend,
    vectors: np.ndarray,
    queries: np.ndarray,
    k: int,
    excluded: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray]:
    """The k best of the items that a back-end proposes, with their inner products.

    Each interest of a user asks for k items, and as many more as are excluded; an item's score is
    the largest over the interests, whichever of them has found it.

    Args:
        backend: built on `vectors`.
        vectors: float32 (V, D) of the items.
        queries: float32 (N, D), or (N, K, D) for K interests; one of zeros is unused.
        k: number of items.
        excluded: int32 (N, E) positions that must not come back, negative: none.

    Returns:
        Scores (N, k) and positions (N, k), best first, equal scores by position; -inf and -1
        behind the last.
    """
    scores = np.empty((len(queries), k), np.float32)
    places = np.empty((len(queries), k), np.int32)
    wide = k + (0 if excluded is None else excluded.shape[1])
    rows = max(_NUMBERS // (queries[:1].size * wide or 1), 1)
    for start in range(0, len(queries), rows):
        part = slice(start, start + rows)
        without = None if excluded is None else excluded[part]
        scores[part], places[part] = _best(backend, vectors, queries[part], k, without)
    return scores, places


def _best(
    backend: Backend,
    vectors: np.ndarray,
    queries: np.ndarray,
    k: int,
    excluded: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray]:
    rows, width = len(queries), vectors.shape[1]
    interests = queries.reshape(rows, -1, width)
    used = (interests != 0).any(axis=-1)
    used[~used.any(axis=-1)] = True  # a user without any has scores of 0
    more = 0 if excluded is None else int((excluded >= 0).sum(axis=1).max(initial=0))
    asked = min(k + more, len(vectors))
    found = np.full((rows, interests.shape[1], asked), -1, np.int64)
    found[used] = backend.candidates(interests[used], asked)
    places = np.sort(found.reshape(rows, -1), axis=1)  # (N, candidates)
    dropped = places < 0
    dropped[:, 1:] |= places[:, 1:] == places[:, :-1]
    if excluded is not None:
        row = np.arange(rows)[:, None] * len(vectors)
        dropped |= np.isin(places + row, (excluded + row)[excluded >= 0])
    products = np.einsum("nkd,ncd->nkc", interests, vectors[places], optimize=True)
    products[~used] = -np.inf
    scores = np.where(dropped, -np.inf, products.max(axis=1)).astype(np.float32)
    # Positions ascend, so that a stable sort puts the lower one of equals first.
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    best = np.take_along_axis(scores, order, axis=1)
    of_best = np.take_along_axis(places, order, axis=1)
    return best, np.where(np.isneginf(best), -1, of_best)
