"""Sequences without their padding, in plain TensorFlow; beside the readable `AllSteps`."""

import tensorflow as tf

from deeprec_tf.layers.core.masking import masked_softmax


class ValidSteps:
    """The real steps of a batch of sequences, packed to (N, ...), row by row; the rest is skipped.

    Args:
        mask: bool tensor (B, T), True = real.

    Attributes:
        mask: None, as every step is real.
    """

    mask = None

    def __init__(self, mask):
        self._padded_mask = mask
        self._rows, self._steps = tf.unstack(tf.cast(tf.where(mask), tf.int32), axis=1)
        self._count = tf.shape(self._rows)[0]

    def take(self, sequence, first=0):
        """The real steps of a sequence.

        Args:
            sequence: tensor (B, S, ...), S at least T + first.
            first: the step of the sequence at which the mask begins.

        Returns:
            Tensor (N, ...).
        """
        shape = tf.shape(sequence)
        at = self._rows * shape[1] + self._steps + first
        back = self._places(first, shape[1])
        inner = sequence.shape[2:]

        @tf.custom_gradient
        def packed(sequence):
            flat = tf.reshape(sequence, tf.concat([[shape[0] * shape[1]], shape[2:]], axis=0))

            def gradient(upstream):
                return tf.reshape(_gather_or_zero(upstream, back), shape)

            return tf.ensure_shape(tf.gather(flat, at), (None, *inner)), gradient

        return packed(sequence)

    def of_rows(self, values):
        """What each step's row has: (B, n) to (N, n)."""

        @tf.custom_gradient
        def spread(values):
            return tf.gather(values, self._rows), self.sum

        return spread(values)

    def sum(self, values):
        """Sum of a row's steps in float32: (N, n) to (B, n)."""
        total = tf.math.segment_sum(tf.cast(values, tf.float32), self._rows)
        # It ends with the last row that has a step.
        missing = tf.shape(self._padded_mask)[0] - tf.shape(total)[0]
        return tf.cast(tf.pad(total, [[0, missing], [0, 0]]), values.dtype)

    def weighted_sum(self, weights, values):
        """Weighted sum of a row's steps: weights (N,), values (N, n) to (B, n)."""
        total = self.sum(tf.expand_dims(weights, -1) * tf.cast(values, weights.dtype))
        return tf.cast(total, values.dtype)

    def only_real(self, values):
        """All of them."""
        return values

    def softmax(self, scores):
        """Softmax over the steps of each row: (N,) to float32 (N,)."""
        return self.take(masked_softmax(self.restore(scores), self._padded_mask))

    def restore(self, values):
        """Back to the padded form: (N,) to (B, T), padding 0."""
        back = self._places()

        @tf.custom_gradient
        def padded(values):
            def gradient(upstream):
                return tf.gather_nd(upstream, tf.stack([self._rows, self._steps], axis=-1))

            return _gather_or_zero(values, back), gradient

        return padded(values)

    def _places(self, first=0, width=None):
        """Where each step of the padded form stands in the packed one, N for none; (B, width)."""
        mask = self._padded_mask
        order = tf.cumsum(tf.reshape(tf.cast(mask, tf.int32), [-1])) - 1
        places = tf.where(mask, tf.reshape(order, tf.shape(mask)), self._count)
        if width is None:
            return places
        after = width - first - tf.shape(mask)[1]
        return tf.pad(places, [[0, 0], [first, after]], constant_values=self._count)


def _gather_or_zero(values, places):
    """Rows of `values`, zeros at place N: a gather takes a fifth of a scatter's time."""
    row = tf.concat([[1], tf.shape(values)[1:]], axis=0)
    return tf.gather(tf.concat([values, tf.zeros(row, values.dtype)], axis=0), places)
