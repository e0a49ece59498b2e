"""Embedding tables of a model: which columns share one, and which tables share a variable."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import keras
import numpy as np

from deeprec_tf.features import FeatureColumn, SparseFeat, VarLenSparseFeat
from deeprec_tf.layers.core.fused_embedding import FusedEmbedding
from deeprec_tf.layers.core.row_numbers import RowNumbers, RowPart
from deeprec_tf.layers.core.table_embedding import TableEmbedding
from deeprec_tf.layers.text.text_encoder import TextEncoder


class TableView:
    """One of the tables of a `FusedEmbedding`, called like a layer of its own.

    Attributes:
        layer: the layer that holds it.
        name: its name there.
    """

    def __init__(self, layer: FusedEmbedding, name: str) -> None:
        self.layer = layer
        self.name = name

    def __call__(self, ids: Any) -> Any:
        """Integer ids (...) to their vectors (..., D)."""
        layer = self.layer
        offset, size = layer.offsets[self.name], layer.tables[self.name]
        rows = layer(RowNumbers([offset], [size], layer.vocabulary_size)(ids))  # (..., 1, W)
        return keras.ops.squeeze(RowPart(0, layer.factors)(rows), axis=-2)


Table = TableEmbedding | TableView


def layer_of(tables: Mapping[str, Table], column: Any) -> TableEmbedding:
    """The layer that holds a column's table."""
    table = tables[str(column.embedding_name)]
    return table.layer if isinstance(table, TableView) else table


class EmbeddingTables(dict[str, Table]):
    """Embedding tables by name: a layer, or its part of a layer that holds several.

    Attributes:
        gathered: what was looked up so far, as (columns, rows) by the ids of the Input tensors,
            so that factors and linear weights of a column come out of one gather.
    """

    def __init__(self, tables: Mapping[str, Table]) -> None:
        super().__init__(tables)
        self.gathered: dict[Any, tuple[list[FeatureColumn], Any]] = {}


def sparse_column(column: FeatureColumn) -> SparseFeat | None:
    """The column that names the table, or None for numbers."""
    if isinstance(column, VarLenSparseFeat):
        return column.sparsefeat
    return column if isinstance(column, SparseFeat) else None


def build_embedding_layers(
    feature_columns: Iterable[FeatureColumn],
    *,
    linear_feature_columns: Iterable[FeatureColumn] = (),
    prefix: str = "embedding_",
    width: int | None = None,
    fuse: bool = True,
) -> EmbeddingTables:
    """The layer of every `embedding_name`, by that name.

    Tables of one width that are all trained, or all frozen, are stacked in one
    `FusedEmbedding`; a table that stands alone is a `TableEmbedding`.

    Args:
        feature_columns: the columns; dense ones have no table.
        linear_feature_columns: columns of the linear part. Where a table is in both lists, its
            rows end in the linear weight; `linear_logit` reads it there.
        prefix: a table that stands alone is named prefix + table, fused ones
            prefix + "tables_" + width.
        width: width of all tables instead of each column's `embedding_dim` (1 for linear
            weights: they start at 0 and are summed in float32, as parts of a logit).
        fuse: False gives every table a variable of its own, as a model needs that multiplies by
            a whole table.

    Returns:
        Dict from table name to what gives ids their vectors: a layer or a `TableView`.
    """
    linear = {column.embedding_name for column in map(sparse_column, linear_feature_columns)
              if column is not None}  # fmt: skip
    groups: dict[tuple, dict[str, SparseFeat]] = {}
    for name, column in _owners(feature_columns).items():
        # A frozen table keeps its linear weight, which is trained, in a table of its own.
        trainable = column.trainable or width is not None
        key = (width or int(column.embedding_dim), trainable, trainable and name in linear)
        groups.setdefault(key if fuse else (*key, name), {})[name] = column
    tables: dict[str, Table] = {}
    for key, columns in groups.items():
        layer = _layer(columns, *key[:3], prefix=prefix, zeros=width is not None)
        is_fused = isinstance(layer, FusedEmbedding)
        tables |= {name: TableView(layer, name) if is_fused else layer for name in columns}
    return EmbeddingTables(tables)


def _owners(feature_columns: Iterable[FeatureColumn]) -> dict[str, SparseFeat]:
    """By table, the column that brings start values, or else an initializer: it speaks for it.

    Raises:
        ValueError: two columns bring different start values to one table.
    """
    owners: dict[str, SparseFeat] = {}
    for column in map(sparse_column, feature_columns):
        if column is not None:
            name = str(column.embedding_name)
            known = owners.get(name, column)
            one, other = known.pretrained, column.pretrained
            is_given = one is not None and other is not None and one is not other
            if is_given and not np.array_equal(one, other):
                raise ValueError(
                    f"feature_columns: {known.name!r} and {column.name!r} share the table {name!r} "
                    "but differ in pretrained. Give it to one of them, or give one of them another "
                    "embedding_name."
                )
            owners[name] = max(known, column, key=_says_of_its_table)
    return owners


def _says_of_its_table(column: SparseFeat) -> tuple[bool, bool]:
    return column.pretrained is not None, column.embeddings_initializer is not None


def _layer(
    columns: dict[str, SparseFeat], dim: int, trainable: bool, linear: bool, *, prefix: str,
    zeros: bool,
) -> TableEmbedding:
    """One layer for tables that belong together."""
    if len(columns) == 1 and not linear:
        ((name, column),) = columns.items()
        arguments: dict[str, Any] = {"pretrained": column.pretrained}
        if column.embeddings_initializer is not None:
            arguments["embeddings_initializer"] = column.embeddings_initializer
        if zeros:
            arguments = {"embeddings_initializer": "zeros", "dtype": "float32"}
        return TableEmbedding(
            column.vocabulary_size, dim, name=prefix + name, trainable=trainable, **arguments
        )
    initializers = {n: c.embeddings_initializer for n, c in columns.items()}
    pretrained = {n: c.pretrained for n, c in columns.items()}
    arguments = {
        "embeddings_initializers": {n: i for n, i in initializers.items() if i is not None},
        "pretrained": {n: p for n, p in pretrained.items() if p is not None},
    }
    if zeros:
        arguments = {"embeddings_initializers": dict.fromkeys(columns, "zeros"), "dtype": "float32"}
    kind = ("" if trainable else "_frozen") + ("_and_weights" if linear else "")
    return FusedEmbedding(
        {name: column.vocabulary_size for name, column in columns.items()}, dim, linear=linear,
        name=f"{prefix}tables_{dim}{kind}", trainable=trainable, **arguments,
    )


class TablePlace(NamedTuple):
    """Where a table is stored.

    Attributes:
        layer: the layer whose variable `embeddings` holds it.
        rows: its rows of that variable.
        columns: its columns.
    """

    layer: Any
    rows: slice
    columns: slice


def table_places(model: keras.Model) -> dict[tuple[str, bool], TablePlace]:
    """The places of a model's tables, by their name and whether it is the linear weights'."""
    places: dict[tuple[str, bool], TablePlace] = {}
    for layer in model.layers:
        is_linear = layer.name.startswith("linear_")
        if isinstance(layer, FusedEmbedding):
            for name, first in layer.offsets.items():
                rows = slice(first, first + layer.tables[name])
                factors = slice(0, layer.factors)
                places.setdefault((name, is_linear), TablePlace(layer, rows, factors))
                if layer.linear:
                    weights = slice(layer.factors, layer.factors + 1)
                    places.setdefault((name, True), TablePlace(layer, rows, weights))
        elif isinstance(layer, TableEmbedding):
            kind, _, name = layer.name.partition("_")
            if kind in ("embedding", "linear"):
                rows, columns = slice(0, layer.vocabulary_size), slice(0, layer.embedding_dim)
                places.setdefault((name, is_linear), TablePlace(layer, rows, columns))
        elif isinstance(layer, TextEncoder):
            for name, table in layer.embedding_layers.items():
                places.setdefault((name, False), TablePlace(table, slice(None), slice(None)))
    return places


def table_values(model: keras.Model, name: str, *, linear: bool = False) -> np.ndarray:
    """The embedding table of a name as an array, wherever it is stored.

    Args:
        model: a model of a builder.
        name: the table: the column's `embedding_name`, or its name.
        linear: the weights of the linear part instead of the factors.

    Returns:
        float32 array (vocabulary_size, embedding_dim); (vocabulary_size, 1) for linear weights.

    Raises:
        KeyError: the model has no such table.
    """
    layer, rows, columns = _place(model, name, linear)
    return np.array(layer.embeddings[rows, columns])


def set_table_values(model: keras.Model, name: str, values: Any, *, linear: bool = False) -> None:
    """Overwrites an embedding table, for a warm start; the optimizer's state stays.

    Args:
        model: a model of a builder.
        name: the table: the column's `embedding_name`, or its name.
        values: array (vocabulary_size, embedding_dim); (vocabulary_size, 1) for linear weights.
        linear: the weights of the linear part instead of the factors.

    Raises:
        KeyError: the model has no such table.
        ValueError: the array has another shape.
    """
    layer, rows, columns = _place(model, name, linear)
    everything = np.array(layer.embeddings)
    values, expected = np.asarray(values), everything[rows, columns].shape
    if values.shape != expected:
        raise ValueError(
            f"{model.name}: table {name!r} has the shape (vocabulary_size, embedding_dim) = "
            f"{expected}, got {values.shape}. Row i holds the vector of id i; row 0 too."
        )
    everything[rows, columns] = values
    layer.embeddings.assign(everything)


def _place(model: keras.Model, name: str, linear: bool) -> TablePlace:
    places = table_places(model)
    if (name, linear) not in places:
        known = [other for other, is_linear in places if is_linear == linear]
        kind = "linear_" if linear else "embedding_"
        raise KeyError(f"{model.name}: there is no {kind}table {name!r}, only {known}.")
    return places[name, linear]
