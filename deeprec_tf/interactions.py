"""What interaction models share: their two lists of columns, numbers as fields, the logit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from deeprec_tf.features import FeatureColumn
from deeprec_tf.inputs import (
    Tables,
    Tensors,
    embedding_lookup,
    field_groups,
    field_lookup,
    merge_columns,
    refuse_sequences,
)
from deeprec_tf.layers.core.dense_fields import DenseFields


def interaction_columns(
    linear_feature_columns: Sequence[FeatureColumn],
    dnn_feature_columns: Sequence[FeatureColumn] | None,
    *,
    has_linear: bool,
) -> tuple[list[FeatureColumn], list[FeatureColumn]]:
    """Columns of the linear part, and those of the interactions and the tower.

    Args:
        linear_feature_columns: the first list of an interaction model.
        dnn_feature_columns: the second. Where it is left out, the first is used for the
            interactions, and for the linear part if the model has one.
        has_linear: whether the model of the paper has a linear part.

    Returns:
        Both lists, each column once; the first may be empty, and then there is no linear part.
    """
    linear = merge_columns(linear_feature_columns, [])
    if dnn_feature_columns is not None:
        return linear, merge_columns(dnn_feature_columns, [])
    return (linear if has_linear else []), linear


def all_fields(
    inputs: Tensors,
    tables: Tables,
    feature_columns: Sequence[FeatureColumn],
    *,
    owner: str = "model",
) -> Any:
    """Categorical columns and numbers as fields: every number times a learned vector is one.

    Args:
        inputs: Inputs by name.
        tables: tables by name.
        feature_columns: the columns, at least one of them categorical.
        owner: the model's name, for messages.

    Returns:
        Float tensor (B, F + numbers, D), the numbers behind the categories.

    Raises:
        ValueError: no categorical column, widths differ, or a column stays a sequence.
    """
    groups, dense = field_groups(feature_columns, owner=owner)
    refuse_sequences(owner, dense)
    fields = field_lookup(inputs, tables, [c for columns in groups.values() for c in columns])
    if not dense:
        return fields
    numbers = embedding_lookup(inputs, tables, dense)  # (B, n)
    return keras.layers.Concatenate(axis=1)(
        [fields, DenseFields(fields.shape[-1], name="number_fields")(numbers)]
    )


def refuse_unread(
    owner: str, linear: Sequence[FeatureColumn], numbers: Sequence[FeatureColumn]
) -> None:
    """Raises ValueError for a number that only a tower would read, where there is no tower."""
    read = {column.name for column in linear}
    unread = next((column.name for column in numbers if column.name not in read), None)
    if unread is not None:
        raise ValueError(
            f"{owner}: {unread!r} is read by the tower alone, and hidden_units={()!r} leaves the "
            f"tower out. Add {unread!r} to linear_feature_columns, or take it out of "
            "dnn_feature_columns."
        )


def add_logits(logits: Sequence[Any]) -> Any:
    """The sum of a logit's parts (B, 1), in a layer named "logit", a joint."""
    if len(logits) == 1:
        return keras.layers.Identity(name="logit", dtype="float32")(logits[0])
    return keras.layers.Add(name="logit", dtype="float32")(list(logits))
