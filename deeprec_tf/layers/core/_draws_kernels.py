"""Random bits, two numbers of a draw, in plain TensorFlow."""

import tensorflow as tf


def sixteen_bits(shape, seed):
    """Uniform numbers 0 to 65,535: half as many draws as numbers.

    Args:
        shape: int32 tensor (rank,).
        seed: tensor (2,), of a `keras.random.SeedGenerator`.

    Returns:
        uint16 tensor of the shape.
    """
    total = tf.reduce_prod(shape)
    words = tf.random.stateless_uniform(
        [(total + 1) // 2], seed=tf.cast(seed, tf.int32), minval=None, maxval=None, dtype=tf.int32
    )
    halves = tf.reshape(tf.bitcast(words, tf.uint16), [-1])
    return tf.reshape(halves[:total], shape)
