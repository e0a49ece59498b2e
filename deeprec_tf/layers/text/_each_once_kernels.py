"""Which entries of a list of ids are the first of their kind, in plain TensorFlow."""

import tensorflow as tf

from deeprec_tf.layers.core._kernels import is_graph_training


def can_encode_once(training):
    """Whether the number of different ids may depend on the batch: not under XLA, nor exported."""
    return is_graph_training(training)


def firsts_of(ids):
    """The place of the first entry of each id, and where each entry's id stands among those.

    Args:
        ids: integer tensor (N,).

    Returns:
        int32 tensors (U,) and (N,).
    """
    different, places = tf.unique(ids)
    entries = tf.range(tf.size(ids))
    return tf.math.unsorted_segment_min(entries, places, tf.size(different)), places
