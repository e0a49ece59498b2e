"""Which arrays hold numbers, and which arguments are counts. NumPy only."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from numbers import Integral
from typing import Any

import numpy as np


def as_numbers(values: Any) -> np.ndarray:
    """The values as an array; objects that are numbers, as pandas' nullable ones, as float64.

    Missing values (None, pandas.NA) become NaN where the rest are numbers. Texts are not read as
    numbers: what holds one stays as it is, see `holds_numbers`.
    """
    array = np.asarray(values)
    if array.dtype == object and not any(isinstance(one, str | bytes) for one in array.flat):
        with contextlib.suppress(TypeError, ValueError):
            return np.asarray(values, "float64")  # of the values: pandas' NA is no float
    return array


def holds_numbers(array: np.ndarray) -> bool:
    """Whether the dtype is boolean, integer, float or complex: no text, time or object."""
    return array.dtype.kind not in "MOSUm"


def values_by_id(what: str, values: Any) -> np.ndarray:
    """Numbers whose places are ids, as an array.

    Args:
        what: the beginning of messages, such as "InBatch: counts must have one number an id".
        values: array-like (V,).

    Raises:
        TypeError: no numbers; or a dict or Series, whose labels and not the places are the ids.
    """
    labels: Any = getattr(values, "index", None)
    is_series = labels is not None and not callable(labels)  # a list has a method of this name
    if isinstance(values, Mapping) or (
        is_series and not np.array_equal(labels, np.arange(len(values)))
    ):
        raise TypeError(
            f"{what}, got a {type(values).__name__} with labels. Of a Series of counts by id, give "
            ".reindex(range(V), fill_value=0).to_numpy()."
        )
    array = as_numbers(values)
    if not holds_numbers(array):
        raise TypeError(f"{what}, got dtype {array.dtype}.")
    return array


def check_whole_numbers(owner: str, **numbers: int | None) -> None:
    """Raises ValueError for an argument that is neither a whole number from 1 on nor None."""
    for name, number in numbers.items():
        if number is None:
            continue
        if not isinstance(number, Integral) or isinstance(number, bool) or number < 1:
            raise ValueError(f"{owner}: {name} must be a whole number from 1 on, got {number!r}.")
