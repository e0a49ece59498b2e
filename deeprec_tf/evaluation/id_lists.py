"""Item ids of users, given in whatever form: one a user, padded rows, or lists."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import tensorflow as tf

from deeprec_tf.data.ragged import is_missing_list


class IdLists(NamedTuple):
    """Lists of ids as flat arrays.

    Attributes:
        rows: the row, so the user, of each id, ascending (M,).
        ids: the ids, in their order within a row (M,), int64.
        count: number of rows, empty ones among them.
    """

    rows: np.ndarray
    ids: np.ndarray
    count: int  # type: ignore[assignment]  # hides tuple.count


def id_lists(owner: str, name: str, values: Any) -> IdLists:
    """The ids of each row, 0 left out as padding.

    Args:
        owner: the calling function, for messages.
        name: of the argument, for messages.
        values: ids (N,), one a row; ids (N, T), padded with 0 on either side; or N lists, a
            missing one (None, NaN) without ids, or a `tf.RaggedTensor` (N, None).

    Raises:
        TypeError: not integers, or neither ids nor lists of them.
        ValueError: an id is negative.
    """
    rows, ids, count = _flat(owner, name, values)
    if ids.dtype.kind not in "iu":
        raise TypeError(f"{owner}: {name} must hold integer ids, got {ids.dtype}.")
    ids = ids.astype(np.int64)
    bad = np.flatnonzero(ids < 0)
    if len(bad):
        raise ValueError(
            f"{owner}: {name} must hold ids of at least 1 (0 is padding), got {ids[bad[0]]} in "
            f"row {rows[bad[0]]}."
        )
    return IdLists(rows[ids > 0], ids[ids > 0], count)


def distinct(lists: IdLists) -> IdLists:
    """Each id once a row, ids ascending."""
    _, first = np.unique(_keys(lists)[0], return_index=True)
    return IdLists(lists.rows[first], lists.ids[first], lists.count)


def without(lists: IdLists, others: IdLists) -> IdLists:
    """The ids of each row that the same row of `others` does not have."""
    is_other = in_same_row(lists, others)
    return IdLists(lists.rows[~is_other], lists.ids[~is_other], lists.count)


def in_same_row(lists: IdLists, others: IdLists) -> np.ndarray:
    """For each id whether the same row of `others` has it (M,)."""
    keys, other_keys = _keys(lists, others)
    return np.isin(keys, other_keys)


def places(rows: np.ndarray) -> np.ndarray:
    """For ascending `rows`, the place 0, 1, ... of each element within its row."""
    return np.arange(len(rows)) - np.searchsorted(rows, rows, side="left")


def _keys(*several: IdLists) -> list[np.ndarray]:
    """A number for each row and id, the same in all lists; ids of any size fit in."""
    lengths = [len(lists.ids) for lists in several]
    ids, places = np.unique(np.concatenate([lists.ids for lists in several]), return_inverse=True)
    keys = np.concatenate([lists.rows for lists in several]) * max(len(ids), 1) + places
    return np.split(keys, np.cumsum(lengths)[:-1])


def _flat(owner, name, values):
    if isinstance(values, tf.RaggedTensor):
        if values.shape.rank != 2:
            raise TypeError(
                f"{owner}: {name} must be a ragged tensor (N, None) of ids, got {values.shape}."
            )
        return values.value_rowids().numpy(), values.flat_values.numpy(), int(values.nrows())
    if isinstance(values, pd.Series):
        values = values.to_numpy()
    if not isinstance(values, np.ndarray | list | tuple):
        values = np.asarray(values)
    is_array = isinstance(values, np.ndarray) and values.dtype != object
    first = () if is_array else next((row for row in values if not is_missing_list(row)), ())
    if not is_array and (len(values) == 0 or np.ndim(first) == 0):
        values, is_array = np.asarray(list(values) or np.zeros(0, np.int64)), True
    if is_array:
        if values.ndim not in (1, 2) or values.dtype == object:
            raise TypeError(
                f"{owner}: {name} must be ids (N,), padded ids (N, T), or N lists of ids, got "
                f"{values.dtype} of shape {values.shape}."
            )
        width = 1 if values.ndim == 1 else values.shape[1]
        return np.repeat(np.arange(len(values)), width), values.reshape(-1), len(values)
    lists = [np.asarray(() if is_missing_list(row) else row) for row in values]
    for row, ids in enumerate(lists):
        if ids.ndim != 1:
            raise TypeError(f"{owner}: {name} must hold a list of ids in row {row}, got {ids!r}.")
    lengths = [len(ids) for ids in lists]
    filled = [ids for ids in lists if len(ids)]
    flat = np.concatenate(filled) if filled else np.zeros(0, np.int64)
    return np.repeat(np.arange(len(lists)), lengths), flat, len(lists)
