"""Baselines of retrieval that need no training by gradients: every table needs its base line.

Each `fit_` function counts in the users' lists of items and returns a function from lists of
items to scores (B, V), column i the score of item i, as `evaluate_retrieval` takes it. Lists are
arrays (N, T) padded with 0 on either side, or N lists; oldest first where the order counts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from deeprec_tf.data.tables import positive_count
from deeprec_tf.evaluation.id_lists import IdLists, distinct, id_lists, places

Scores = Callable[[Any], np.ndarray]

_PAIRS_AT_ONCE = 1 << 22
_ROWS_AT_ONCE = 1024
_WHOLE_ROWS = 8192  # of a matrix that is inverted as one


def count_items(histories: Any, item_num: int) -> np.ndarray:
    """Interactions by item id.

    Args:
        histories: the users' items, (N, T) padded with 0, or N lists.
        item_num: number of items; ids run from 1 to item_num.

    Returns:
        Counts (item_num + 1,), int64; 0 for the padding.

    Raises:
        TypeError: ids are no integers.
        ValueError: an id is out of range.

    Example:
        >>> count_items([[1, 2], [2]], 3).tolist()
        [0, 1, 2, 0]
    """
    lists, size = _lists("count_items", histories, item_num)
    return np.bincount(lists.ids, minlength=size)


def fit_popularity(histories: Any, item_num: int) -> Scores:
    """Scores every item by how often it occurs, for everyone the same.

    Args:
        histories: the users' items of the training part.
        item_num: number of items; ids run from 1 to item_num.

    Returns:
        Function from lists of items (B) to scores (B, item_num + 1).

    Raises:
        TypeError: ids are no integers.
        ValueError: an id is out of range.

    Example:
        >>> fit_popularity([[1, 2], [2]], 3)([[1]]).tolist()
        [[0.0, 1.0, 2.0, 0.0]]
    """
    counts = count_items(histories, item_num).astype(np.float64)

    def scores(rows: Any) -> np.ndarray:
        return np.broadcast_to(counts, (len(rows), len(counts)))

    return scores


def fit_markov_chain(histories: Any, item_num: int) -> Scores:
    """Scores an item by how often it came right after the user's last one.

    Ties, and users without a last item, go by popularity.

    Args:
        histories: the users' items of the training part, oldest first.
        item_num: number of items; ids run from 1 to item_num.

    Returns:
        Function from lists of items (B) to scores (B, item_num + 1).

    Raises:
        TypeError: ids are no integers.
        ValueError: an id is out of range.

    Example:
        >>> fit_markov_chain([[1, 2, 3], [1, 3], [2, 3]], 3)([[1, 2]])[0, 1:].tolist()
        [0.5, 0.5, 2.75]
    """
    owner = "fit_markov_chain"
    lists, size = _lists(owner, histories, item_num)
    popularity = np.bincount(lists.ids, minlength=size)
    below_one = popularity / (popularity.max() + 1)
    follows = lists.rows[1:] == lists.rows[:-1]
    pairs = lists.ids[:-1][follows] * size + lists.ids[1:][follows]
    pairs, counts = np.unique(pairs, return_counts=True)
    before, after = pairs // size, pairs % size

    def scores(rows: Any) -> np.ndarray:
        given, _ = _lists(owner, rows, item_num)
        last = np.zeros(given.count, np.int64)
        last[given.rows] = given.ids  # the last one written stays
        found = np.tile(below_one, (given.count, 1))
        first, stop = np.searchsorted(before, last), np.searchsorted(before, last, side="right")
        lengths = stop - first
        row = np.repeat(np.arange(given.count), lengths)
        place = np.repeat(first, lengths) + places(row)
        found[row, after[place]] += counts[place]
        return found

    return scores


def fit_item_knn(
    histories: Any, item_num: int, *, neighbors: int = 100, shrinkage: float = 10.0
) -> Scores:
    """Scores an item by its likeness to those the user has: the item-based neighborhood method.

    With c_ij the number of users who have both items, the likeness is the shrunk cosine
    c_ij / (sqrt(c_ii c_jj) + shrinkage), kept for the `neighbors` items that are most like i; the
    score of i is its sum over the user's items j.

    Memory: two float32 arrays (V, V).

    Args:
        histories: the users' items of the training part; an item counts once a user.
        item_num: number of items; ids run from 1 to item_num.
        neighbors: most items that speak for an item, usually 50 to 200.
        shrinkage: makes likenesses of few common users small; at least 0.

    Returns:
        Function from lists of items (B) to scores (B, item_num + 1).

    Raises:
        TypeError: ids are no integers.
        ValueError: an id or an argument is out of range.

    Example:
        >>> fit_item_knn([[1, 2], [1, 2, 3]], 3, shrinkage=0.0)([[1]]).round(2)
        array([[0.  , 0.  , 1.  , 0.71]], dtype=float32)

    References:
        Sarwar et al. 2001. Item-Based Collaborative Filtering Recommendation Algorithms.
        Ferrari Dacrema, Cremonesi and Jannach 2019. Are We Really Making Much Progress? (the
        shrunk cosine as a baseline that neural models often fail to reach)
    """
    owner = "fit_item_knn"
    neighbors = positive_count(owner, "neighbors", neighbors)
    if shrinkage < 0:
        raise ValueError(f"{owner}: shrinkage must be at least 0, got {shrinkage!r}.")
    lists, size = _lists(owner, histories, item_num)
    likeness = _common_users(distinct(lists), size)
    norms = np.sqrt(np.diagonal(likeness)).copy()
    np.fill_diagonal(likeness, 0.0)
    for start in range(0, size, _ROWS_AT_ONCE):
        part = likeness[start : start + _ROWS_AT_ONCE]
        part /= np.maximum(norms[start : start + len(part), None] * norms + shrinkage, 1e-9)
        # Mostly zeros: NumPy's argpartition takes ten times as long.
        nearest, columns = tf.math.top_k(part, min(neighbors, size), sorted=False)
        part[:] = 0.0
        np.put_along_axis(part, columns.numpy(), nearest.numpy(), axis=1)
    return _linear_scores(owner, np.ascontiguousarray(likeness.T), item_num)


def fit_ease(histories: Any, item_num: int, *, regularization: float = 500.0) -> Scores:
    """Scores items by EASE, the linear autoencoder in closed form.

    With X the 0-1 matrix of users and items, G = X^T X + regularization I and P = G^-1, the
    weights are B = -P / diag(P) by column, 0 on the diagonal, and the scores X B.

    Memory: four float32 arrays (V, V); time: the inverse, of the order of V^3.

    Args:
        histories: the users' items of the training part; an item counts once a user.
        item_num: number of items; ids run from 1 to item_num.
        regularization: the ridge, usually 100 to 1,000.

    Returns:
        Function from lists of items (B) to scores (B, item_num + 1).

    Raises:
        TypeError: ids are no integers.
        ValueError: an id is out of range, or `regularization` is not above 0.

    Example:
        >>> fit_ease([[1, 2], [1, 2, 3]], 3, regularization=1.0)([[1]]).round(2)
        array([[0. , 0. , 0.6, 0.2]], dtype=float32)

    References:
        Steck 2019. Embarrassingly Shallow Autoencoders for Sparse Data.
    """
    owner = "fit_ease"
    if not regularization > 0:
        raise ValueError(f"{owner}: regularization must be above 0, got {regularization!r}.")
    lists, size = _lists(owner, histories, item_num)
    gram = _common_users(distinct(lists), size)
    gram.flat[:: size + 1] += regularization
    weights = _inverse(gram)
    del gram
    weights /= -np.diagonal(weights).copy()
    np.fill_diagonal(weights, 0.0)
    return _linear_scores(owner, weights, item_num)


def _inverse(matrix: np.ndarray) -> np.ndarray:
    """Inverse of a symmetric positive definite matrix, by halves.

    `np.linalg.inv` crashed the process at 25,000 rows.
    """
    size = len(matrix)
    if size <= _WHOLE_ROWS:
        return np.linalg.inv(matrix)
    half = size // 2
    first = _inverse(matrix[:half, :half])
    across = matrix[half:, :half] @ first
    last = _inverse(matrix[half:, half:] - across @ matrix[:half, half:])
    inverse = np.empty_like(matrix)
    inverse[half:, half:] = last
    np.matmul(-last, across, out=inverse[half:, :half])
    inverse[:half, half:] = inverse[half:, :half].T
    inverse[:half, :half] = first - across.T @ inverse[half:, :half]
    return inverse


def _lists(owner: str, histories: Any, item_num: int) -> tuple[IdLists, int]:
    size = positive_count(owner, "item_num", item_num) + 1
    lists = id_lists(owner, "histories", histories)
    bad = np.flatnonzero(lists.ids >= size)
    if len(bad):
        raise ValueError(
            f"{owner}: ids must lie in 1..{size - 1}, got {lists.ids[bad[0]]} in row "
            f"{lists.rows[bad[0]]}. Raise item_num or re-encode the ids."
        )
    return lists, size


def _common_users(lists: IdLists, size: int) -> np.ndarray:
    """Number of users of each pair of items (V, V), float32, from lists without repeats."""
    common = np.zeros((size, size), np.float32)
    flat = common.reshape(-1)
    lengths = np.bincount(lists.rows, minlength=lists.count)
    partners = lengths[lists.rows]  # of each element: all of its row
    first = np.searchsorted(lists.rows, lists.rows)
    ends = np.cumsum(partners)
    start = 0
    while start < len(partners):
        reached = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, reached + _PAIRS_AT_ONCE, side="right")))
        one = np.repeat(np.arange(start, stop), partners[start:stop])
        other = first[one] + places(one)
        np.add.at(flat, lists.ids[one] * size + lists.ids[other], np.float32(1.0))
        start = stop
    return common


def _linear_scores(owner: str, weights: np.ndarray, item_num: int) -> Scores:
    """X W for the 0-1 matrix X of the rows' items: a sum of few rows of W."""

    def scores(rows: Any) -> np.ndarray:
        given = distinct(_lists(owner, rows, item_num)[0])
        found = np.zeros((given.count, len(weights)), weights.dtype)
        place = places(given.rows)
        order = np.argsort(place, kind="stable")  # one item of each row, then the next one
        stops = np.searchsorted(place[order], np.arange(1, place.max(initial=-1) + 2))
        for part in np.split(order, stops)[:-1]:
            found[given.rows[part]] += weights[given.ids[part]]
        return found

    return scores
