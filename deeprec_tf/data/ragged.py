"""Lists of different lengths as one flat array, and their padded form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd


@dataclass(frozen=True, slots=True)
class Ragged:
    """Rows of different lengths: `values` one after the other, `lengths` (N,) of the rows."""

    values: Any
    lengths: np.ndarray

    def __len__(self) -> int:
        return len(self.lengths)

    def keep(self, mask: np.ndarray) -> Ragged:
        """Only the elements where `mask` is True."""
        row = np.repeat(np.arange(len(self)), self.lengths)
        lengths = np.bincount(row[mask], minlength=len(self))
        return Ragged(self.values[mask], lengths.astype(np.int64))

    def padded(self, maxlen: int | None = None, fill: Any = 0) -> tuple[np.ndarray, np.ndarray]:
        """The last `maxlen` elements of each row, left-aligned, and their count (int32).

        `maxlen` is the longest row (at least 1) when left out.
        """
        if maxlen is None:
            maxlen = max(int(self.lengths.max(initial=0)), 1)
        length = np.minimum(self.lengths, maxlen)
        first = np.cumsum(self.lengths) - length
        return padded_windows(np.asarray(self.values), first, length, maxlen, fill), length.astype(
            np.int32
        )


def padded_windows(
    flat: np.ndarray, first: np.ndarray, length: np.ndarray, maxlen: int, fill: Any = 0
) -> np.ndarray:
    """`flat[first:first + length]` a row, left-aligned in (N, maxlen), `fill` behind it."""
    behind = np.full(maxlen, fill, dtype=flat.dtype)
    view = np.lib.stride_tricks.sliding_window_view(np.concatenate([flat, behind]), maxlen)
    windows = view[first]
    windows[np.arange(maxlen) >= length[:, None]] = fill
    return windows


def to_ragged(column: str, values: Any, separator: str | None = None) -> Ragged:
    """A column of lists as one `Ragged`; a missing list is an empty one.

    Args:
        column: name of the column, for errors.
        values: lists, tuples or arrays in a Series or list; a 2-D array; or a `Ragged`.
            With `separator`: texts.
        separator: where to split texts.

    Raises:
        TypeError: a row is not what was declared.
    """
    if separator is not None:
        return _split_texts(column, values, separator)
    if isinstance(values, Ragged):
        return values
    if isinstance(values, np.ndarray) and values.ndim == 2:
        return Ragged(values.reshape(-1), np.full(len(values), values.shape[1], np.int64))
    rows = [_as_list(column, row) for row in values]
    lengths = np.fromiter((len(row) for row in rows), np.int64, len(rows))
    filled = [row for row in rows if len(row)]
    if all(isinstance(row, np.ndarray) and row.dtype == filled[0].dtype for row in filled):
        return Ragged(np.concatenate(filled) if filled else np.zeros(0, object), lengths)
    flat = np.empty(int(lengths.sum()), object)
    flat[:] = [value for row in filled for value in row]
    return Ragged(pd.Series(flat, dtype=object).to_numpy(), lengths)


def is_missing_list(row: Any) -> bool:
    """Whether a row says that it has no list: None, NaN or pandas' NA."""
    return row is None or row is pd.NA or (isinstance(row, float | np.floating) and np.isnan(row))


def _as_list(column: str, row: Any) -> Any:
    if isinstance(row, list | tuple):
        return row
    if isinstance(row, np.ndarray) and row.ndim == 1:
        return row
    if is_missing_list(row):
        return ()
    mend = "declare separator=..." if isinstance(row, str) else "wrap single values in a list"
    raise TypeError(
        f"FeatureEncoder: column {column!r} must hold lists or arrays, got {row!r} of type "
        f"{type(row).__name__}. Give lists, or {mend}."
    )


def _split_texts(column: str, values: Any, separator: str) -> Ragged:
    series = None
    if not isinstance(values, Ragged) and getattr(values, "ndim", 1) == 1:
        series = pd.Series(values)
        others = [value for value in series[series.notna()] if not isinstance(value, str)]
    if series is None or others:
        got = f"{others[0]!r} of type {type(others[0]).__name__}" if series is not None else "lists"
        raise TypeError(
            f"FeatureEncoder: column {column!r} was declared with separator={separator!r} and must "
            f"hold texts, got {got}. Give texts, or declare it without separator."
        )
    codes, texts = pd.factorize(series)
    # Each distinct text is split once; code -1, a missing text, is the empty row at the end.
    pieces = [[piece for piece in text.split(separator) if piece] for text in texts] + [[]]
    lengths = np.fromiter((len(row) for row in pieces), np.int64, len(pieces))
    flat = np.array([piece for row in pieces for piece in row], dtype=object)
    starts = (np.cumsum(lengths) - lengths)[codes]
    row_lengths = lengths[codes]
    row_ends = np.cumsum(row_lengths)
    within = np.arange(row_ends[-1] if len(row_ends) else 0) - np.repeat(
        row_ends - row_lengths, row_lengths
    )
    return Ragged(flat[np.repeat(starts, row_lengths) + within], row_lengths)
