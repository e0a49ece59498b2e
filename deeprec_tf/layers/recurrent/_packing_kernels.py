"""Where the real steps of a padded batch stand once its padding is left out.

The rows are sorted by length, longest first, so that at step t a prefix of b_t rows is active,
and the steps are packed one after another: (N, ·) with N the sum of the lengths.
"""

from typing import NamedTuple

import tensorflow as tf


class Packing(NamedTuple):
    """Where the steps of a batch stand.

    Attributes:
        lengths: int32 tensor (B,).
        order: int32 tensor (B,), the row at each sorted place.
        place: int32 tensor (B,), the sorted place of each row.
        sizes: int32 tensor (T,), b_t.
        starts: int32 tensor (T,), where a step's first row is packed.
        source: int32 tensor (N,), row·T + t of each packed step.
        steps: int32 scalar, the longest length.
    """

    lengths: tf.Tensor
    order: tf.Tensor
    place: tf.Tensor
    sizes: tf.Tensor
    starts: tf.Tensor
    source: tf.Tensor
    steps: tf.Tensor


def lengths_of(mask):
    """Steps up to the last real one, int32 tensor (B,)."""
    return tf.reduce_max(tf.where(mask, tf.range(1, tf.shape(mask)[1] + 1), 0), 1)


def find_packing(mask):
    """Packs each row up to its last real step; holes before it are steps of weight zero."""
    time = tf.shape(mask)[1]
    lengths = lengths_of(mask)
    order = tf.argsort(lengths, direction="DESCENDING", stable=True)
    active = tf.range(time)[:, None] < tf.gather(lengths, order)  # (T, B)
    sizes = tf.reduce_sum(tf.cast(active, tf.int32), 1)
    step, place = tf.unstack(tf.cast(tf.where(active), tf.int32), axis=1)
    return Packing(
        lengths=lengths,
        order=order,
        place=tf.math.invert_permutation(order),
        sizes=sizes,
        starts=tf.cumsum(sizes, exclusive=True),
        source=tf.gather(order, place) * time + step,
        steps=tf.reduce_max(lengths),
    )


def pack(tensor, packing):
    """(B, T, ·) to (N, ·)."""
    return tf.gather(tf.reshape(tensor, (-1, tensor.shape[-1])), packing.source)


def packed_at(packing, steps):
    """Where step `steps` (B, ·) of each row is packed."""
    return tf.gather(packing.starts, steps) + packing.place[:, None]


def unpack(values, packing, like):
    """(1 + N, ·) to (B, T, ·) as `like`; row 0, zeros, goes to padded steps."""
    steps = tf.range(tf.shape(like)[1])[None]
    real = steps < packing.lengths[:, None]
    result = tf.gather(values, tf.where(real, packed_at(packing, steps) + 1, 0))
    return tf.ensure_shape(result, like.shape)
