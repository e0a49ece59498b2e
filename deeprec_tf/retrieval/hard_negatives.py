"""Hard negatives: items that a model ranks high for a user, but not at the top."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from deeprec_tf.retrieval.index_input import excluded_positions, query_vectors
from deeprec_tf.retrieval.item_index import ItemIndex

_OWNER = "mine_hard_negatives"
_ROWS = 4096


def mine_hard_negatives(
    index: ItemIndex,
    queries: Any,
    positives: Any,
    *,
    ranks: tuple[int, int] = (101, 500),
    number: int = 1,
    exclude: Any = None,
    seed: Any = 0,
) -> np.ndarray:
    """Draws items from the middle of each user's ranking, for training.

    Items at the very top are often relevant though unseen; those far below teach nothing. Facebook
    drew from the ranks 101 to 500 and mixed one hard negative with a hundred random ones: with hard
    negatives alone the model forgets the easy ones.

    Args:
        index: the catalogue, by the item tower of the model so far.
        queries: users' vectors (N, D) or (N, K, D), by its user tower.
        positives: ids of what the users took, (N,), or several a user as for
            `ItemIndex.search(exclude=...)`. They are never drawn.
        ranks: first and last rank to draw from, counted from 1 without positives and `exclude`.
        number: ids to draw for a user, different ones as long as there are enough.
        exclude: ids that are never drawn, as for `ItemIndex.search`.
        seed: of the draw, as for `numpy.random.default_rng`; (seed, epoch) for new ones each epoch.

    Returns:
        ids (N, number), in random order.

    Raises:
        TypeError: ids of another kind than the index's.
        ValueError: ranks beyond the catalogue, or a user for whom no item has these ranks; and
            what `ItemIndex.search` raises.

    Example:
        >>> index = ItemIndex().build(np.eye(5), ids=[1, 2, 3, 4, 5])
        >>> query = [[0.5, 0.4, 0.3, 0.2, 0.1]]
        >>> mine_hard_negatives(index, query, [1], ranks=(2, 2)).tolist()  # 2 is first without 1
        [[3]]

    References:
        Huang et al. 2020. Embedding-based Retrieval in Facebook Search.
    """
    first, last = _checked_ranks(ranks, len(index.ids))
    if isinstance(number, bool) or not hasattr(number, "__index__") or number < 1:
        raise ValueError(f"{_OWNER}: number must be a whole number of at least 1, got {number!r}.")
    queries = query_vectors(_OWNER, queries, index.vectors.shape[1])
    rows = len(queries)
    without = [
        places
        for what, ids in (("positives", _lists(positives)), ("exclude", exclude))
        if (places := excluded_positions(_OWNER, ids, index.ids, rows, what)) is not None
    ]
    excluded = np.concatenate(without, axis=1) if without else None
    generator = np.random.default_rng(seed)
    drawn = np.empty((rows, number), index.ids.dtype)
    for start in range(0, rows, _ROWS):
        part = slice(start, start + _ROWS)
        batch = None if excluded is None else excluded[part]
        found = index.search_positions(queries[part], last, batch)[1][:, first - 1 :]
        left = found >= 0  # (N, ranks)
        counts = left.sum(axis=1)
        if not counts.all():
            raise ValueError(
                f"{_OWNER}: for query {start + int(counts.argmin())} no item has a rank from "
                f"{first} to {last} once positives and excluded items are left out. Start at a "
                "lower rank."
            )
        order = np.argsort(np.where(left, generator.random(left.shape), 2), axis=1)
        # Those that are left come first; again from the start where they are too few.
        place = np.take_along_axis(order, np.arange(number) % counts[:, None], axis=1)
        drawn[part] = index.ids[np.take_along_axis(found, place, axis=1)]
    return drawn


def _checked_ranks(ranks: Any, items: int) -> tuple[int, int]:
    is_pair = isinstance(ranks, tuple | list) and len(ranks) == 2
    if not is_pair or any(isinstance(n, bool) or not hasattr(n, "__index__") for n in ranks):
        raise ValueError(f"{_OWNER}: ranks must be (first, last), two integers, got {ranks!r}.")
    first, last = map(operator.index, ranks)
    if not 1 <= first <= last <= items:
        raise ValueError(
            f"{_OWNER}: ranks must satisfy 1 <= first <= last <= {items}, the number of items, "
            f"got {ranks!r}."
        )
    return first, last


def _lists(positives: Any) -> Any:
    """One positive a user as a list of one."""
    is_ragged = hasattr(positives, "row_splits")
    if is_ragged or np.ndim(next(iter(positives), ())):
        return positives
    return np.asarray(positives).reshape(-1, 1).tolist()
