"""Behavior sequences: what each user did before, newest kept, oldest first, padded with 0.

All of it is sorting, cumulative sums and one strided gather a field: no loop over rows or users.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from deeprec_tf.data.ragged import padded_windows
from deeprec_tf.data.tables import (
    Table,
    get_series,
    key_codes,
    positive_count,
    row_count,
    row_positions,
    time_limit,
    time_values,
)

TIES = ("exclude", "order")


def build_sequences(
    interactions: Table,
    *,
    user: str = "user_id",
    item: str = "item_id",
    time: str = "timestamp",
    fields: Sequence[str] = (),
    maxlen: int = 50,
    ties: str = "exclude",
    events: Any = None,
    rows: Any = None,
    prefix: str = "hist_",
    length_name: str = "hist_length",
) -> dict[str, np.ndarray]:
    """The behaviors that came before each interaction of the same user.

    Row r of the result holds the events of row r's user that lie strictly before it: the newest
    `maxlen` of them, left-aligned, oldest first, 0 behind them. The interactions may stand in
    any order. "Before" for events of one time stamp is said by `ties`:

    - "exclude": events of the row's own time stamp are left out. Nothing that may have come
      later can leak into the history.
    - "order": they count as having come in the order of the rows. For data whose time is only
      a day, or a position, but whose order is known.

    Among themselves, events of one time stamp stand in the order of the rows.

    Args:
        interactions: DataFrame or dict of arrays, one row an interaction. Ids are encoded: 1
            and up, since 0 is padding.
        user: column of user keys, of any type.
        item: column of item ids; its histories are named `prefix + item`.
        time: column of times: numbers or date-times.
        fields: further columns of an event to carry along, such as its category or rating.
            `time` itself may be named.
        maxlen: most behaviors a row keeps; the newest stay.
        ties: "exclude" (default) or "order".
        events: boolean mask of the rows that may enter a history, such as the positive ones;
            all rows when left out.
        rows: the rows that get a history: a boolean mask or positions; all when left out. The
            histories of chosen rows still draw on all interactions.
        prefix: put before a field's name.
        length_name: name of the lengths.

    Returns:
        Dict with `prefix + field` for the item and each field, shape (N, maxlen), and
        `length_name`, shape (N,) int32, in the order of `rows`. Integer fields come as int32,
        float fields as float32, the time column as int64 (date-times in whole seconds).

    Raises:
        TypeError: a column has a type that can't be used.
        ValueError: a column is missing, a key or time is missing, an id is below 1 or beyond
            int32, or an argument is out of range.

    Example:
        >>> log = {"user_id": [7, 7, 7], "item_id": [3, 4, 5], "timestamp": [10, 20, 30]}
        >>> build_sequences(log, maxlen=3)["hist_item_id"].tolist()
        [[0, 0, 0], [3, 0, 0], [3, 4, 0]]
    """
    owner = "build_sequences"
    maxlen = positive_count(owner, "maxlen", maxlen)
    values, past = past_events(
        owner, interactions, user=user, item=item, time=time, fields=fields, ties=ties,
        events=events, rows=rows,
    )
    return _windows(values, past.order, past.start, past.stop, maxlen, prefix, length_name)


class PastEvents(NamedTuple):
    """What came before each of some rows.

    Attributes:
        order: positions of all events in the table, user by user and by time.
        start: place in `order` of the first event before each row, (N,).
        stop: place behind the last one, (N,); `start` where there is none.
        users: codes of the users of the events, in that order.
        times: times of the events, in that order.
    """

    order: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    users: np.ndarray
    times: np.ndarray


def past_events(
    owner: str,
    interactions: Table,
    *,
    user: str,
    item: str,
    time: str,
    fields: Sequence[str],
    ties: str,
    events: Any,
    rows: Any,
) -> tuple[dict[str, np.ndarray], PastEvents]:
    """The values that events carry, and the events before each row.

    Args:
        owner: the calling function, for messages.
        interactions: as for `build_sequences`, and so the rest.
        user: column of user keys.
        item: column of item ids.
        time: column of times.
        fields: further columns of an event.
        ties: "exclude" or "order".
        events: mask of the rows that may enter a history, or None.
        rows: the rows that get a history, or None.

    Returns:
        Dict of columns in the order of the table, and a `PastEvents`.

    Raises:
        TypeError, ValueError: as for `build_sequences`.
    """
    if ties not in TIES:
        raise ValueError(f"{owner}: ties must be one of {TIES}, got {ties!r}.")
    count = row_count(owner, interactions)
    targets = row_positions(owner, rows, count)
    is_event = _event_mask(owner, events, count)
    users, _ = key_codes(owner, interactions, user)
    times = time_values(owner, interactions, time)
    values = _field_values(owner, interactions, item, fields, time)

    order = np.lexsort((times, users))  # stable: equal times keep the order of the rows
    users, times = users[order], times[order]
    user_start = run_starts(users[1:] != users[:-1])
    if ties == "exclude":
        end = run_starts((users[1:] != users[:-1]) | (times[1:] != times[:-1]))
    else:
        end = np.arange(count)
    place = np.empty(count, np.int64)  # of each row in the sorted order
    place[order] = np.arange(count)
    place = place[targets]

    # From places among all rows to places among the events.
    kept = is_event[order]
    events_before = np.concatenate([[0], np.cumsum(kept)])
    return values, PastEvents(
        order=order[kept], start=events_before[user_start[place]], stop=events_before[end[place]],
        users=users[kept], times=times[kept],
    )


def latest_sequences(
    interactions: Table,
    *,
    users: Any = None,
    before: Any = None,
    user: str = "user_id",
    item: str = "item_id",
    time: str = "timestamp",
    fields: Sequence[str] = (),
    maxlen: int = 50,
    events: Any = None,
    prefix: str = "hist_",
    length_name: str = "hist_length",
) -> dict[str, np.ndarray]:
    """Each user's behaviors up to now: the input for recommending what comes next.

    Args:
        interactions: DataFrame or dict of arrays, as for `build_sequences`.
        users: keys of the users, one a row of the result; all users in order of appearance
            when left out. A user without interactions gets an empty history.
        before: only events with a time strictly below this one count; all when left out. A number
            or a date-time as the column holds, with a time zone if that has one.
        user: column of user keys.
        item: column of item ids.
        time: column of times.
        fields: further columns of an event to carry along.
        maxlen: most behaviors a row keeps; the newest stay.
        events: boolean mask of the rows that may enter a history.
        prefix: put before a field's name.
        length_name: name of the lengths.

    Returns:
        Dict with the column `user`, and the columns that `build_sequences` gives.

    Raises:
        TypeError: a column has a type that can't be used.
        ValueError: as for `build_sequences`.

    Example:
        >>> log = {"user_id": [7, 7, 9], "item_id": [3, 4, 5], "timestamp": [10, 20, 30]}
        >>> latest_sequences(log, users=[9, 7], maxlen=2)["hist_item_id"].tolist()
        [[5, 0], [3, 4]]
    """
    owner = "latest_sequences"
    maxlen = positive_count(owner, "maxlen", maxlen)
    count = row_count(owner, interactions)
    is_event = _event_mask(owner, events, count)
    codes, keys = key_codes(owner, interactions, user)
    times = time_values(owner, interactions, time)
    values = _field_values(owner, interactions, item, fields, time)
    if before is not None:
        limit = time_limit(owner, "before", before, interactions, time)
        is_event = is_event & (times < limit)

    order = np.lexsort((times, codes))
    sorted_events = order[is_event[order]]
    per_user = np.bincount(codes[sorted_events], minlength=len(keys) + 1)  # one more: unknown
    per_user_stop = np.cumsum(per_user)
    wanted = keys if users is None else pd.Index(users)
    place = keys.get_indexer(wanted)  # -1, the last, for a user without interactions
    stop = per_user_stop[place]
    start = stop - per_user[place]
    result = {user: wanted.to_numpy()}
    result.update(_windows(values, sorted_events, start, stop, maxlen, prefix, length_name))
    return result


def _event_mask(owner: str, events: Any, count: int) -> np.ndarray:
    if events is None:
        return np.ones(count, bool)
    mask = np.asarray(events)
    if mask.dtype != bool or mask.shape != (count,):
        raise ValueError(
            f"{owner}: events must be a boolean mask of shape ({count},), got {mask.dtype} of "
            f"shape {mask.shape}."
        )
    return mask


def run_starts(changes: np.ndarray) -> np.ndarray:
    """For each place the first place of its run; `changes[i]` says that run i+1 is a new one."""
    starts = np.zeros(len(changes) + 1, np.int64)
    starts[1:] = np.where(changes, np.arange(1, len(changes) + 1), 0)
    return np.maximum.accumulate(starts)


def _field_values(
    owner: str, table: Table, item: str, fields: Sequence[str], time: str
) -> dict[str, np.ndarray]:
    names = [item, *fields]
    if len(set(names)) < len(names):
        raise ValueError(f"{owner}: each field may be named once, got {names}.")
    values = {}
    for name in names:
        if name == time:
            values[name] = _event_times(owner, table, name)
        else:
            values[name] = _event_values(owner, table, name, ids_only=name == item)
    return values


def _event_times(owner: str, table: Table, name: str) -> np.ndarray:
    times = time_values(owner, table, name)
    if times.dtype.kind == "M":
        times = times.astype("datetime64[s]")
    return times.astype(np.int64)


def _event_values(owner: str, table: Table, name: str, *, ids_only: bool) -> np.ndarray:
    series = get_series(owner, table, name)
    if series.isna().any():
        raise ValueError(
            f"{owner}: field {name!r} has {int(series.isna().sum())} missing values. Encode it "
            "with FeatureEncoder or fill them."
        )
    if pd.api.types.is_float_dtype(series.dtype) and not ids_only:
        return series.to_numpy(dtype=np.float32)
    if not pd.api.types.is_integer_dtype(series.dtype):
        raise TypeError(
            f"{owner}: field {name!r} must hold {'ids' if ids_only else 'ids or numbers'}, got "
            f"{series.dtype}. Encode it with FeatureEncoder first."
        )
    ids = series.to_numpy()
    if len(ids) and (ids.min() < 1 or ids.max() > np.iinfo(np.int32).max):
        raise ValueError(
            f"{owner}: ids of field {name!r} must lie in 1..{np.iinfo(np.int32).max} (0 is "
            f"padding), got {ids.min()}..{ids.max()}. Encode it with FeatureEncoder, or add 1."
        )
    return ids.astype(np.int32)


def _windows(
    values: dict[str, np.ndarray],
    sorted_events: np.ndarray,
    start: np.ndarray,
    stop: np.ndarray,
    maxlen: int,
    prefix: str,
    length_name: str,
) -> dict[str, np.ndarray]:
    """Cut `[start, stop)` out of the sorted events, at most the last `maxlen`, a row each."""
    length = np.minimum(stop - start, maxlen)
    result = {
        prefix + name: padded_windows(column[sorted_events], stop - length, length, maxlen)
        for name, column in values.items()
    }
    result[length_name] = length.astype(np.int32)
    return result
