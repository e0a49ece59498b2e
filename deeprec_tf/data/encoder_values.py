"""Columns of a table as an encoder reads them: keys to learn from, ids, raw tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from deeprec_tf.data.encoder_features import Category, CategoryList, Feature, Number, Text
from deeprec_tf.data.number_transforms import NumberState, float32_values, invert_number
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


def raw_column(feature: Feature, vocabulary: Vocabulary | None, table: Table) -> np.ndarray:
    """A column as the encoder's Keras layers take it."""
    if isinstance(feature, Text):
        return texts(feature, table)
    if isinstance(feature, Number):
        return float32_values(feature.name, get_series(_OWNER, table, feature.name))
    if vocabulary is None:
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
    fill = missing if feature.padding is None else feature.padding
    padded, _ = Ragged(keys[present.values], present.lengths).padded(fill=fill)
    return padded


def raw_values(
    feature: Feature,
    vocabulary: Vocabulary | None,
    state: NumberState | None,
    values: np.ndarray,
) -> Any:
    """The raw column of a model input, as far as it can be known."""
    if isinstance(feature, CategoryList) and vocabulary is not None:
        rows = zip(vocabulary.decode(values), values != PADDING_ID, strict=True)
        return [row[real].tolist() for row, real in rows]
    if isinstance(feature, Category) and vocabulary is not None:
        return pd.Series(vocabulary.decode(values), dtype=object)
    if isinstance(feature, Number) and state is not None:
        return invert_number(feature, state, values)
    return values


def _elements(feature: CategoryList, table: Table) -> Ragged:
    elements = to_ragged(feature.name, get_column(_OWNER, table, feature.name), feature.separator)
    if feature.padding is None:
        return elements
    is_padding = np.asarray(pd.Series(elements.values) == feature.padding, dtype=bool)
    return elements.keep(~is_padding)
