"""Batches out of arrays: one gather a feature, in an order that seed and epoch determine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf


class EpochOrder:
    """The row order of every epoch, a pure function of (seed, epoch).

    A run that is resumed at epoch k sees the rows in the order it would have seen them; Keras's
    own shuffle depends on how often it was called.

    Attributes:
        seed: non-negative integer.
        epoch: the epoch about to be read; `RecModel.fit` keeps it.
    """

    def __init__(self, seed: int) -> None:
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
    transform: Callable[..., Any] | None = None,
) -> tf.data.Dataset:
    """Dataset of batches of arrays.

    Args:
        arrays: a (nested) structure of arrays with one number of rows.
        batch_size: rows a batch.
        order: shuffles anew every epoch; rows stay in their order when None.
        drop_remainder: whether a smaller last batch is left out (TPUs need one shape).
        transform: applied to each batch.

    Returns:
        `tf.data.Dataset` with known cardinality.
    """
    tensors = tf.nest.map_structure(tf.convert_to_tensor, arrays)
    rows = int(tf.nest.flatten(tensors)[0].shape[0])
    batches = rows // batch_size if drop_remainder else -(-rows // batch_size)

    def slices(permutation: tf.Tensor | None) -> tf.data.Dataset:
        def rows_of(batch: tf.Tensor) -> tf.Tensor:
            start = batch * batch_size
            stop = tf.minimum(start + batch_size, rows)
            index = tf.range(start, stop) if permutation is None else permutation[start:stop]
            if drop_remainder:
                index.set_shape((batch_size,))
            return index

        return tf.data.Dataset.range(batches).map(rows_of)

    if order is None:
        indices = slices(None)
    else:

        def permutations():
            yield order.permutation(rows)

        # One call into Python an epoch; the rest runs in TensorFlow's threads.
        indices = tf.data.Dataset.from_generator(
            permutations, output_signature=tf.TensorSpec((rows,), tf.int64)
        ).flat_map(slices)

    def gather(index: tf.Tensor) -> Any:
        batch = tf.nest.map_structure(lambda tensor: tf.gather(tensor, index), tensors)
        return batch if transform is None else transform(*batch)

    dataset = indices.map(gather, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(batches))
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return dataset.with_options(options).prefetch(tf.data.AUTOTUNE)
