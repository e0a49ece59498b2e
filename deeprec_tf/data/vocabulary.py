"""Vocabularies: raw keys to ids and back. Integer keys stay int64 all the way."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

PADDING_ID = 0
OOV_ID = 1
MISSING_INTEGER = -(2**63)  # stands for a missing integer in tensors, which have no NaN
_EXACT_FLOAT = 2**53  # up to here float64 holds every integer


class Vocabulary:
    """The keys of a category in the order of their ids.

    Args:
        name: name of the vocabulary.
        values: the keys, int64 or text, all different.
        owns_missing: id 2 is kept for missing values, and the keys start at 3, not 2.
        waiting: counts by key of those that did not occur often enough yet, as a Series;
            `extended` counts on from there. None for none.

    Attributes:
        values: the keys in the order of their ids, int64 or object array of str.
        first_id: id of `values[0]`.
        size: number of ids, padding (0) and out-of-vocabulary (1) counted: the
            `vocabulary_size` of a feature column.
        ids: the ids that stand for keys, int32: the candidates of a `NegativeSampler`.
    """

    def __init__(
        self,
        name: str,
        values: Any,
        *,
        owns_missing: bool = False,
        waiting: pd.Series | None = None,
    ):
        self.name = name
        self.values = np.asarray(values)
        if self.values.dtype.kind not in "iu":
            self.values = np.asarray(values, dtype=object)
        self.owns_missing = owns_missing
        self.first_id = OOV_ID + 1 + int(owns_missing)
        self._index = pd.Index(self.values, dtype=self.values.dtype)
        self.waiting = pd.Series(dtype=np.int64) if waiting is None else waiting

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        return f"Vocabulary({self.name!r}, {len(self)} {self.kind} keys)"

    @property
    def kind(self) -> str:
        """Type of the keys: "int64" or "string"."""
        return "int64" if self.values.dtype.kind in "iu" else "string"

    @property
    def size(self) -> int:
        """Number of ids, padding and out-of-vocabulary counted."""
        return self.first_id + len(self.values)

    @property
    def ids(self) -> np.ndarray:
        """The ids that stand for keys."""
        return np.arange(self.first_id, self.size, dtype=np.int32)

    @classmethod
    def learn(
        cls,
        name: str,
        columns: Iterable[tuple[str, Any]],
        *,
        min_frequency: int = 1,
        max_size: int | None = None,
        owns_missing: bool = False,
    ) -> Vocabulary:
        """A vocabulary from `(column name, values)` pairs: by falling count, then ascending.

        Raises:
            TypeError: the columns mix text and integers, or hold something else.
            ValueError: no key occurs `min_frequency` times.
        """
        counted = []
        kinds: dict[str, str] = {}
        for column, values in columns:
            codes, keys = key_table(column, values)
            counted.append(_counts(codes, keys))
            if len(keys):
                kinds[column] = "int64" if keys.dtype.kind == "i" else "string"
        if len(set(kinds.values())) > 1:
            raise TypeError(
                f"FeatureEncoder: vocabulary {name!r} is shared by columns of different types "
                f"{kinds}. Convert them to one type."
            )
        keys, waiting = _frequent(_added(counted), min_frequency, max_size)
        if not len(keys):
            raise ValueError(
                f"FeatureEncoder: no value of {name!r} occurs at least {min_frequency} times. "
                "Lower min_frequency, or drop the feature."
            )
        return cls(name, keys, owns_missing=owns_missing, waiting=waiting)

    def extended(
        self,
        columns: Iterable[tuple[str, Any]],
        *,
        min_frequency: int = 1,
        max_size: int | None = None,
    ) -> Vocabulary:
        """This vocabulary with the new keys of `(column name, values)` pairs behind its own.

        Keys keep their ids. A new one needs `min_frequency` occurrences, those before counted in;
        the new ones stand by falling count, then ascending, as far as `max_size` has room.

        Raises:
            TypeError: the columns are of another type than at fit.
        """
        counted = [_counts(*self.key_table(column, values)) for column, values in columns]
        counts = _added([self.waiting, *counted])
        room = None if max_size is None else max_size - len(self)
        keys, waiting = _frequent(counts[~counts.index.isin(self._index)], min_frequency, room)
        values = np.concatenate([self.values, keys.astype(self.values.dtype)])
        return Vocabulary(self.name, values, owns_missing=self.owns_missing, waiting=waiting)

    def key_table(self, column: str, values: Any) -> tuple[np.ndarray, np.ndarray]:
        """Codes into distinct keys, -1 where missing, and the keys, of this vocabulary's type.

        Raises:
            TypeError: the values are of another type than at fit.
        """
        codes, keys = key_table(column, values)
        kind = "int64" if keys.dtype.kind == "i" else "string"
        if len(keys) and kind != self.kind:
            words = {"int64": "integers", "string": "text"}
            mend = ".astype(str)" if self.kind == "string" else ".astype('Int64')"
            raise TypeError(
                f"FeatureEncoder: column {column!r} holds {words[kind]}, but its vocabulary "
                f"{self.name!r} was fitted on {words[self.kind]}. Convert it with {mend}."
            )
        return codes, keys.astype(self.values.dtype)

    def encode(self, column: str, values: Any, *, missing: int = OOV_ID) -> np.ndarray:
        """Ids (int32) of a column's values; `missing` is the id of missing ones.

        Raises:
            TypeError: the values are of another type than at fit.
        """
        codes, keys = self.key_table(column, values)
        place = self._index.get_indexer(pd.Index(keys, dtype=keys.dtype))
        ids = np.where(place < 0, OOV_ID, place + self.first_id)
        return np.append(ids, missing).astype(np.int32)[codes]  # code -1 is the last

    def decode(self, ids: Any, *, unknown: Any = None) -> np.ndarray:
        """Keys of ids, in the shape of `ids`; `unknown` for padding, out-of-vocabulary, missing.

        Returns:
            An object array; int64 where keys and `unknown` are integers.

        Raises:
            ValueError: an id lies outside 0..size-1.
        """
        ids = np.asarray(ids)
        if ids.size and (ids.min() < 0 or ids.max() >= self.size):
            raise ValueError(
                f"Vocabulary({self.name!r}): ids must lie in 0..{self.size - 1}, got "
                f"{ids.min()}..{ids.max()}."
            )
        whole = self.kind == "int64" and isinstance(unknown, int | np.integer)
        table = np.empty(self.size, np.int64 if whole else object)
        table[: self.first_id] = unknown
        table[self.first_id :] = self.values if whole else self.values.tolist()
        return table[ids]


def _counts(codes: np.ndarray, keys: np.ndarray) -> pd.Series:
    """How often each key occurs."""
    counts = np.bincount(codes[codes >= 0], minlength=len(keys))
    return pd.Series(counts, index=pd.Index(keys, dtype=keys.dtype))


def _added(parts: list[pd.Series]) -> pd.Series:
    """Counts added by key, the keys ascending."""
    parts = [part for part in parts if len(part)] or parts[:1]  # empty ones have no type of keys
    return pd.concat(parts).groupby(level=0, sort=True).sum()


def _frequent(
    counts: pd.Series, min_frequency: int, room: int | None
) -> tuple[np.ndarray, pd.Series | None]:
    """The keys that occur often enough, by falling count; and those that may once."""
    enough = counts >= min_frequency
    keys = counts[enough].sort_values(ascending=False, kind="stable").index.to_numpy()[:room]
    is_full = room is not None and len(keys) == room
    return keys, None if is_full else counts[~enough]


def key_table(column: str, values: Any) -> tuple[np.ndarray, np.ndarray]:
    """Codes into distinct keys, -1 where missing, and the keys as int64 or object array of str.

    Raises:
        TypeError: the values are neither text nor integers.
        ValueError: an integer is too large.
    """
    series = values if isinstance(values, pd.Series) else pd.Series(values)
    codes: np.ndarray
    keys: Any
    if isinstance(series.dtype, pd.CategoricalDtype):
        codes, keys = series.cat.codes.to_numpy(np.int64), series.cat.categories
    else:
        try:
            codes, keys = pd.factorize(series)
        except TypeError as error:
            raise TypeError(
                f"FeatureEncoder: column {column!r} must hold text or integers, got values that "
                f"can't be keys ({error}). Declare lists as CategoryList."
            ) from None
    keys, is_missing = _plain_keys(column, pd.Index(keys), series.dtype)
    if is_missing.any():  # codes that stand for an empty text
        codes = np.where(np.append(is_missing, True)[codes], -1, codes)
    return codes, keys


def _plain_keys(column: str, keys: pd.Index, dtype: Any) -> tuple[np.ndarray, np.ndarray]:
    none_missing = np.zeros(len(keys), bool)
    types = pd.api.types
    if types.is_bool_dtype(keys.dtype):
        return keys.to_numpy(dtype=np.int64), none_missing
    if types.is_integer_dtype(keys.dtype):
        if len(keys) and int(keys.max()) > np.iinfo(np.int64).max:
            raise ValueError(_beyond_int64(column))
        whole = keys.to_numpy(dtype=np.int64)
        return whole, whole == MISSING_INTEGER
    if types.is_float_dtype(keys.dtype):
        return _whole_numbers(column, keys.to_numpy(dtype=np.float64)), none_missing
    if not (types.is_object_dtype(keys.dtype) or types.is_string_dtype(keys.dtype)):
        is_date = types.is_datetime64_any_dtype(keys.dtype)
        mend = " (a date's day or month, with .dt)" if is_date else ", or declare it as Number"
        raise TypeError(
            f"FeatureEncoder: column {column!r} must hold text or integers, got {dtype}. "
            f"Convert it with .astype(str){mend}."
        )
    plain = keys.to_numpy(dtype=object)
    found = {type(key) for key in plain}
    if found <= {str, np.str_}:
        return plain, plain == ""
    if all(issubclass(kind, bool | np.bool_ | int | np.integer) for kind in found):
        try:
            whole = plain.astype(np.int64)
            return whole, whole == MISSING_INTEGER
        except OverflowError:
            raise ValueError(_beyond_int64(column)) from None
    if all(issubclass(kind, int | np.integer | float | np.floating) for kind in found):
        return _whole_numbers(column, plain.astype(np.float64)), none_missing
    raise TypeError(
        f"FeatureEncoder: column {column!r} must hold text or integers, got values of the types "
        f"{sorted(kind.__name__ for kind in found)}. Convert it with .astype(str)."
    )


def _whole_numbers(column: str, keys: np.ndarray) -> np.ndarray:
    """Integers that a missing value turned to float, where nothing was lost."""
    exact = np.isfinite(keys) & (np.abs(keys) <= _EXACT_FLOAT)
    exact &= np.floor(np.where(exact, keys, 0)) == keys
    if not exact.all():
        raise TypeError(
            f"FeatureEncoder: column {column!r} must hold text or integers, got the number "
            f"{float(keys[~exact][0])!r}. Declare it as Number, or read it as integers "
            "(.astype('Int64')) or text (.astype(str))."
        )
    return keys.astype(np.int64)


def _beyond_int64(column: str) -> str:
    return f"FeatureEncoder: column {column!r} has integers beyond int64. Convert it to text."
