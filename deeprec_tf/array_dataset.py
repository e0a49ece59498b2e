"""Batches out of arrays: gathered by index, in an order that seed and epoch determine.

Columns with one number a row are packed into one matrix a dtype, so that a batch of 40 columns
costs two gathers and passes two tensors on; `unpacked` undoes it within the step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import tensorflow as tf


class ColumnBlock(tf.experimental.ExtensionType):
    """Columns of one dtype, side by side.

    Attributes:
        values: (rows, columns).
        names: one a column.
    """

    __name__ = "deeprec_tf.ColumnBlock"
    values: tf.Tensor
    names: tuple[str, ...]


def _packed(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Arrays by name with all columns (N,) of one dtype as one block, by the dtype's name."""
    by_dtype: dict[str, list[str]] = {}
    for name, array in arrays.items():
        if isinstance(array, np.ndarray) and array.ndim == 1:
            by_dtype.setdefault(array.dtype.name, []).append(name)
    packed: dict[str, Any] = dict(arrays)
    for dtype, names in by_dtype.items():
        if len(names) > 1:
            columns = np.stack([packed.pop(name) for name in names], axis=1)
            packed[f"columns of {dtype}"] = ColumnBlock(tf.convert_to_tensor(columns), tuple(names))
    return packed


def unpacked(x: Any) -> Any:
    """A batch by the names of the columns again; anything but a packed batch as it is."""
    if not isinstance(x, dict) or not any(isinstance(v, ColumnBlock) for v in x.values()):
        return x
    batch: dict[str, Any] = {}
    for name, value in x.items():
        if isinstance(value, ColumnBlock):
            batch |= zip(value.names, tf.unstack(value.values, axis=1), strict=True)
        else:
            batch[name] = value
    return batch


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

    def begin(self, epoch: int) -> None:
        """Notes that this epoch is about to be read."""
        self.epoch = epoch

    def permutation(self, rows: int) -> np.ndarray:
        """int64 array: a permutation of 0..rows-1."""
        return np.random.default_rng((cast(int, self.seed), self.epoch)).permutation(rows)


def array_dataset(
    arrays: Any,
    batch_size: int,
    *,
    order: EpochOrder | None = None,
    drop_remainder: bool = False,
    redraw: Callable[[], dict[str, np.ndarray]] | None = None,
    pack: bool = False,
) -> tf.data.Dataset:
    """Dataset of batches of arrays.

    Args:
        arrays: tuple (x,), (x, y) or (x, y, sample_weight) of arrays or dicts of arrays with one
            number of rows; x is a dict.
        batch_size: rows a batch.
        order: shuffles anew every epoch; rows stay in their order when None.
        drop_remainder: whether a smaller last batch is left out (TPUs need one shape, and no
            replica may be left without rows); kept where it is the only one.
        redraw: called at the start of an epoch; gives arrays that replace those of the same
            names, dtypes and shapes in x.
        pack: whether columns are packed; whoever takes the batches applies `unpacked`.

    Returns:
        `tf.data.Dataset` with known cardinality.
    """
    names = {} if redraw is None else redraw()
    with tf.device("CPU:0"):  # batches are gathered on the host; a data set may outgrow a GPU
        if pack:
            x, *others = arrays
            replaced = {name: x[name] for name in names}
            arrays = (_packed({n: x[n] for n in x if n not in names}) | replaced, *others)
        tensors = tf.nest.map_structure(
            tf.convert_to_tensor, arrays, expand_composites=True
        )
    rows = int(tf.nest.flatten(tensors, expand_composites=True)[0].shape[0])
    drop_remainder = drop_remainder and rows >= batch_size
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
        return tf.nest.map_structure(
            lambda t: tf.gather(t, index), ({**x, **fresh}, *rest), expand_composites=True
        )

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
