"""Columns of a table as an encoder reads them: keys to learn from, ids, raw tensors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import numpy as np
import pandas as pd

from deeprec_tf.data.encoder_features import Category, CategoryList, Feature, Number, Text
from deeprec_tf.data.number_transforms import (
    NumberState,
    apply_number,
    fit_number,
    float32_values,
    invert_number,
)
from deeprec_tf.data.ragged import Ragged, to_ragged
from deeprec_tf.data.tables import Table, get_column, get_series
from deeprec_tf.data.vocabulary import MISSING_INTEGER, PADDING_ID, Vocabulary

_OWNER = "FeatureEncoder"


def source_keys(feature: Category | CategoryList, table: Table) -> Any:
    """The keys that a vocabulary is learned from, flat."""
    if isinstance(feature, Category):
        return get_series(_OWNER, table, feature.name)
    return _elements(feature, table).values


def list_ids(
    feature: CategoryList, vocabulary: Vocabulary, table: Table
) -> tuple[np.ndarray, np.ndarray]:
    """Ids (N, maxlen) int32 and lengths (N,) int32 of a column of lists."""
    elements = _elements(feature, table)
    ids = vocabulary.encode(feature.name, elements.values, missing=PADDING_ID)
    return Ragged(ids, elements.lengths).keep(ids != PADDING_ID).padded(feature.maxlen)


def fit_numbers(features: Iterable[Feature], table: Table) -> dict[str, NumberState]:
    """What is learned about the numbers of a table.

    Raises:
        TypeError, ValueError: as `fit_number`.
    """
    return {
        feature.name: fit_number(feature, get_series(_OWNER, table, feature.name))
        for feature in features
        if isinstance(feature, Number)
    }


def model_inputs(
    feature: Feature, state: Any, table: Table
) -> dict[str, np.ndarray]:
    """The inputs that a feature gives: its own and, of a list, the length if it is wanted.

    Raises:
        TypeError: the column holds another type than at fit.
        ValueError: the column is missing.
    """
    if isinstance(feature, CategoryList) and isinstance(state, Vocabulary):
        ids, lengths = list_ids(feature, state, table)
        found = {feature.name: ids}
        if feature.length_name is not None:
            found[feature.length_name] = lengths
        return found
    if isinstance(feature, Text):
        return {feature.name: texts(feature, table)}
    column = get_series(_OWNER, table, feature.name)
    if isinstance(feature, Category) and isinstance(state, Vocabulary):
        return {feature.name: state.encode(feature.name, column, missing=feature.missing_id)}
    return {feature.name: apply_number(cast(Number, feature), state, column)}


def texts(feature: Text, table: Table) -> np.ndarray:
    """A column of texts as an object array of str, missing ones filled.

    Raises:
        TypeError: a value is no text.
    """
    series = get_series(_OWNER, table, feature.name)
    values = series.to_numpy(dtype=object)
    values = np.where(series.isna().to_numpy(), feature.fill, values).astype(object)
    wrong = [value for value in values if not isinstance(value, str)]
    if wrong:
        raise TypeError(
            f"{_OWNER}: column {feature.name!r} must hold text, got {wrong[0]!r} of type "
            f"{type(wrong[0]).__name__}. Convert it with .astype(str), or declare it as Number."
        )
    return values


def raw_column(
    feature: Feature, vocabulary: Vocabulary | NumberState | None, table: Table
) -> np.ndarray:
    """A column as the encoder's Keras layers take it."""
    if isinstance(feature, Text):
        return texts(feature, table)
    if isinstance(feature, Number):
        return float32_values(feature.name, get_series(_OWNER, table, feature.name))
    if not isinstance(vocabulary, Vocabulary):
        raise ValueError(f"{_OWNER}: {feature.name!r} has no vocabulary.")
    missing: Any = MISSING_INTEGER if vocabulary.kind == "int64" else ""
    if isinstance(feature, Category):
        codes, keys = vocabulary.key_table(feature.name, get_series(_OWNER, table, feature.name))
        return np.append(keys, np.asarray([missing], keys.dtype))[codes]
    if feature.separator is not None:
        return texts(Text(feature.name), table)
    elements = _elements(feature, table)
    codes, keys = vocabulary.key_table(feature.name, elements.values)
    present = Ragged(codes, elements.lengths).keep(codes >= 0)
    has_padding = vocabulary.kind == "int64" and feature.padding is not None
    fill = feature.padding if has_padding else missing
    padded, _ = Ragged(keys[present.values], present.lengths).padded(fill=fill)
    return padded


def raw_values(
    feature: Feature, state: Vocabulary | NumberState | None, values: np.ndarray
) -> Any:
    """The raw column of a model input, as far as it can be known."""
    if isinstance(feature, CategoryList) and isinstance(state, Vocabulary):
        rows = zip(state.decode(values), values != PADDING_ID, strict=True)
        return [row[real].tolist() for row, real in rows]
    if isinstance(feature, Category) and isinstance(state, Vocabulary):
        return pd.Series(state.decode(values), dtype=object)
    if isinstance(feature, Number) and isinstance(state, NumberState):
        return invert_number(feature, state, values)
    return values


def _elements(feature: CategoryList, table: Table) -> Ragged:
    elements = to_ragged(feature.name, get_column(_OWNER, table, feature.name), feature.separator)
    if feature.padding is None:
        return elements
    is_padding = np.asarray(pd.Series(elements.values) == feature.padding, dtype=bool)
    return elements.keep(~is_padding)
