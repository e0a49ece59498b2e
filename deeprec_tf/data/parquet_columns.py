"""Arrow columns to arrays: what `read_parquet_batches` makes of one batch of rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from deeprec_tf.data.encoder import FeatureEncoder
from deeprec_tf.data.ragged import Ragged
from deeprec_tf.features import (
    DenseFeat,
    FeatureColumn,
    InputSpec,
    VarLenDenseFeat,
    VarLenSparseFeat,
    input_specs,
)

_OWNER = "read_parquet_batches"


@dataclass(frozen=True)
class Columns:
    """What is asked of the files; see `read_parquet_batches`."""

    names: tuple[str, ...] | None = None
    feature_columns: tuple[FeatureColumn, ...] | None = None
    encoder: FeatureEncoder | None = None
    labels: tuple[str, ...] = ()
    label_is_dict: bool = False
    sample_weight: str | None = None
    maxlen: int | Mapping[str, int] | None = None
    missing: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Input:
    """One input that is read as it is: its column's kind, dtype and padding."""

    name: str
    dtype: np.dtype[Any]
    is_list: bool
    maxlen: int | None = None
    dimension: int | None = None  # a list of this fixed length is a vector
    counts: str | None = None  # not in the files: the length of this list


class BatchMaker:
    """Turns Arrow tables into (inputs, label, weight).

    Args:
        file: the first file, for errors.
        schema: its Arrow schema.
        options: what is asked for.

    Attributes:
        read: the columns to read.

    Raises:
        TypeError, ValueError: as for `read_parquet_batches`.
    """

    def __init__(self, file: str, schema: Any, options: Columns):
        self.options = options
        self._file = file
        self._schema = schema
        self._targets = [*options.labels]
        if options.sample_weight is not None:
            self._targets.append(options.sample_weight)
        encoded = [] if options.encoder is None else list(options.encoder.features)
        self._encoded = [feature.name for feature in encoded]
        if options.encoder is not None and not options.encoder.fitted:
            raise ValueError(f"{_OWNER}: the encoder is not fitted. Call fit or load first.")
        if options.encoder is not None and options.feature_columns is not None:
            raise ValueError(
                f"{_OWNER}: give encoder (files with raw values) or feature_columns (files with "
                "ids), not both."
            )
        self._inputs = {plain.name: plain for plain in self._plain_inputs()}
        names = [*self._encoded, *self._inputs, *self._targets]
        counted = {plain.name for plain in self._inputs.values() if plain.counts}
        self.read = list(dict.fromkeys(name for name in names if name not in counted))
        self._require(self.read)
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{_OWNER}: the columns {twice} are asked for twice. Name them once.")
        bounded = options.maxlen if isinstance(options.maxlen, Mapping) else {}
        for label, given in (("missing", options.missing), ("maxlen", bounded)):
            unknown = sorted(set(given) - set(self.read))
            if unknown:
                raise ValueError(f"{_OWNER}: {label} names {unknown}, which are not read.")

    def check_file(self, file: str, schema: Any, metadata: Any) -> None:
        """A further file must hold the same columns, without nulls that have no answer.

        Raises:
            ValueError: it does not.
        """
        for name in self.read:
            if name not in schema.names or schema.field(name).type != self._schema.field(name).type:
                got = schema.field(name).type if name in schema.names else "no such column"
                raise ValueError(
                    f"{_OWNER}: column {name!r} is {self._schema.field(name).type} in "
                    f"{self._file!r}, but {got} in {file!r}. Write the files alike."
                )
        places = {metadata.schema.column(i).path: i for i in range(metadata.num_columns)}
        for name in self.read:
            if name in self._encoded or name in self.options.missing or name not in places:
                continue  # lists have other paths: a null list is an empty one
            for group in range(metadata.num_row_groups):
                statistics = metadata.row_group(group).column(places[name]).statistics
                if statistics is not None and statistics.null_count:
                    raise ValueError(_has_nulls(name, f"{file!r}, row group {group}"))

    def signature(self, batch: int | None) -> Any:
        """The `tf.TensorSpec`s of a batch, made from an empty one."""
        import tensorflow as tf

        empty = self.batch(self._schema.empty_table().select(self.read))

        def spec(name: str, values: np.ndarray) -> Any:
            shape: list[int | None] = [batch, *values.shape[1:]]
            plain = self._inputs.get(name)
            if plain is not None and plain.is_list and plain.dimension is None:
                shape[1] = plain.maxlen
            return tf.TensorSpec(shape, tf.as_dtype(_tensor_dtype(values)), name=name)

        def specs(part: Any, name: str = "label") -> Any:
            if isinstance(part, dict):
                return {key: spec(key, values) for key, values in part.items()}
            return spec(name, part)

        if isinstance(empty, tuple):
            return tuple(specs(part) for part in empty)
        return specs(empty)

    def batch(self, table: Any) -> Any:
        """Inputs, with label and weight where they were asked for."""
        inputs: dict[str, np.ndarray] = {}
        if self.options.encoder is not None:
            raw = {name: self._raw(name, table) for name in self._encoded}
            inputs.update(self.options.encoder.transform(raw))
        lengths: dict[str, np.ndarray] = {}
        for plain in self._inputs.values():
            if plain.counts is None:
                inputs[plain.name], lengths[plain.name] = self._plain(plain, table)
        for plain in self._inputs.values():
            if plain.counts is not None:
                inputs[plain.name] = lengths[plain.counts]
        if not self._targets:
            return inputs
        targets = {name: self._flat(name, table).astype(np.float32) for name in self._targets}
        label: Any = {name: targets[name] for name in self.options.labels}
        if not self.options.label_is_dict and self.options.labels:
            label = targets[self.options.labels[0]]
        if self.options.sample_weight is None:
            return inputs, label
        return inputs, label, targets[self.options.sample_weight]

    # What is asked for.

    def _plain_inputs(self) -> list[_Input]:
        options = self.options
        if options.sample_weight is not None and not options.labels:
            raise ValueError(f"{_OWNER}: sample_weight needs a label.")
        if options.feature_columns is not None:
            specs = input_specs(options.feature_columns)
            found = [self._from_spec(spec) for spec in specs.values()]
            return found + [self._from_schema(name) for name in options.names or ()]
        if options.names is not None:
            return [self._from_schema(name) for name in options.names]
        if options.encoder is not None:
            return []
        return [self._from_schema(n) for n in self._schema.names if n not in self._targets]

    def _from_spec(self, spec: InputSpec) -> _Input:
        dtype = np.dtype(object if spec.dtype == "string" else spec.dtype)
        column = spec.column
        if getattr(column, "group", 1) > 1 or (
            isinstance(column, VarLenDenseFeat) and column.dimension > 1
        ):
            raise ValueError(
                f"{_OWNER}: {column.name!r} has lists of lists (group or dimension above 1), "
                "which can't be read. Read its parts as columns of their own."
            )
        if spec.role == "length":
            if spec.name in self._schema.names:
                return _Input(spec.name, dtype, is_list=False)
            return _Input(spec.name, dtype, is_list=False, counts=column.name)
        self._require([spec.name])
        is_hashed_text = getattr(column, "use_hash", False) and column.dtype == "string"
        if is_hashed_text and spec.role == "ids":
            dtype = np.dtype(object)  # RecModel's input path hashes texts
        if isinstance(column, DenseFeat):
            is_list = _is_list(self._schema.field(spec.name).type)
            dimension = column.dimension if is_list else None
            return _Input(spec.name, dtype, is_list=is_list, dimension=dimension)
        if isinstance(column, VarLenSparseFeat | VarLenDenseFeat):
            return _Input(spec.name, dtype, is_list=True, maxlen=column.maxlen)
        return _Input(spec.name, dtype, is_list=False)

    def _from_schema(self, name: str) -> _Input:
        self._require([name])
        kind = self._schema.field(name).type
        is_list = _is_list(kind)
        maxlen = self.options.maxlen if is_list else None
        if isinstance(maxlen, Mapping):
            maxlen = maxlen.get(name)
        return _Input(
            name, _numpy_dtype(name, kind.value_type if is_list else kind), is_list, maxlen
        )

    def _require(self, names: list[str]) -> None:
        absent = sorted(set(names) - set(self._schema.names))
        if absent:
            raise ValueError(
                f"{_OWNER}: {self._file!r} has no columns {absent}; it has {self._schema.names}."
            )

    # Arrow to arrays.

    def _raw(self, name: str, table: Any) -> Any:
        """A column as the encoder takes it: nulls stay missing, integers stay integers."""
        column = table.column(name).combine_chunks()
        if _is_list(column.type):
            elements, lengths = _flattened(column)
            return Ragged(_series(elements), lengths)
        return _series(column)

    def _plain(self, plain: _Input, table: Any) -> tuple[np.ndarray, np.ndarray]:
        """An input and, of lists, the lengths."""
        if not plain.is_list:
            values = self._flat(plain.name, table)
            return _cast(plain, values), np.zeros(0, np.int32)
        column = table.column(plain.name).combine_chunks()
        if not _is_list(column.type):
            raise TypeError(f"{_OWNER}: column {plain.name!r} must hold lists, got {column.type}.")
        elements, lengths = _flattened(column)
        values = _cast(plain, _to_numpy(plain.name, elements))
        if plain.dimension is not None:
            if (lengths != plain.dimension).any():
                raise ValueError(
                    f"{_OWNER}: column {plain.name!r} must hold vectors of {plain.dimension} "
                    f"numbers, got one of {int(lengths[lengths != plain.dimension][0])}."
                )
            return values.reshape(len(lengths), plain.dimension), np.zeros(0, np.int32)
        return Ragged(values, lengths).padded(plain.maxlen, "" if values.dtype == object else 0)

    def _flat(self, name: str, table: Any) -> np.ndarray:
        column = table.column(name).combine_chunks()
        if column.null_count:
            if name not in self.options.missing:
                raise ValueError(_has_nulls(name, "the files"))
            column = column.fill_null(self.options.missing[name])
        return _to_numpy(name, column)


def _has_nulls(name: str, where: str) -> str:
    return (
        f"{_OWNER}: column {name!r} has nulls in {where}. Say what they become, for example "
        f"missing={{{name!r}: 0}}, or read the files through a FeatureEncoder."
    )


def _is_list(kind: Any) -> bool:
    import pyarrow.types as types

    return types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)


def _flattened(column: Any) -> tuple[Any, np.ndarray]:
    """Elements that are not null, and how many of them each row has; a null row has none."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_fixed_size_list(column.type):
        column = column.cast(pa.list_(column.type.value_type))
    elements = column.flatten()  # leaves null rows out
    lengths = pc.list_value_length(column).fill_null(0).to_numpy(zero_copy_only=False)
    lengths = lengths.astype(np.int64)
    if elements.null_count:
        real = elements.is_valid().to_numpy(zero_copy_only=False)
        row = np.repeat(np.arange(len(lengths)), lengths)
        lengths = np.bincount(row[real], minlength=len(lengths)).astype(np.int64)
        elements = elements.drop_null()
    return elements, lengths


def _series(column: Any) -> pd.Series:
    """A pandas column that keeps integers beside nulls."""
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_integer(column.type) and column.null_count:
        mask = column.is_null().to_numpy(zero_copy_only=False)
        values = column.fill_null(0).to_numpy(zero_copy_only=False)
        return pd.Series(pd.arrays.IntegerArray(values.copy(), mask))
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return pd.Series(column.to_numpy(zero_copy_only=False), dtype=object)
    return column.to_pandas()


def _numpy_dtype(name: str, kind: Any) -> np.dtype[Any]:
    import pyarrow.types as types

    if types.is_dictionary(kind):
        kind = kind.value_type
    if types.is_boolean(kind):
        return np.dtype(np.int32)
    if types.is_string(kind) or types.is_large_string(kind):
        return np.dtype(object)
    if types.is_integer(kind) or types.is_floating(kind):
        return np.dtype(kind.to_pandas_dtype())
    raise TypeError(
        f"{_OWNER}: column {name!r} is {kind}; only numbers, booleans, texts and lists of them can "
        "be read. Leave it out with columns=, or convert it."
    )


def _to_numpy(name: str, column: Any) -> np.ndarray:
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    dtype = _numpy_dtype(name, column.type)
    return column.to_numpy(zero_copy_only=False).astype(dtype, copy=False)


def _cast(plain: _Input, values: np.ndarray) -> np.ndarray:
    """To the input's dtype; never by cutting numbers off."""
    if (plain.dtype == object) != (values.dtype == object):
        wanted = "texts" if plain.dtype == object else "numbers"
        raise TypeError(f"{_OWNER}: column {plain.name!r} must hold {wanted}, got {values.dtype}.")
    if plain.dtype.kind == "i" and values.dtype.kind == "f":
        raise TypeError(
            f"{_OWNER}: column {plain.name!r} must hold integers, got {values.dtype}. Write it as "
            "integers; nullable ones may have nulls."
        )
    if plain.dtype.kind == "i" and values.size:
        bounds = np.iinfo(plain.dtype)
        if values.min() < bounds.min or values.max() > bounds.max:
            raise ValueError(
                f"{_OWNER}: column {plain.name!r} holds {values.min()}..{values.max()}, beyond "
                f"{plain.dtype}. Declare it with dtype='int64' or use_hash=True, or encode it."
            )
    return values.astype(plain.dtype, copy=False)


def _tensor_dtype(values: np.ndarray) -> Any:
    return "string" if values.dtype == object else values.dtype
