"""Where each user's targets stand among all items: the full ranking, counted in chunks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from deeprec_tf.evaluation.id_lists import IdLists, distinct, id_lists, places, without
from deeprec_tf.numeric import check_whole_numbers

CELLS = 1 << 24  # scores that are held at once when no batch size is given
MOST_ROWS = 1024


@dataclass(frozen=True, slots=True, eq=False)
class TargetRanks:
    """What `rank_targets` returns.

    Attributes:
        rows: the user's row of each target (M,), ascending.
        positions: the target's place in the user's ranking, 1 the best (M,), float64, ascending
            within a user; ties give halves.
        lists: ids of the best items of each user (N, top), best first, 0 where none is left; None
            where no lists were asked for.
        user_count: number of users N.
        item_count: number of items in the catalogue.
    """

    rows: np.ndarray
    positions: np.ndarray
    lists: np.ndarray | None
    user_count: int
    item_count: int


def rank_targets(
    scores: Any,
    targets: Any,
    *,
    seen: Any = None,
    top: int = 0,
    batch_size: int | None = None,
    verbose: int = 0,
) -> TargetRanks:
    """Ranks each user's targets among all items, without those the user has seen.

    A target that stands among the seen items is ranked all the same. Ties take the middle: a
    single target stands at 1 + (number of greater scores) + (number of other equal scores) / 2.
    Of several targets, the i-th best stands at i + (number of other items that score above it) +
    (number of other items that equal it) / 2; "other items" are no targets of this user, so two
    targets may trade places at no cost.

    Args:
        scores: array (N, V), column i the score of item i, column 0 ignored; or a function from
            an array of rows (B,) to their scores (B, V). -inf keeps an item out of the lists.
        targets: what each user is to find, ids 1..V-1: (N,); (N, M) padded with 0; or N lists,
            also as a `tf.RaggedTensor`. An id that comes twice counts once.
        seen: ids that are not recommended again, in the same forms; nothing when left out. The
            inputs of the history column do.
        top: how many of each user's best items to list.
        batch_size: rows a chunk; some 16 million scores, at most 1024 rows, when left out.
        verbose: 1 shows a progress bar.

    Returns:
        `TargetRanks`.

    Raises:
        TypeError: ids are no integers.
        ValueError: a user has no target, an id is out of range, numbers of rows differ, a score
            is NaN, no rows, or `top` or `batch_size` is no whole number.

    Example:
        >>> scores = np.array([[0.0, 0.9, 0.5, 0.5], [0.0, 0.1, 0.2, 0.3]])
        >>> rank_targets(scores, [2, 3], seen=[[1], [3]]).positions.tolist()
        [1.5, 1.0]

    References:
        Krichene and Rendle 2020. On Sampled Metrics for Item Recommendation (why all items).
    """
    owner = "rank_targets"
    check_whole_numbers(owner, top=top or None, batch_size=batch_size)
    wanted = id_lists(owner, "targets", targets)
    if not callable(scores):
        scores = np.asarray(scores)
        if scores.ndim != 2 or len(scores) != wanted.count:
            raise ValueError(
                f"{owner}: scores must have shape ({wanted.count}, V), a row for each row of "
                f"targets and a column for each id, got {scores.shape}."
            )
        table, scores = scores, lambda rows: table[rows]
    past = id_lists(owner, "seen", [[]] * wanted.count if seen is None else seen)
    return rank_by_function(
        owner, scores, wanted, past, top=top, batch_size=batch_size, verbose=verbose
    )


def rank_by_function(
    owner: str,
    scores: Callable[[np.ndarray], Any],
    targets: IdLists,
    seen: IdLists,
    *,
    any_seen: bool = False,
    top: int,
    batch_size: int | None,
    verbose: int,
) -> TargetRanks:
    """`rank_targets` with a function; `any_seen` lets seen ids without a score pass."""
    if targets.count == 0:
        raise ValueError(f"{owner}: no rows to evaluate.")
    width = np.shape(scores(np.arange(1)))[-1]
    if any_seen:
        is_known = seen.ids < width
        seen = IdLists(seen.rows[is_known], seen.ids[is_known], seen.count)
    for name, lists in (("targets", targets), ("seen", seen)):
        refuse_ids(owner, name, lists, lists.ids >= width, f"ids must lie in 1..{width - 1}")

    def chunk(rows):
        found = scores(rows)
        if np.shape(found) != (len(rows), width):
            raise ValueError(
                f"{owner}: the function of scores must give shape ({len(rows)}, {width}) for "
                f"{len(rows)} rows, got {np.shape(found)}."
            )
        return found[:, 1:]

    ranks = rank_columns(
        owner, chunk, width - 1, targets._replace(ids=targets.ids - 1),
        seen._replace(ids=seen.ids - 1), top=top, batch_size=batch_size, verbose=verbose,
    )  # fmt: skip
    return with_ids(ranks, np.arange(1, width))


def refuse_ids(owner: str, name: str, lists: IdLists, is_bad: np.ndarray, mend: str) -> None:
    """Raises ValueError for the first bad id, naming its row."""
    bad = np.flatnonzero(is_bad)
    if len(bad):
        raise ValueError(
            f"{owner}: {name} has the id {lists.ids[bad[0]]} in row {lists.rows[bad[0]]}; {mend}."
        )


def with_ids(ranks: TargetRanks, ids: np.ndarray) -> TargetRanks:
    """The ranks with ids in the lists where `rank_columns` puts columns, -1 where none is left."""
    if ranks.lists is None:
        return ranks
    lists = np.append(ids, 0)[ranks.lists]
    return TargetRanks(ranks.rows, ranks.positions, lists, ranks.user_count, ranks.item_count)


def rank_columns(
    owner: str,
    chunk: Callable[[np.ndarray], Any],
    width: int,
    targets: IdLists,
    seen: IdLists,
    *,
    top: int,
    batch_size: int | None,
    verbose: int,
) -> TargetRanks:
    """`rank_targets` on columns 0..width-1 that are all items.

    Args:
        owner: the calling function, for messages.
        chunk: function from rows (B,) to scores (B, width).
        width: number of items.
        targets: columns of the targets.
        seen: columns that do not count, unless they are targets.
        top: length of the lists; -1 stands where no item is left.
        batch_size: rows a chunk, or None.
        verbose: 1 shows a progress bar.

    Raises:
        ValueError: as `rank_targets`.
    """
    count = targets.count
    if seen.count != count:
        raise ValueError(f"{owner}: seen has {seen.count} rows, but targets has {count}.")
    if batch_size is None:
        batch_size = max(1, min(MOST_ROWS, CELLS // width))
    if batch_size < 1:
        raise ValueError(f"{owner}: batch_size must be at least 1, got {batch_size}.")
    empty = np.flatnonzero(np.bincount(targets.rows, minlength=count) == 0)
    if len(empty):
        raise ValueError(
            f"{owner}: {len(empty)} of {count} users have no target, the first in row {empty[0]}. "
            "Leave these users out."
        )
    targets = distinct(targets)
    seen = without(distinct(seen), targets)
    progress = keras.utils.Progbar(-(-count // batch_size), unit_name="chunk") if verbose else None
    counted, lists = [], []
    for start in range(0, count, batch_size):
        stop = min(start + batch_size, count)
        scores = _as_floats(chunk(np.arange(start, stop)))
        wanted, gone = _part(targets, start, stop), _part(seen, start, stop)
        _refuse_nan(owner, scores, start)
        counted.append(_counted(scores, wanted, gone))
        if top:
            lists.append(_best(scores, gone, top))
        if progress is not None:
            progress.add(1)
    own, twice_above = (np.concatenate(parts) for parts in zip(*counted, strict=True))
    positions = _positions(targets.rows, own, twice_above)
    return TargetRanks(
        targets.rows, positions, np.concatenate(lists) if top else None, count, width
    )


def _as_floats(scores):
    """The scores as a tensor; 64 bit numbers keep their bits, as a tie may hang on the last."""
    if not tf.is_tensor(scores):
        scores = np.asarray(scores)
        if scores.dtype.kind in "iub":
            scores = scores.astype(np.float64)
    scores = tf.convert_to_tensor(scores)
    return scores if scores.dtype in (tf.float32, tf.float64) else tf.cast(scores, tf.float32)


def _part(lists, start, stop):
    """The rows start..stop of the lists, counted from 0."""
    first, last = np.searchsorted(lists.rows, [start, stop])
    return IdLists(lists.rows[first:last] - start, lists.ids[first:last], stop - start)


def _refuse_nan(owner, scores, start):
    bad = np.flatnonzero(_has_nan(scores).numpy())
    if len(bad):
        raise ValueError(
            f"{owner}: the scores of the user in row {start + bad[0]} hold NaN, as do those of "
            f"{len(bad) - 1} more up to row {start + len(scores) - 1}. A NaN comes from a "
            "diverged model or from NaN inputs."
        )


def _counted(scores, targets, seen):
    """Each target's score, and 2 (number of greater ones) + (number of equal ones, its own too)."""
    lengths = np.bincount(seen.rows, minlength=seen.count)
    padded = np.zeros((seen.count, int(lengths.max(initial=0))), np.int32)
    padded[seen.rows, places(seen.rows)] = seen.ids
    seen_scores = tf.gather(scores, padded, batch_dims=1)
    own = tf.gather_nd(scores, np.stack([targets.rows, targets.ids], axis=1))
    if len(targets.rows) == targets.count:  # one target a user
        return own.numpy(), _twice_above(scores, seen_scores, lengths, own).numpy()
    counts = []
    for start in range(0, len(targets.rows), targets.count):
        part = slice(start, start + targets.count)
        rows = targets.rows[part]
        counts.append(
            _twice_above(
                tf.gather(scores, rows), tf.gather(seen_scores, rows), lengths[rows], own[part]
            ).numpy()
        )
    return own.numpy(), np.concatenate(counts)


@tf.function(reduce_retracing=True)
def _has_nan(scores):
    return tf.reduce_any(tf.math.is_nan(scores), axis=1)


@tf.function(reduce_retracing=True)
def _twice_above(scores, seen_scores, seen_lengths, own):
    """Counts over all items less those over the few seen ones: no mask (B, V) is made."""

    def counts(values):
        greater = tf.cast(values > own[:, None], tf.int32)
        return greater + tf.cast(values >= own[:, None], tf.int32)

    is_seen = tf.sequence_mask(seen_lengths, tf.shape(seen_scores)[1], dtype=tf.int32)
    seen = tf.reduce_sum(counts(seen_scores) * is_seen, axis=1)
    return tf.reduce_sum(counts(scores), axis=1) - seen


def _best(scores, seen, top):
    """Columns of the best unseen items (B, top), -1 where none is left."""
    lowest = tf.fill([len(seen.rows)], tf.constant(-np.inf, scores.dtype))
    pairs = np.stack([seen.rows, seen.ids], axis=1)
    scores = tf.tensor_scatter_nd_update(scores, pairs, lowest)
    values, columns = tf.math.top_k(scores, min(top, scores.shape[1]))
    columns = np.where(values.numpy() > -np.inf, columns.numpy(), -1)
    return np.pad(columns, [(0, 0), (0, top - columns.shape[1])], constant_values=-1)


def _positions(rows, own, twice_above):
    """Places of the targets, in order within a user, from the counts over all candidates."""
    order = np.lexsort((-own, rows))
    own, twice_above = own[order], twice_above[order]
    # Targets of one user that tie are a run; what lies above them in `targets` is no other item.
    is_start = np.concatenate([[True], (rows[1:] != rows[:-1]) | (own[1:] != own[:-1])])
    starts = np.flatnonzero(is_start)
    run = np.cumsum(is_start) - 1
    place = places(rows)
    greater_targets = place[starts][run]
    equal_targets = np.diff(np.append(starts, len(rows)))[run]
    return place + 1 + (twice_above - 2 * greater_targets - equal_targets) / 2
