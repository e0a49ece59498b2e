"""Sequences without their padding, in plain TensorFlow; beside the readable `AllSteps`."""

import tensorflow as tf

from deeprec_tf.layers.core.masking import masked_softmax


class ValidSteps:
    """The real steps of a batch of sequences, packed to (N, ...); the rest of it is skipped.

    N is rounded up by at most an eighth, so that kernels that are compiled for a shape meet
    few of them, and by one step at least: the added steps repeat a real one, have weight 0 and
    must get no gradient.

    Args:
        mask: bool tensor (B, T), True = real.

    Attributes:
        mask: bool tensor (N,), False for added steps.
    """

    def __init__(self, mask):
        rows, steps = tf.unstack(tf.cast(tf.where(mask), tf.int32), axis=1)
        batch, count = tf.shape(mask)[0], tf.shape(rows)[0]
        # A replica without rows has no step to repeat.
        added = (_rounded_up(count + 1) - count) * tf.minimum(batch, 1)
        self._batch_mask = mask
        self._last = count + added - 1
        # In order of the rows, up to the last one: what a segment sum asks for.
        self._rows = tf.concat([rows, tf.fill([added], batch - 1)], axis=0)
        self._from = [
            tf.concat([part, tf.fill([added], tf.reduce_sum(part[-1:]))], axis=0)
            for part in (rows, steps)
        ]
        self.mask = tf.range(count + added) < count

    def take(self, sequence, first=0):
        """The real steps of a sequence.

        Args:
            sequence: tensor (B, S, ...), S at least T + first.
            first: the step of the sequence at which the mask begins.

        Returns:
            Tensor (N, ...).
        """
        rows, steps = self._from
        shape = tf.shape(sequence)
        # The minimum is for a batch without a real step, which may be one step short.
        at = tf.minimum(rows * shape[1] + steps + first, shape[0] * shape[1] - 1)
        back = self._places(first, shape[1])
        inner = sequence.shape[2:]

        @tf.custom_gradient
        def packed(sequence):
            flat = tf.reshape(sequence, tf.concat([[shape[0] * shape[1]], shape[2:]], axis=0))

            def gradient(upstream):
                # A gather, as the last added step has gradient 0: five times faster than a
                # scatter, and no sparse gradient.
                return tf.reshape(tf.gather(upstream, back), shape)

            return tf.ensure_shape(tf.gather(flat, at), (None, *inner)), gradient

        return packed(sequence)

    def of_rows(self, values):
        """What each step's row has: (B, n) to (N, n)."""

        @tf.custom_gradient
        def spread(values):
            return tf.gather(values, self._rows), self.sum

        return spread(values)

    def sum(self, values):
        """Sum of a row's steps in float32: (N, n) to (B, n). Added steps must be 0."""
        total = tf.math.segment_sum(tf.cast(values, tf.float32), self._rows)
        return tf.cast(total, values.dtype)

    def weighted_sum(self, weights, values):
        """Weighted sum of a row's steps: weights (N,), values (N, n) to (B, n)."""
        total = self.sum(weights[:, None] * tf.cast(values, weights.dtype))
        return tf.cast(total, values.dtype)

    def only_real(self, values):
        """(N,) with 0 for added steps."""
        return values * tf.cast(self.mask, values.dtype)

    def softmax(self, scores):
        """Softmax over the steps of each row: (N,) to float32 (N,), 0 for added steps."""
        return self.only_real(self.take(masked_softmax(self.restore(scores), self._batch_mask)))

    def restore(self, values):
        """Back to the padded form: (N,) to (B, T), padding 0. Added steps must be 0."""
        back = self._places()

        @tf.custom_gradient
        def padded(values):
            def gradient(upstream):
                at = self._from[0] * tf.shape(back)[1] + self._from[1]
                flat = tf.gather(tf.reshape(upstream, [-1]), at)
                return self.only_real(flat)

            return tf.gather(values, back), gradient

        return padded(values)

    def _places(self, first=0, width=None):
        """Where each step of the padded form stands in the packed one; (B, width)."""
        order = tf.cumsum(tf.reshape(tf.cast(self._batch_mask, tf.int32), [-1])) - 1
        order = tf.reshape(order, tf.shape(self._batch_mask))
        places = tf.where(self._batch_mask, order, self._last)
        if width is None:
            return places
        after = width - first - tf.shape(places)[1]
        return tf.pad(places, [[0, 0], [first, after]], constant_values=self._last)


def _rounded_up(count):
    """The next multiple of an eighth of the power of two below."""
    exponent = tf.math.floor(tf.math.log(tf.cast(count, tf.float32)) / tf.math.log(2.0))
    grain = tf.cast(tf.maximum(2.0 ** (exponent - 3.0), 1.0), tf.int32)
    return -(-count // grain) * grain
