"""Guards in the batches of a user's own data set: what arrays are refused for, in tensors."""

from __future__ import annotations

import tensorflow as tf

from deeprec_tf.batches import padding_in_front, too_long

_SHOWN = 50  # numbers of a row that an error shows


def known(owner: str, name: str, ids: tf.Tensor, size: int) -> tf.Tensor:
    """The ids of a batch, refused in words where one lies outside its table."""
    if not ids.dtype.is_integer or isinstance(ids, tf.RaggedTensor | tf.SparseTensor):
        return ids
    wide = tf.cast(ids, tf.int64)
    outside = tf.logical_or(wide < 0, wide >= size)
    message = (
        f"{owner}: column {name} has an id outside 0..{size - 1}. Raise vocabulary_size, re-encode "
        "the ids, or set use_hash=True. The batch has smallest and largest:"
    )
    smallest_and_largest = [tf.reduce_min(wide), tf.reduce_max(wide)]
    with tf.control_dependencies(
        [tf.debugging.Assert(~tf.reduce_any(outside), [message, *smallest_and_largest])]
    ):
        return tf.identity(ids)


def short_enough(owner: str, name: str, values: tf.Tensor, maxlen: int) -> tf.Tensor:
    """The sequences of a batch, refused in words where they are longer than `maxlen`."""
    if isinstance(values, tf.RaggedTensor | tf.SparseTensor) or (values.shape.rank or 0) < 2:
        return values
    steps = values.shape[1]
    if steps is not None:
        if steps > maxlen:
            raise ValueError(too_long(owner, name, steps, maxlen))
        return values
    steps = tf.shape(values)[1]
    message = too_long(owner, name, "too many", maxlen).replace("'", "")  # TensorFlow escapes them
    with tf.control_dependencies([tf.debugging.Assert(steps <= maxlen, [message, steps])]):
        return tf.identity(values)


def left_aligned(owner: str, name: str, ids: tf.Tensor, in_groups: bool) -> tf.Tensor:
    """The sequences of a batch, refused in words where padding has a real step behind it."""
    if isinstance(ids, tf.RaggedTensor | tf.SparseTensor) or (ids.shape.rank or 0) < 2:
        return ids
    real = tf.not_equal(ids, tf.zeros((), ids.dtype))
    steps = real if ids.shape.rank == 2 else tf.reduce_any(real, axis=2)
    gaps = tf.reduce_any(steps[:, 1:] & ~steps[:, :-1], axis=1)
    if in_groups and ids.shape.rank == 3:
        gaps |= tf.reduce_any(real[..., 1:] & ~real[..., :-1], axis=(1, 2))
    message = padding_in_front(owner, name, "").replace("'", "") + " The first such row:"
    first = tf.boolean_mask(ids, gaps)[:1]
    with tf.control_dependencies(
        [tf.debugging.Assert(~tf.reduce_any(gaps), [message, first], summarize=_SHOWN)]
    ):
        return tf.identity(ids)
