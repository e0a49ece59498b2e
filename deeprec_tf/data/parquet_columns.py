"""Arrow columns to arrays: what `read_parquet_batches` makes of one batch of rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from deeprec_tf.data.encoder import FeatureEncoder
from deeprec_tf.data.parquet_lists import is_list, kept_steps, list_parts
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
    steps: str | None = None  # lists of one such name go step by step
    length: str | None = None  # the list's length, where the files have it
    refuses_nulls: bool = False  # dropping an element would shift a list against others


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
        for name in self._targets:
            kind = self._schema.field(name).type if name in self._schema.names else None
            if kind is not None and _numpy_dtype(name, kind).kind == "O":
                raise TypeError(
                    f"{_OWNER}: column {name!r} must hold numbers, as a label or weight, got "
                    f"{kind}. Write 0 and 1, or classes from 0 on."
                )
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
        for plain in self._inputs.values():
            if not plain.is_list and plain.counts is None:
                inputs[plain.name] = _cast(plain, self._flat(plain.name, table))
        for together in self._lists():
            inputs.update(self._padded(together, table, inputs))
        if not self._targets:
            return inputs
        targets = {name: self._target(name, table) for name in self._targets}
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
        names = [name for name in self._schema.names if not _is_index(name)]
        return [self._from_schema(name) for name in names if name not in self._targets]

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
            as_lists = is_list(self._schema.field(spec.name).type)
            dimension = column.dimension if as_lists else None
            return _Input(spec.name, dtype, is_list=as_lists, dimension=dimension)
        if isinstance(column, VarLenSparseFeat | VarLenDenseFeat):
            return self._list_from_spec(spec.name, dtype, column)
        return _Input(spec.name, dtype, is_list=False)

    def _list_from_spec(
        self, name: str, dtype: np.dtype[Any], column: VarLenSparseFeat | VarLenDenseFeat
    ) -> _Input:
        length = column.length_name
        steps = length or getattr(column, "weight_name", None) or name
        in_files = length in self._schema.names
        alone = isinstance(column, VarLenDenseFeat) and length is None
        return _Input(
            name, dtype, is_list=True, maxlen=column.maxlen, steps=steps,
            length=length if in_files else None, refuses_nulls=in_files or alone,
        )  # fmt: skip

    def _from_schema(self, name: str) -> _Input:
        self._require([name])
        kind = self._schema.field(name).type
        as_lists = is_list(kind)
        maxlen = self.options.maxlen if as_lists else None
        if isinstance(maxlen, Mapping):
            maxlen = maxlen.get(name)
        return _Input(
            name, _numpy_dtype(name, kind.value_type if as_lists else kind), as_lists, maxlen
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
        column = table.column(name)
        if is_list(column.type):
            elements, lengths = kept_steps({name: list_parts(name, column)})
            return Ragged(_series(elements[name]), lengths)
        return _series(column.combine_chunks())

    def _lists(self) -> list[list[_Input]]:
        """The inputs that are lists, those that go step by step in one group."""
        groups: dict[str, list[_Input]] = {}
        for plain in self._inputs.values():
            if plain.is_list:
                groups.setdefault(plain.steps or plain.name, []).append(plain)
        return list(groups.values())

    def _padded(
        self, together: list[_Input], table: Any, inputs: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Lists that go step by step, and their length where it is asked for."""
        first = together[0]
        given = None if first.length is None else inputs[first.length]
        elements, lengths = kept_steps(
            {plain.name: list_parts(plain.name, table.column(plain.name)) for plain in together},
            real_steps=given,
            refuse_nulls=first.refuses_nulls,
        )
        found, kept = {}, {}
        for plain in together:
            values = _cast(plain, _to_numpy(plain.name, elements[plain.name]))
            if plain.dimension is not None:
                found[plain.name] = _vectors(plain.name, values, lengths, plain.dimension)
                continue
            found[plain.name], kept[plain.name] = Ragged(values, lengths).padded(
                plain.maxlen, "" if values.dtype == object else 0
            )
        if given is not None:
            found[str(first.length)] = np.minimum(given, kept[first.name])
        for plain in self._inputs.values():
            if plain.counts in kept:
                found[plain.name] = kept[plain.counts]
        return found

    def _flat(self, name: str, table: Any) -> np.ndarray:
        return _to_numpy(name, self._without_nulls(name, table.column(name).combine_chunks()))

    def _target(self, name: str, table: Any) -> np.ndarray:
        """A label or weight: what a null becomes may be NaN, in a column of integers too."""
        import pyarrow as pa

        column = table.column(name).combine_chunks()
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        column = self._without_nulls(name, column.cast(pa.float32(), safe=False))
        return column.to_numpy(zero_copy_only=False)

    def _without_nulls(self, name: str, column: Any) -> Any:
        if column.null_count:
            if name not in self.options.missing:
                raise ValueError(_has_nulls(name, "the files"))
            column = column.fill_null(self.options.missing[name])
        return column


def _is_index(name: str) -> bool:
    """Whether pandas wrote the column for an index without a name."""
    return name.startswith("__index_level_") and name.endswith("__")


def _has_nulls(name: str, where: str) -> str:
    return (
        f"{_OWNER}: column {name!r} has nulls in {where}. Say what they become, for example "
        f"missing={{{name!r}: 0}}, or read the files through a FeatureEncoder."
    )


def _vectors(name: str, values: np.ndarray, lengths: np.ndarray, dimension: int) -> np.ndarray:
    """Lists of one fixed length as rows."""
    wrong = lengths[lengths != dimension]
    if len(wrong):
        raise ValueError(
            f"{_OWNER}: column {name!r} must hold vectors of {dimension} numbers, got one of "
            f"{int(wrong[0])}."
        )
    return values.reshape(-1, dimension)


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
            mend = "Declare it with dtype='int64' or use_hash=True, or encode it"
            if plain.dtype == np.int64:
                mend = "Encode it, or write it as texts for a column of dtype='string'"
            raise ValueError(
                f"{_OWNER}: column {plain.name!r} holds {values.min()}..{values.max()}, beyond "
                f"{plain.dtype}. {mend}."
            )
    return values.astype(plain.dtype, copy=False)


def _tensor_dtype(values: np.ndarray) -> Any:
    return "string" if values.dtype == object else values.dtype
