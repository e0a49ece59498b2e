"""Numbers to model inputs: filled, then standardized, log1p-ed or bucketized.

Inputs are float32. The arithmetic runs in float64 and is rounded once at the end, so that
another implementation of it (the exported Keras layers) gives the same bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from deeprec_tf.data.encoder_features import DEFAULT_BINS, Number
from deeprec_tf.data.vocabulary import OOV_ID

FIRST_BUCKET_ID = OOV_ID + 1


@dataclass(frozen=True, slots=True)
class NumberState:
    """What was learned about a number.

    Attributes:
        fill: what missing values become; None gives them an id of their own (buckets).
        mean: mean of the column, for "standardize", rounded to float32.
        variance: its variance, rounded to float32; 1 for a constant column.
        edges: inner edges of the buckets, each a float32 number.
    """

    fill: float | None = None
    mean: float = 0.0
    variance: float = 1.0
    edges: tuple[float, ...] = ()

    @property
    def size(self) -> int:
        """Number of ids that buckets need, padding and missing counted."""
        return FIRST_BUCKET_ID + len(self.edges) + 1


def float32_values(column: str, values: Any) -> np.ndarray:
    """A column of numbers as float32; missing ones and infinities as NaN.

    Raises:
        TypeError: the column holds no numbers.
    """
    series = values if isinstance(values, pd.Series) else pd.Series(values)
    kind = pd.api.types
    if kind.is_object_dtype(series.dtype):
        present = series[series.notna()]
        numbers = (bool, int, float, np.bool_, np.integer, np.floating)
        if all(isinstance(value, numbers) for value in present):
            series = series.astype("Float64")
    if not kind.is_numeric_dtype(series.dtype):
        mend = "with pandas.to_numeric, or declare it as Category"
        if kind.is_datetime64_any_dtype(series.dtype) or kind.is_timedelta64_dtype(series.dtype):
            mend = "to seconds or days, for example with (times - times.min()).dt.days"
            mend = "to seconds, with .dt.total_seconds()" if series.dtype.kind == "m" else mend
        raise TypeError(
            f"FeatureEncoder: column {column!r} must hold numbers, got {series.dtype}. Convert it "
            f"{mend}."
        )
    plain = series.to_numpy(dtype=np.float64, na_value=np.nan)
    with np.errstate(over="ignore"):
        rounded = plain.astype(np.float32)
    rounded[~np.isfinite(rounded)] = np.nan
    return rounded


def fit_number(feature: Number, values: Any) -> NumberState:
    """Learn fill value, mean and variance, or edges.

    Raises:
        TypeError: the column holds no numbers.
        ValueError: every value is missing where some are needed, or the numbers are too close
            together, or too far apart, to be standardized.
    """
    numbers = float32_values(feature.name, values).astype(np.float64)
    numbers = numbers[~np.isnan(numbers)]
    buckets = feature.transform == "bucketize"
    fill = feature.fill
    if fill is None and not buckets:
        fill = "mean"
    needs_values = isinstance(fill, str) or feature.transform == "standardize"
    if not len(numbers) and (needs_values or (buckets and feature.edges is None)):
        raise ValueError(
            f"FeatureEncoder: column {feature.name!r} has no number to learn from. Drop the "
            "feature, or give fill= and edges= yourself."
        )
    if isinstance(fill, str):
        fill = float(numbers.mean() if fill == "mean" else np.median(numbers))
    if fill is not None:
        fill = float(np.float32(fill))
    if buckets:
        return NumberState(fill=fill, edges=_edges(feature, numbers))
    if feature.transform != "standardize":
        return NumberState(fill=fill)
    mean, variance = float(numbers.mean()), float(numbers.var())
    if numbers.min() == numbers.max():
        mean, variance = float(numbers[0]), 1.0
    elif variance < 1e-14:  # keras.layers.Normalization divides by at least 1e-7
        raise ValueError(
            f"FeatureEncoder: column {feature.name!r} has a standard deviation of only "
            f"{variance**0.5:.1e}, below what float32 can standardize. Multiply it first."
        )
    if variance > float(np.finfo(np.float32).max):
        raise ValueError(
            f"FeatureEncoder: column {feature.name!r} has a standard deviation of "
            f"{variance**0.5:.1e}, above what float32 can standardize. Divide it first."
        )
    # keras.layers.Normalization holds both as float32: the same rounding here, the same bits.
    return NumberState(
        fill=fill, mean=float(np.float32(mean)), variance=float(np.float32(variance))
    )


def apply_number(feature: Number, state: NumberState, values: Any) -> np.ndarray:
    """The model's input: float32, or int32 ids with "bucketize"; never NaN."""
    numbers = float32_values(feature.name, values)
    missing = np.isnan(numbers)
    numbers[missing] = 0.0 if state.fill is None else state.fill
    if feature.transform == "bucketize":
        edges = np.asarray(state.edges, np.float32)
        ids = FIRST_BUCKET_ID + np.searchsorted(edges, numbers, side="right")
        return np.where(missing & (state.fill is None), OOV_ID, ids).astype(np.int32)
    if feature.transform is None:
        return numbers
    exact = numbers.astype(np.float64)
    if feature.transform == "log1p":
        return (np.sign(exact) * np.log1p(np.abs(exact))).astype(np.float32)
    return ((exact - state.mean) / np.sqrt(state.variance)).astype(np.float32)


def invert_number(feature: Number, state: NumberState, values: Any) -> Any:
    """Raw numbers (float64) from model inputs; of bucket ids the intervals, None for missing."""
    values = np.asarray(values)
    if feature.transform == "bucketize":
        bounds = [-np.inf, *state.edges, np.inf]
        spans = [
            pd.Interval(*pair, closed="left") for pair in zip(bounds, bounds[1:], strict=False)
        ]
        table = np.empty(state.size, object)
        table[FIRST_BUCKET_ID:] = spans
        return table[values]
    exact = values.astype(np.float64)
    if feature.transform == "log1p":
        return np.sign(exact) * np.expm1(np.abs(exact))
    if feature.transform == "standardize":
        return exact * np.sqrt(state.variance) + state.mean
    return exact


def _edges(feature: Number, numbers: np.ndarray) -> tuple[float, ...]:
    if feature.edges is not None:
        edges = np.asarray(feature.edges, np.float32)
        if len(np.unique(edges)) < len(edges):
            raise ValueError(
                f"FeatureEncoder: edges of {feature.name!r} are too close together for float32: "
                f"{feature.edges}."
            )
    else:
        bins = feature.bins or DEFAULT_BINS
        edges = np.quantile(numbers, np.arange(1, bins) / bins).astype(np.float32)
    return tuple(float(edge) for edge in np.unique(edges))
