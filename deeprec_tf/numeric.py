"""Which arrays hold numbers. NumPy only."""

from __future__ import annotations

import contextlib
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
