"""Splits into training, validation and test rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from deeprec_tf.data.tables import Table, key_codes, row_count, time_values


class Split(NamedTuple):
    """Positions of the rows of each part, int64, ascending.

    Unpacks as `train, validation, test`; `deeprec_tf.data.take(table, split.train)` gives rows.
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def temporal_split(
    interactions: Table,
    *,
    time: str = "timestamp",
    fractions: Sequence[float] = (0.8, 0.1, 0.1),
) -> Split:
    """Split at two moments for all users: train on the past, test on the future.

    Every time stamp falls wholly on one side of a cut: the newest training row is strictly older
    than the oldest validation row, and that part older than the test part. The cuts are the
    moments whose shares come nearest to the fractions.

    Args:
        interactions: DataFrame or dict of arrays.
        time: column of times: numbers or date-times.
        fractions: shares of the training, validation and test part; they add up to 1. A share
            of 0 gives an empty part.

    Returns:
        A `Split`.

    Raises:
        TypeError: the time column holds neither numbers nor date-times.
        ValueError: fractions are out of range, or there are too few distinct times for a part
            that should not be empty.

    Example:
        >>> temporal_split({"timestamp": [5, 1, 2, 3, 4]}, fractions=(0.6, 0.2, 0.2)).test.tolist()
        [0]
    """
    owner = "temporal_split"
    shares = _check_fractions(owner, fractions)
    times = time_values(owner, interactions, time)
    moments, counts = np.unique(times, return_counts=True)
    rows_before = np.concatenate([[0], np.cumsum(counts)])  # of moment k, for k = 0..len(moments)
    wanted = np.cumsum(shares)[:2] * len(times)
    cuts = [int(np.argmin(np.abs(rows_before - rows))) for rows in wanted]
    # Ties may pull two cuts together: a part that is asked for gets at least one moment.
    asked = [int(share > 0) for share in shares]
    if len(moments) < sum(asked):
        raise ValueError(
            f"{owner}: column {time!r} has {len(moments)} distinct times, too few for the parts "
            f"{tuple(fractions)}. Use random_split or leave_one_out."
        )
    cuts[0] = min(max(cuts[0], asked[0]), len(moments) - asked[1] - asked[2])
    cuts[1] = min(max(cuts[1], cuts[0] + asked[1]), len(moments) - asked[2])
    part = np.searchsorted(cuts, np.searchsorted(moments, times), side="right")
    return _by_part(part)


def leave_one_out(
    interactions: Table,
    *,
    user: str = "user_id",
    time: str = "timestamp",
    min_interactions: int = 3,
) -> Split:
    """Each user's last interaction is for testing, the one before it for validation.

    Of several interactions of one time stamp the later row counts as the later one. This
    protocol shares one model among users at different times: events of other users that are
    newer than a test event stay in the training part. Where that matters use `temporal_split`.

    Args:
        interactions: DataFrame or dict of arrays.
        user: column of user keys.
        time: column of times: numbers or date-times.
        min_interactions: users with fewer stay wholly in the training part; at least 3.

    Returns:
        A `Split`.

    Raises:
        TypeError: the time column holds neither numbers nor date-times.
        ValueError: `min_interactions` is below 3, or a key or time is missing.

    Example:
        >>> log = {"user_id": [1, 1, 1, 2], "timestamp": [30, 10, 20, 5]}
        >>> [part.tolist() for part in leave_one_out(log)]
        [[1, 3], [2], [0]]
    """
    owner = "leave_one_out"
    if min_interactions < 3:
        raise ValueError(
            f"{owner}: min_interactions must be at least 3 (one each to train, validate and "
            f"test), got {min_interactions!r}."
        )
    users, keys = key_codes(owner, interactions, user)
    times = time_values(owner, interactions, time)
    order = np.lexsort((times, users))
    counts = np.bincount(users, minlength=len(keys))
    from_end = np.cumsum(counts)[users[order]] - 1 - np.arange(len(order))
    enough = counts[users[order]] >= min_interactions
    part = np.empty(len(order), np.int64)
    part[order] = np.where(enough, np.maximum(2 - from_end, 0), 0)
    return _by_part(part)


def random_split(
    interactions: Table,
    *,
    fractions: Sequence[float] = (0.8, 0.1, 0.1),
    by: str | None = None,
    seed: int = 0,
) -> Split:
    """Split at random. Later events may end up in training: prefer `temporal_split` with times.

    Args:
        interactions: DataFrame or dict of arrays.
        fractions: shares of the training, validation and test part; they add up to 1.
        by: column of keys, such as the user: all rows of a key go to one part, and the
            fractions count keys. Rows are split one by one when left out.
        seed: the same seed gives the same split.

    Returns:
        A `Split`.

    Raises:
        ValueError: fractions are out of range, or a key is missing.

    Example:
        >>> split = random_split({"x": range(10)}, fractions=(0.5, 0.2, 0.3))
        >>> [len(part) for part in split]
        [5, 2, 3]
    """
    owner = "random_split"
    shares = _check_fractions(owner, fractions)
    count = row_count(owner, interactions)
    if by is None:
        codes = np.arange(count)
    else:
        codes, keys = key_codes(owner, interactions, by)
        count = len(keys)
    cuts = np.rint(np.cumsum(shares)[:2] * count).astype(np.int64)
    rank = np.random.default_rng(seed).permutation(count)
    return _by_part(np.searchsorted(cuts, rank[codes], side="right"))


def _check_fractions(owner: str, fractions: Sequence[float]) -> np.ndarray:
    shares = np.asarray(fractions, dtype=np.float64)
    if shares.shape != (3,) or (shares < 0).any() or abs(shares.sum() - 1.0) > 1e-6:
        raise ValueError(
            f"{owner}: fractions must be three shares (train, validation, test) of at least 0 "
            f"that add up to 1, got {tuple(fractions)}."
        )
    return shares


def _by_part(part: np.ndarray) -> Split:
    return Split(*(np.flatnonzero(part == k) for k in range(3)))
