"""Batches out of arrays: one gather a feature, in an order that seed and epoch determine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf


class EpochOrder:
    """The row order of every epoch, a pure function of (seed, epoch).

    A run that is resumed at epoch k sees the rows in the order it would have seen them; Keras's
    own shuffle depends on how often it was called.

    Attributes:
        seed: non-negative integer; None until the first `fit` draws one.
        epoch: the epoch about to be read; `RecModel.fit` keeps it.
    """

    def __init__(self, seed: int | None = None) -> None:
        self.seed = seed
        self.epoch = 0

    def permutation(self, rows: int) -> np.ndarray:
        """int64 array: a permutation of 0..rows-1."""
        return np.random.default_rng((self.seed, self.epoch)).permutation(rows)


def array_dataset(
    arrays: Any,
    batch_size: int,
    *,
    order: EpochOrder | None = None,
    drop_remainder: bool = False,
    redraw: Callable[[], dict[str, np.ndarray]] | None = None,
) -> tf.data.Dataset:
    """Dataset of batches of arrays.

    Args:
        arrays: tuple (x,), (x, y) or (x, y, sample_weight) of arrays or dicts of arrays with one
            number of rows; x is a dict.
        batch_size: rows a batch.
        order: shuffles anew every epoch; rows stay in their order when None.
        drop_remainder: whether a smaller last batch is left out (TPUs need one shape).
        redraw: called at the start of an epoch; gives arrays that replace those of the same
            names, dtypes and shapes in x.

    Returns:
        `tf.data.Dataset` with known cardinality.
    """
    tensors = tf.nest.map_structure(tf.convert_to_tensor, arrays)
    rows = int(tf.nest.flatten(tensors)[0].shape[0])
    batches = rows // batch_size if drop_remainder else -(-rows // batch_size)

    # No Python control flow to convert: AutoGraph would only warn that it can't read a lambda.
    @tf.autograph.experimental.do_not_convert
    def slices(permutation: tf.Tensor | None) -> tf.data.Dataset:
        @tf.autograph.experimental.do_not_convert
        def rows_of(batch: tf.Tensor) -> tf.Tensor:
            start = batch * batch_size
            stop = tf.minimum(start + batch_size, rows)
            index = tf.range(start, stop) if permutation is None else permutation[start:stop]
            if drop_remainder:
                index.set_shape((batch_size,))
            return index

        return tf.data.Dataset.range(batches).map(rows_of)

    def gather(index: tf.Tensor, fresh: dict[str, tf.Tensor]) -> Any:
        x, *rest = tensors
        return tf.nest.map_structure(lambda t: tf.gather(t, index), ({**x, **fresh}, *rest))

    @tf.autograph.experimental.do_not_convert
    def batches_of(permutation: tf.Tensor | None, fresh: dict[str, tf.Tensor]) -> tf.data.Dataset:
        return slices(permutation).map(
            tf.autograph.experimental.do_not_convert(lambda index: gather(index, fresh)),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )

    if order is None and redraw is None:
        dataset = batches_of(None, {})
    else:

        def epoch() -> Any:
            permutation = np.arange(rows) if order is None else order.permutation(rows)
            yield permutation, {} if redraw is None else redraw()

        names = {} if redraw is None else redraw()
        signature = {
            name: tf.TensorSpec(array.shape, array.dtype) for name, array in names.items()
        }
        # One call into Python an epoch; the rest runs in TensorFlow's threads.
        dataset = tf.data.Dataset.from_generator(
            epoch, output_signature=(tf.TensorSpec((rows,), tf.int64), signature)
        ).flat_map(batches_of)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(batches))
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return dataset.with_options(options).prefetch(tf.data.AUTOTUNE)


def map_named(function: Callable[[Any], Any], values: Any) -> Any:
    """Applies a function to an array, or to each array of a dict by task name."""
    if isinstance(values, Mapping):
        return {name: function(value) for name, value in values.items()}
    return function(values)


def check_rows(what: str, values: Any, inputs: Mapping[str, np.ndarray]) -> None:
    """Raises ValueError where values, or one of a dict of them, have not one row an input row."""
    name, array = next(iter(inputs.items()))
    for part in tf.nest.flatten(values):
        if len(part) != len(array):
            raise ValueError(
                f"{what} has {len(part)} rows, the input {name!r} has {len(array)}."
            )


def clean_labels(owner: str, y: Any, outputs: Any) -> Any:
    """Labels as float32 arrays of the outputs' rank.

    Args:
        owner: what error messages begin with.
        y: labels (N,) or (N, n); a dict of them by task name where there are several outputs.
        outputs: the model's output tensor, or a dict of them by task name.

    Returns:
        Array (N, n), or a dict of them.

    Raises:
        ValueError: NaN or infinity, an unknown task, or another width than the output's.
    """
    refuse_names(f"{owner}: y", y, outputs)

    def lift(values: Any, output: Any) -> np.ndarray:
        array = np.asarray(values)
        if array.dtype == object:
            array = array.astype("float64")
        array = array.reshape(len(array), -1)
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            row = int(np.argmax(~np.isfinite(array).all(axis=1)))
            raise ValueError(
                f"{owner}: the labels hold NaN or infinity in row {row}. Drop the row, or give it "
                "any label and sample_weight 0."
            )
        width = getattr(output, "shape", (1, None))[-1]
        if array.shape[1] not in (1, width) and width is not None:
            raise ValueError(
                f"{owner}: the labels have {array.shape[1]} columns, the output has {width}. Give "
                "one label a row, or a dict by task name to a model of several tasks."
            )
        return array.astype("float32")

    if isinstance(y, Mapping):
        return {name: lift(values, outputs[name]) for name, values in y.items()}
    return lift(y, outputs)


def clean_weights(owner: str, sample_weight: Any, outputs: Any, x: Mapping[str, Any]) -> Any:
    """Weights as finite float32 arrays, one an input row; errors are ValueErrors."""
    refuse_names(f"{owner}: sample_weight", sample_weight, outputs)
    weights = map_named(lambda w: np.asarray(w, "float32"), sample_weight)
    check_rows(f"{owner}: sample_weight", weights, x)
    for array in tf.nest.flatten(weights):
        if not np.isfinite(array).all():
            row = int(np.argmax(~np.isfinite(array.reshape(len(array), -1)).all(axis=1)))
            raise ValueError(f"{owner}: sample_weight holds NaN or infinity in row {row}.")
    return weights


def refuse_names(what: str, values: Any, outputs: Any) -> None:
    """Raises ValueError for a dict given to a model of one output, or with unknown names."""
    if not isinstance(values, Mapping):
        return
    if not isinstance(outputs, Mapping):
        raise ValueError(
            f"{what} is a dict of {list(values)}, but the model has one output. Give one array."
        )
    unknown = [name for name in values if name not in outputs]
    if unknown:
        raise ValueError(f"{what} names {unknown[0]!r}; the tasks are {list(outputs)}.")


def split_off(owner: str, x: Any, y: Any, sample_weight: Any, share: float) -> tuple:
    """The last rows become validation data, as Keras does it.

    Returns:
        x, y, sample_weight of the first rows, and the tuple of the last ones.

    Raises:
        ValueError: the share is out of range or leaves a part empty.
    """
    if not 0 < share < 1:
        raise ValueError(f"{owner}.fit: validation_split must lie in (0, 1), got {share}.")
    names = list(x.keys())
    rows = len(x[names[0]])
    cut = int(np.floor(rows * (1.0 - share)))
    if cut < 1 or cut >= rows:
        raise ValueError(
            f"{owner}.fit: validation_split={share} of {rows} rows leaves one part empty. Give "
            "more rows or another share."
        )

    def part(values, rows_of):
        if values is None:
            return None
        return map_named(lambda v: np.asarray(v)[rows_of], values)

    head, tail = slice(None, cut), slice(cut, None)
    inputs = {name: x[name] for name in names}
    validation = (part(inputs, tail), part(y, tail), part(sample_weight, tail))
    validation = validation[:2] if sample_weight is None else validation
    return part(inputs, head), part(y, head), part(sample_weight, head), validation
