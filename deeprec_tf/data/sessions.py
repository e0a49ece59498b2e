"""Behavior histories cut into sessions where the user was away for a while."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np

from deeprec_tf.data.ragged import padded_windows
from deeprec_tf.data.sequences import past_events, run_starts
from deeprec_tf.data.tables import Table, positive_count


def build_sessions(
    interactions: Table,
    *,
    user: str = "user_id",
    item: str = "item_id",
    time: str = "timestamp",
    fields: Sequence[str] = (),
    gap: float = 1800,
    max_sessions: int = 5,
    session_size: int = 10,
    ties: str = "exclude",
    events: Any = None,
    rows: Any = None,
    prefix: str = "hist_",
    length_name: str = "hist_length",
) -> dict[str, np.ndarray]:
    """The sessions that came before each interaction of the same user.

    Row r holds the events of row r's user strictly before it, as `build_sequences` has them. A
    session ends where the next event comes more than `gap` later. The newest `max_sessions` are
    kept, oldest first, left-aligned; of each the newest `session_size` events, likewise.

    Args:
        interactions: DataFrame or dict of arrays, one row an interaction. Ids are encoded: 1
            and up, since 0 is padding.
        user: column of user keys, of any type.
        item: column of item ids; its histories are named `prefix + item`.
        time: column of times: numbers or date-times.
        fields: further columns of an event to carry along, such as its category.
        gap: longest pause within a session, in the unit of `time`, in seconds for date-times;
            half an hour as in the paper.
        max_sessions: most sessions a row keeps.
        session_size: most events a session keeps.
        ties: "exclude" (default) or "order", as for `build_sequences`.
        events: boolean mask of the rows that may enter a history; all rows when left out.
        rows: the rows that get a history: a boolean mask or positions; all when left out.
        prefix: put before a field's name.
        length_name: name of the numbers of sessions.

    Returns:
        Dict with `prefix + field` for the item and each field, shape (N, max_sessions,
        session_size), and `length_name`, shape (N,) int32: how many sessions are real.

    Raises:
        TypeError: a column has a type that can't be used.
        ValueError: a column is missing, a key or time is missing, an id is below 1 or beyond
            int32, or an argument is out of range.

    Example:
        >>> log = {"user_id": [7] * 4, "item_id": [3, 4, 5, 6], "timestamp": [0, 60, 7000, 9000]}
        >>> build_sessions(log, max_sessions=2, session_size=2)["hist_item_id"][-1].tolist()
        [[3, 4], [5, 0]]

    References:
        Feng et al., Deep Session Interest Network for Click-Through Rate Prediction, IJCAI 2019.
    """
    owner = "build_sessions"
    max_sessions = positive_count(owner, "max_sessions", max_sessions)
    session_size = positive_count(owner, "session_size", session_size)
    if not isinstance(gap, Real) or not gap >= 0:
        raise ValueError(
            f"{owner}: gap must be a number of at least 0, of seconds where times are dates, got "
            f"{gap!r}."
        )
    values, past = past_events(
        owner, interactions, user=user, item=item, time=time, fields=fields, ties=ties,
        events=events, rows=rows,
    )
    pause = np.diff(past.times)
    if pause.dtype.kind == "m":
        pause = pause / np.timedelta64(1, "s")
    breaks = (np.diff(past.users) != 0) | (pause > gap)  # between an event and the next one
    first_event = np.unique(run_starts(breaks)[: len(past.order)])  # of each session
    session_of = np.concatenate([[0], np.cumsum(breaks)])

    # A user's first event begins a session, and so the history's first event does.
    last = session_of[np.maximum(past.stop - 1, 0)]
    known = np.where(past.stop > past.start, last - session_of[_within(past.start, breaks)] + 1, 0)
    count = np.minimum(known, max_sessions)
    place = np.arange(max_sessions)
    is_real = place < count[:, None]  # (N, K)
    session = np.where(is_real, last[:, None] - count[:, None] + 1 + place, 0)
    begin = np.concatenate([first_event, [len(past.order)]])
    stop = np.minimum(begin[np.minimum(session + 1, len(begin) - 1)], past.stop[:, None])
    length = np.minimum(stop - begin[session], session_size) * is_real
    result = {
        prefix + name: padded_windows(
            column[past.order], ((stop - length) * is_real).ravel(), length.ravel(), session_size
        ).reshape(-1, max_sessions, session_size)
        for name, column in values.items()
    }
    result[length_name] = count.astype(np.int32)
    return result


def _within(places: np.ndarray, breaks: np.ndarray) -> np.ndarray:
    """Places behind the last event, of rows without a history, as the last one."""
    return np.minimum(places, len(breaks))
