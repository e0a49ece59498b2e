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
from deeprec_tf.layers.core.fused_embedding import FusedEmbedding
from deeprec_tf.layers.core.hash_ids import HashIds
from deeprec_tf.layers.core.masking import PaddingMask
from deeprec_tf.layers.core.row_numbers import RowNumbers, RowPart
from deeprec_tf.layers.core.sequence_pooling import SequencePooling
from deeprec_tf.layers.core.table_embedding import TableEmbedding, require_eager
from deeprec_tf.tables import (
    EmbeddingTables,
    Table,
    build_embedding_layers,
    layer_of,
    sparse_column,
)

Tensors = Mapping[str, Any]
Tables = Mapping[str, Table]


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


def _ids(inputs: Tensors, column: SparseFeat | VarLenSparseFeat) -> Any:
    ids = inputs[column.name]
    return HashIds(column.vocabulary_size)(ids) if column.use_hash else ids


def _is_pooled(column: FeatureColumn) -> bool:
    return isinstance(column, VarLenSparseFeat) and column.combiner != "none"


def _gather(inputs: Tensors, tables: Tables, columns: Sequence[Any]) -> Any:
    """Rows of columns that share one layer: (B, F, W), or (B, T, F, W); one gather for all.

    W is the width of the layer's rows: factors and, where it has them, the linear weight.
    """
    gathered = getattr(tables, "gathered", {})
    key = tuple(id(inputs[column.name]) for column in columns)
    if key not in gathered:
        layer = layer_of(tables, columns[0])
        ids = [_ids(inputs, column) for column in columns]
        offsets = getattr(layer, "offsets", {})
        numbers = RowNumbers(
            [offsets.get(column.embedding_name, 0) for column in columns],
            [column.vocabulary_size for column in columns],
            layer.vocabulary_size,
        )
        gathered[key] = list(columns), layer(numbers(*ids))
    return gathered[key][1]


def _factors(layer: TableEmbedding, rows: Any) -> Any:
    """Rows without their linear weight."""
    return RowPart(0, layer.factors)(rows) if getattr(layer, "linear", False) else rows


def _pooled_row(inputs: Tensors, tables: Tables, column: VarLenSparseFeat) -> Any:
    """A pooled sequence as (B, W)."""
    gathered = getattr(tables, "gathered", {})
    key = ("pooled", id(inputs[column.name]))
    if key not in gathered:
        if column.group > 1:
            raise ValueError(
                f"{column.name}: a column with group={column.group} cannot be pooled to one field. "
                "Use combiner='none'."
            )
        layer = layer_of(tables, column)
        weights = () if column.weight_name is None else (inputs[column.weight_name],)
        pooling = SequencePooling(
            column.combiner, weight_norm=column.weight_norm, dtype=layer.dtype_policy
        )
        vectors = _one_column(inputs, tables, column)
        gathered[key] = [column], pooling(vectors, padding_mask(inputs, [column]), *weights)
    return gathered[key][1]


def _one_column(inputs: Tensors, tables: Tables, column: SparseFeat | VarLenSparseFeat) -> Any:
    """Whole rows of one column: (B, W), or (B, T, W)."""
    layer = layer_of(tables, column)
    if isinstance(layer, FusedEmbedding):
        return _flat(_gather(inputs, tables, [column]))
    return layer(_ids(inputs, column))


def _flat(rows: Any) -> Any:
    """(..., F, W) as (..., F·W)."""
    *lead, fields, width = rows.shape[1:]
    return keras.layers.Reshape((*(-1 if n is None else n for n in lead), fields * width))(rows)


def _runs(tables: Tables, columns: Sequence[FeatureColumn]) -> list[list[Any]]:
    """Columns in their order, neighbors that one gather can serve together."""
    runs: list[list[Any]] = []
    before: Any = None
    for column in columns:
        kind: Any = None
        if sparse_column(column) is not None and not _is_pooled(column):
            steps = getattr(column, "maxlen", 0), getattr(column, "group", 1)
            kind = (id(layer_of(tables, column)), *steps)
        if kind is not None and kind == before:
            runs[-1].append(column)
        else:
            runs.append([column])
        before = kind
    return runs


def _vectors(inputs: Tensors, tables: Tables, run: Sequence[Any]) -> Any:
    """One run as (B, C), or (B, T, C) for sequences that are not pooled."""
    column = run[0]
    if isinstance(column, DenseFeat):
        return keras.ops.cast(inputs[column.name], keras.config.floatx())
    if isinstance(column, VarLenDenseFeat):
        values = keras.ops.cast(inputs[column.name], keras.config.floatx())
        return values if column.dimension > 1 else keras.ops.expand_dims(values, -1)
    layer = layer_of(tables, column)
    if _is_pooled(column):
        return _factors(layer, _pooled_row(inputs, tables, column))
    if len(run) == 1:
        return _factors(layer, _one_column(inputs, tables, column))
    return _flat(_factors(layer, _gather(inputs, tables, run)))


def concat(tensors: Sequence[Any]) -> Any:
    """Joins tensors along the last axis; one tensor stays as it is."""
    return tensors[0] if len(tensors) == 1 else keras.layers.Concatenate(axis=-1)(list(tensors))


def embedding_lookup(
    inputs: Tensors,
    tables: Tables,
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
    vectors = [_vectors(inputs, tables, run) for run in _runs(tables, feature_columns)]
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
    tables: Tables,
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
    fields = []
    for run in _runs(tables, sparse):
        layer = layer_of(tables, run[0])
        if len(run) == 1 and not isinstance(layer, FusedEmbedding) or _is_pooled(run[0]):
            fields.append(keras.ops.expand_dims(_vectors(inputs, tables, run), 1))
        else:
            fields.append(_factors(layer, _gather(inputs, tables, run)))
    return fields[0] if len(fields) == 1 else keras.layers.Concatenate(axis=1)(fields)


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


def linear_logit(
    inputs: Tensors, feature_columns: Sequence[FeatureColumn], tables: Tables | None = None
) -> Any:
    """The linear part: Σ of one weight an id (start 0) and a weighted sum of the dense values.

    Multi-valued columns are pooled by their combiner. The bias is the prediction layer's.

    Args:
        inputs: Inputs by name.
        feature_columns: columns of the linear part.
        tables: tables whose rows may end in the linear weight; columns that have none there get
            tables of their own. Look up the factors first: the weights then cost no gather.

    Returns:
        Float tensor (B, 1).

    Raises:
        ValueError: no column, or one that stays a sequence.
    """
    refuse_sequences("linear_logit", feature_columns)
    sparse: list[Any] = [c for c in feature_columns if sparse_column(c) is not None]
    dense = [c for c in feature_columns if isinstance(c, DenseFeat)]
    tables = EmbeddingTables({}) if tables is None else tables
    inside = [
        c for c in sparse
        if c.embedding_name in tables and getattr(layer_of(tables, c), "linear", False)
    ]
    outside = [c for c in sparse if c not in inside]
    own = build_embedding_layers(outside, prefix="linear_", width=1)
    terms = _linear_terms(inputs, tables, inside) + _linear_terms(inputs, own, outside)
    if dense:
        values = embedding_lookup(inputs, {}, dense)
        name = _beside("linear_dense", own)
        terms.append(keras.layers.Dense(1, use_bias=False, name=name, dtype="float32")(values))
    if not terms:
        raise ValueError("linear_logit: no columns were given.")
    if len(terms) == 1:
        return terms[0]
    return keras.layers.Add(name=_beside("linear_logit", own), dtype="float32")(terms)


def _beside(name: str, tables: EmbeddingTables) -> str:
    """A layer's name, with "_" behind it where a table's layer has that name."""
    taken = {getattr(table, "layer", table).name for table in tables.values()}
    return f"{name}_" if name in taken else name


def _linear_terms(inputs: Tensors, tables: Tables, columns: Sequence[Any]) -> list[Any]:
    """Sums (B, 1) of the last number of the columns' rows; rows gathered before are used again."""
    terms, left = [], list(columns)
    for known, rows in list(getattr(tables, "gathered", {}).values()):
        rank = 2 if _is_pooled(known[0]) else 3  # else rows that are still to be pooled
        if len(rows.shape) == rank and all(column in left for column in known):
            terms.append(_last(rows))
            left = [column for column in left if column not in known]
    for run in _runs(tables, left):
        if _is_pooled(run[0]):
            rows = _pooled_row(inputs, tables, run[0])
        elif len(run) == 1:
            rows = _one_column(inputs, tables, run[0])
        else:
            rows = _gather(inputs, tables, run)
        terms.append(_last(rows))
    return terms


def _last(rows: Any) -> Any:
    """The last number of each row, summed over the fields: (B, W) or (B, F, W) to (B, 1)."""
    width = rows.shape[-1]
    weights = rows if width == 1 else RowPart(width - 1, width, dtype="float32")(rows)
    return keras.ops.sum(weights, axis=1) if len(rows.shape) == 3 else weights


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
    for column in sparse:
        if column.length_name is not None:
            return PaddingMask()(inputs[column.name], inputs[column.length_name])
    return PaddingMask()(inputs[sparse[0].name])
