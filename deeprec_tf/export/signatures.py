"""What goes into a served model: names, dtypes and shapes, and a batch to try it with."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from deeprec_tf.engine import RecModel
from deeprec_tf.export.artifact import TensorInfo
from deeprec_tf.features import InputSpec, SparseFeat, VarLenSparseFeat, input_specs


def id_specs(model: keras.Model) -> dict[str, tf.TensorSpec]:
    """One named spec an input of the model; batch and time axis stay open."""
    return {
        tensor.name: tf.TensorSpec((None, *tensor.shape[1:]), tensor.dtype, name=tensor.name)
        for tensor in keras.tree.flatten(model.inputs)
    }


def input_specs_of(model: keras.Model) -> dict[str, tf.TensorSpec]:
    """The same, but with strings where a column is declared as `dtype="string"`."""
    specs = id_specs(model)
    for name, spec in _columns(model).items():
        if spec.role == "ids" and getattr(spec.column, "dtype", None) == "string":
            specs[name] = tf.TensorSpec(specs[name].shape, tf.string, name=name)
    return specs


def check_names(owner: str, names: Iterable[str]) -> None:
    """Whether the inputs of a SavedModel can bear these names.

    TensorFlow makes them arguments of a Python function: of other names it renames some without a
    word, and fails at the rest.

    Raises:
        ValueError: a name has other signs than letters of ASCII, digits and "_", does not begin
            with a letter, or is a word of Python's.
    """
    for name in names:
        is_plain = re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name)
        if not is_plain or keyword.iskeyword(name) or name == "self":
            raise ValueError(
                f"{owner}: an input of a SavedModel cannot be called {name!r}. Its name must begin "
                "with a letter (a to z), go on with letters, digits and '_', and be no word of "
                "Python's. Rename the column; export_onnx and serving_function take any name."
            )


def tensor_infos(specs: Mapping[str, tf.TensorSpec]) -> dict[str, TensorInfo]:
    """The same specs in NumPy's words, as an `Artifact` tells them."""
    return {
        name: TensorInfo(
            "str" if spec.dtype == tf.string else np.dtype(spec.dtype.as_numpy_dtype).name,
            tuple(spec.shape),
        )
        for name, spec in specs.items()
    }


def smoke_batch(model: keras.Model, rows: int, steps: int) -> dict[str, np.ndarray]:
    """Arrays that the model takes, at the id level: full histories of valid ids.

    Args:
        model: a functional model with named inputs.
        rows: size of the batch.
        steps: length of the sequences, cut to the smallest `maxlen`.

    Returns:
        Dict from input name to array; without columns integers are 0.
    """
    generator = np.random.default_rng(0)
    columns = _columns(model)
    steps = min([steps, *(getattr(spec.column, "maxlen", steps) for spec in columns.values())])
    batch = {}
    for name, spec in id_specs(model).items():
        shape = [rows, *(steps if size is None else size for size in spec.shape[1:])]
        batch[name] = _values(generator, columns.get(name), shape, steps).astype(
            spec.dtype.as_numpy_dtype
        )
    return batch


def _columns(model: keras.Model) -> dict[str, InputSpec]:
    return input_specs(model.feature_columns) if isinstance(model, RecModel) else {}


def _values(
    generator: np.random.Generator, spec: InputSpec | None, shape: list[int], steps: int
) -> Any:
    if spec is None:
        return np.zeros(shape)
    if spec.role == "length":
        return np.full(shape, steps)
    if spec.role == "ids" and isinstance(spec.column, SparseFeat | VarLenSparseFeat):
        size = spec.column.vocabulary_size
        # Id 0 is padding in a history, and the only row of a table of one.
        ids = generator.integers(1, max(size, 2), shape) % size
        if spec.column.use_hash and spec.column.dtype != "string":
            ids *= generator.choice([-1, 1], shape)  # what is hashed may be any number
        return ids
    return generator.random(shape)
