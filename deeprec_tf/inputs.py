"""From columns to tensors: Input layers, embedding tables, look-ups and padding masks.

This is the one place where features meet layers. Builders only ever see tensors.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras

from deeprec_tf.features import (
    DenseFeat,
    FeatureColumn,
    SparseFeat,
    VarLenDenseFeat,
    VarLenSparseFeat,
    input_specs,
)
from deeprec_tf.layers.core.hash_ids import HashIds
from deeprec_tf.layers.core.masking import PaddingMask
from deeprec_tf.layers.core.sequence_pooling import SequencePooling
from deeprec_tf.layers.core.table_embedding import TableEmbedding, require_eager

Tensors = Mapping[str, Any]


def build_input_layers(feature_columns: Iterable[FeatureColumn]) -> dict[str, Any]:
    """One named Input a column (and a length or weight), by name; the time axis is open.

    Example:
        >>> build_input_layers([SparseFeat("user", 3)])["user"].shape
        (None,)
    """
    require_eager()
    return {
        spec.name: keras.Input(shape=spec.shape, dtype=spec.dtype, name=spec.name)
        for spec in input_specs(feature_columns).values()
    }


def build_embedding_layers(
    feature_columns: Iterable[FeatureColumn],
    *,
    prefix: str = "embedding_",
    width: int | None = None,
) -> dict[str, TableEmbedding]:
    """One table for every `embedding_name`, by that name.

    Args:
        feature_columns: the columns; dense ones have no table.
        prefix: the layers are named prefix + table.
        width: width of all tables instead of each column's `embedding_dim` (1 for linear
            weights: they start at 0 and are summed in float32, as parts of a logit).

    Returns:
        Dict from table name to layer; layers are named "embedding_<table>".
    """
    owners: dict[str, SparseFeat] = {}
    for column in feature_columns:
        if isinstance(column, VarLenSparseFeat):
            column = column.sparsefeat
        if isinstance(column, SparseFeat):
            # The column that brings start values, or else an initializer, speaks for the table.
            name = str(column.embedding_name)
            owners[name] = max(owners.get(name, column), column, key=_says_of_its_table)
    tables = {}
    for name, column in owners.items():
        arguments = {"trainable": column.trainable, "pretrained": column.pretrained}
        if column.embeddings_initializer is not None:
            arguments["embeddings_initializer"] = column.embeddings_initializer
        if width is not None:
            arguments = {"embeddings_initializer": "zeros", "dtype": "float32"}
        tables[name] = TableEmbedding(
            column.vocabulary_size, width or int(column.embedding_dim), name=prefix + name,
            **arguments,
        )
    return tables


def _says_of_its_table(column: SparseFeat) -> tuple[bool, bool]:
    return column.pretrained is not None, column.embeddings_initializer is not None


def _ids(inputs: Tensors, column: SparseFeat | VarLenSparseFeat) -> Any:
    ids = inputs[column.name]
    return HashIds(column.vocabulary_size)(ids) if column.use_hash else ids


def _row(inputs: Tensors, tables: Mapping[str, TableEmbedding], column: FeatureColumn) -> Any:
    """One column as (B, width), or (B, T, width) for a sequence that is not pooled."""
    if isinstance(column, DenseFeat):
        return keras.ops.cast(inputs[column.name], keras.config.floatx())
    if isinstance(column, VarLenDenseFeat):
        values = keras.ops.cast(inputs[column.name], keras.config.floatx())
        return values if column.dimension > 1 else keras.ops.expand_dims(values, -1)
    table = tables[str(column.embedding_name)]
    vectors = table(_ids(inputs, column))
    if isinstance(column, SparseFeat) or column.combiner == "none":
        return vectors
    if column.group > 1:
        raise ValueError(
            f"{column.name}: a column with group={column.group} cannot be pooled to one field. "
            "Use combiner='none'."
        )
    weights = () if column.weight_name is None else (inputs[column.weight_name],)
    pooling = SequencePooling(
        column.combiner, weight_norm=column.weight_norm, dtype=table.dtype_policy
    )
    return pooling(vectors, padding_mask(inputs, [column]), *weights)


def concat(tensors: Sequence[Any]) -> Any:
    """Joins tensors along the last axis; one tensor stays as it is."""
    return tensors[0] if len(tensors) == 1 else keras.layers.Concatenate(axis=-1)(list(tensors))


def embedding_lookup(
    inputs: Tensors,
    tables: Mapping[str, TableEmbedding],
    feature_columns: Sequence[FeatureColumn],
) -> Any:
    """Columns as one tensor, joined along the last axis in their order.

    Sparse columns give their row, dense ones their values, sequences are pooled by their
    combiner. Sequences with combiner "none" stay sequences and join only each other.

    Args:
        inputs: Inputs by name.
        tables: tables by name.
        feature_columns: the columns, at least one.

    Returns:
        Float tensor (B, C); (B, T, C) for sequences, (B, T, group, C) with a group.

    Raises:
        ValueError: no column, or sequences mixed with single rows.
    """
    if not feature_columns:
        raise ValueError("embedding_lookup: no columns were given.")
    vectors = [_row(inputs, tables, column) for column in feature_columns]
    if len({len(vector.shape) for vector in vectors}) > 1:
        raise ValueError(
            "embedding_lookup: sequences (combiner 'none') cannot be joined with single rows: "
            f"{[column.name for column in feature_columns]}."
        )
    return concat(vectors)


def merge_columns(
    first: Sequence[FeatureColumn], second: Sequence[FeatureColumn]
) -> list[FeatureColumn]:
    """Both lists as one, a column that stands in both once."""
    return list(dict.fromkeys([*first, *second]))


def field_groups(
    feature_columns: Sequence[FeatureColumn], *, owner: str = "model"
) -> tuple[dict[str, list[FeatureColumn]], list[FeatureColumn]]:
    """Categorical columns by `group_name`, and the dense ones.

    Raises:
        ValueError: there is no categorical column.
    """
    groups: dict[str, list[FeatureColumn]] = {}
    dense: list[FeatureColumn] = []
    for column in feature_columns:
        if isinstance(column, SparseFeat | VarLenSparseFeat):
            groups.setdefault(column.group_name, []).append(column)
        else:
            dense.append(column)
    if not groups:
        raise ValueError(f"{owner}: interactions need at least one SparseFeat or VarLenSparseFeat.")
    return groups, dense


def field_lookup(
    inputs: Tensors,
    tables: Mapping[str, TableEmbedding],
    feature_columns: Sequence[FeatureColumn],
) -> Any:
    """Categorical columns as fields of one width, for interactions.

    Returns:
        Float tensor (B, F, D).

    Raises:
        ValueError: no categorical column, widths differ, or a column stays a sequence.
    """
    refuse_sequences("field_lookup", feature_columns)
    sparse = [c for c in feature_columns if isinstance(c, SparseFeat | VarLenSparseFeat)]
    widths = {c.name: c.embedding_dim for c in sparse}
    if len(set(widths.values())) != 1:
        raise ValueError(
            "field_lookup: interacting fields need one embedding_dim, got "
            f"{widths or 'no categorical column'}. Set embedding_dim to one number for all of them."
        )
    vectors = [_row(inputs, tables, column) for column in sparse]
    return keras.ops.stack(vectors, axis=1)


def refuse_sequences(owner: str, feature_columns: Sequence[FeatureColumn]) -> None:
    """Raises ValueError for a column that stays a sequence where one value a row is wanted."""
    for column in feature_columns:
        pooled = isinstance(column, VarLenSparseFeat) and column.combiner != "none"
        if isinstance(column, VarLenSparseFeat | VarLenDenseFeat) and not pooled:
            what, mend = "combiner 'none'", "Set combiner to 'mean', 'sum' or 'max', or drop"
            if isinstance(column, VarLenDenseFeat):
                what, mend = "no combiner", "Drop"
            raise ValueError(
                f"{owner}: {column.name!r} has {what} and stays a sequence, but one value a row "
                f"is wanted. {mend} the column."
            )


def linear_logit(inputs: Tensors, feature_columns: Sequence[FeatureColumn]) -> Any:
    """The linear part: Σ of one weight an id (start 0) and a weighted sum of the dense values.

    Multi-valued columns are pooled by their combiner. The bias is the prediction layer's.

    Returns:
        Float tensor (B, 1).

    Raises:
        ValueError: no column, or one that stays a sequence.
    """
    refuse_sequences("linear_logit", feature_columns)
    tables = build_embedding_layers(feature_columns, prefix="linear_", width=1)
    sparse = [c for c in feature_columns if isinstance(c, SparseFeat | VarLenSparseFeat)]
    dense = [c for c in feature_columns if isinstance(c, DenseFeat)]
    terms = [_row(inputs, tables, column) for column in sparse]
    if dense:
        values = embedding_lookup(inputs, {}, dense)
        terms.append(
            keras.layers.Dense(1, use_bias=False, name="linear_dense", dtype="float32")(values)
        )
    if not terms:
        raise ValueError("linear_logit: no columns were given.")
    if len(terms) == 1:
        return terms[0]
    return keras.layers.Add(name="linear_logit", dtype="float32")(terms)


def padding_mask(inputs: Tensors, feature_columns: Sequence[FeatureColumn]) -> Any:
    """The mask of sequences that run in step.

    Position < length where one of them names a length, id != 0 of the first sparse one otherwise.

    Returns:
        bool tensor (B, T), True = real.

    Raises:
        ValueError: no column is a sequence.
    """
    sparse = [c for c in feature_columns if isinstance(c, VarLenSparseFeat)]
    if not sparse:
        raise ValueError(
            "padding_mask: none of "
            f"{[column.name for column in feature_columns]} is a VarLenSparseFeat."
        )
    named = next((c for c in sparse if c.length_name is not None), None)
    if named is None:
        return PaddingMask()(inputs[sparse[0].name])
    return PaddingMask()(inputs[named.name], inputs[named.length_name])
