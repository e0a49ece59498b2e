"""Where targets stand in lists of items that are at hand, such as generated ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from deeprec_tf.evaluation.id_lists import IdLists, distinct, id_lists, in_same_row
from deeprec_tf.evaluation.target_ranks import TargetRanks


def rank_in_lists(lists: Any, targets: Any, *, item_count: int, seen: Any = None) -> TargetRanks:
    """Ranks each user's targets by their places in the user's list, for `retrieval_metrics`.

    For models that answer with the best items and score no others, as generative models and
    indexes do. Metrics at k are those of the full ranking where lists are exact and hold k items
    beside the seen ones. A target that is not in the list stands at infinity. Of several targets
    the i-th best stands at i plus the number of other items before it.

    Args:
        lists: ids of each user's items (N, k), best first; 0 and -1 for none, no id twice a row.
        targets: what each user is to find: ids (N,); (N, M) padded with 0; or N lists, also as a
            `tf.RaggedTensor`.
        item_count: items in the catalogue, for the coverage.
        seen: ids that are taken out of the lists, in the same forms, targets excepted; none when
            left out.

    Returns:
        `TargetRanks` with the lists, seen items taken out.

    Raises:
        TypeError: ids are no integers.
        ValueError: numbers of rows differ, a user has no target, or an id is twice in a list.

    Example:
        >>> from deeprec_tf.evaluation import retrieval_metrics
        >>> ranks = rank_in_lists([[7, 3, 5]], [[5]], item_count=9, seen=[[7]])
        >>> retrieval_metrics(ranks, k=2, metrics=["hr", "mrr"])
        {'hr@2': 1.0, 'mrr@2': 0.5}
    """
    owner = "rank_in_lists"
    lists = np.maximum(np.asarray(lists), 0)
    if lists.ndim != 2 or lists.dtype.kind not in "iu":
        raise TypeError(
            f"{owner}: lists must be integer ids (N, k), got {lists.dtype} of shape {lists.shape}."
        )
    _refuse_twice(owner, lists)
    wanted = distinct(id_lists(owner, "targets", targets))
    past = id_lists(owner, "seen", [[]] * wanted.count if seen is None else seen)
    if not len(lists) == wanted.count == past.count:
        raise ValueError(
            f"{owner}: lists, targets and seen must have one row a user, got {len(lists)}, "
            f"{wanted.count} and {past.count} rows."
        )
    missing = np.setdiff1d(np.arange(wanted.count), wanted.rows)
    if len(missing):
        raise ValueError(f"{owner}: targets has no id in row {missing[0]}. Leave the row out.")
    rows = np.repeat(np.arange(len(lists)), lists.shape[1])
    flat = IdLists(rows, lists.reshape(-1).astype(np.int64), len(lists))
    is_target, is_past = (
        in_same_row(flat, others).reshape(lists.shape) & (lists > 0) for others in (wanted, past)
    )
    is_left = (lists > 0) & (~is_past | is_target)
    order = np.argsort(~is_left, axis=1, kind="stable")
    lists, is_target, is_left = (
        np.take_along_axis(array, order, axis=1) for array in (lists, is_target, is_left)
    )
    lists = np.where(is_left, lists, 0)

    others = np.cumsum(is_left & ~is_target, axis=1)
    found, places = np.nonzero(is_target & is_left)
    number = (np.cumsum(is_target, axis=1) + others)[found, places]  # i + others before it
    rows = wanted.rows
    positions = np.full(len(rows), np.inf)
    first = np.searchsorted(rows, found)
    positions[first + np.arange(len(found)) - np.searchsorted(found, found)] = number
    return TargetRanks(rows, positions, lists, wanted.count, item_count)


def _refuse_twice(owner, lists):
    """Each item stands once in a list; 0, for none, as often as it likes."""
    ordered = np.sort(lists, axis=1)
    is_twice = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] > 0)
    if is_twice.any():
        row, place = np.argwhere(is_twice)[0]
        raise ValueError(
            f"{owner}: lists has the id {ordered[row, place]} twice in row {row}. Keep the first "
            "and put 0 for the others."
        )
