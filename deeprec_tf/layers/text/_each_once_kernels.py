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


def firsts_beside(known, ids):
    """The same for entries beside those of a list that is known.

    Args:
        known: integer tensor (K,).
        ids: integer tensor (N,).

    Returns:
        int32 tensors: the first place of each id that is known (U,), and of each that is new (W,),
        W at least 1, as not every encoder takes a batch without rows; and where each entry of
        `ids` stands among the former and the latter together (N,).
    """
    number = tf.size(known)
    firsts, places = firsts_of(tf.concat([known, tf.cast(ids, known.dtype)], axis=0))
    is_known = firsts < number  # the known ones come first
    new = tf.boolean_mask(firsts, ~is_known) - number
    new = tf.pad(new, [[0, tf.maximum(1 - tf.size(new), 0)]])
    return tf.boolean_mask(firsts, is_known), new, places[number:]
