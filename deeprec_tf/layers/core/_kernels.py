"""Fast forms of what the layers do in training, in plain TensorFlow.

Each stands beside a readable `keras.ops` form of equal values and gradients: `Dice` beside
`batch_dice`, `AllSteps` beside `ValidSteps`. They are traced in graph mode for training only, so
that exports hold plain operations, and never for XLA or a TPU, which want static shapes.
"""

import tensorflow as tf

# From here on an activation is worth the second or so that XLA takes to compile it.
_COMPILED_FROM = 2**19


def is_graph_training(training):
    """Whether a layer is traced for training in graph mode, outside XLA.

    Args:
        training: the layer's `training` argument.

    Returns:
        bool: whether the fast forms of this file may be used.
    """
    if not training or tf.executing_eagerly():
        return False
    if isinstance(tf.distribute.get_strategy(), tf.distribute.TPUStrategy):
        return False
    return tf.__internal__.get_enclosing_xla_context() is None


# ---- Dice --------------------------------------------------------------------------------


def batch_dice(values, alpha, weights, epsilon):
    """Dice over the statistics of the batch, with its gradient written by hand.

    Per element two passes over the values forward and two over values and gradient backward;
    large ones are compiled to a few loops by XLA. The moments get no gradient of their own:
    they only feed the moving averages.

    Args:
        values: float32 tensor (N, n).
        alpha: float32 tensor (n,).
        weights: float32 tensor (N, 1): 1 for a real row and 0 for padding.
        epsilon: added to the variance.

    Returns:
        float32 tensors: outputs (N, n), mean (n,), variance (n,).
    """
    is_large = tf.size(values) >= _COMPILED_FROM

    @tf.custom_gradient
    def dice(values, alpha, weights):
        inputs = (values, alpha, weights, tf.constant(epsilon))
        outputs, mean, variance = _by_size(is_large, _dice, _compiled_dice, inputs)

        def gradient(upstream, *_):
            arguments = (upstream, *inputs, mean, variance)
            of_values, of_alpha = _by_size(
                is_large, _dice_gradient, _compiled_dice_gradient, arguments
            )
            return of_values, of_alpha, None

        return (outputs, mean, variance), gradient

    return dice(values, alpha, weights)


def _by_size(is_large, plain, compiled, arguments):
    if not tf.test.is_built_with_xla():
        return plain(*arguments)
    return tf.cond(is_large, lambda: compiled(*arguments), lambda: plain(*arguments))


def _column_sums(weights, values):
    # As a product: faster than a broadcast product and a sum, compiled or not.
    return tf.matmul(weights, values, transpose_a=True)[0]


def _dice(values, alpha, weights, epsilon):
    share = weights / tf.maximum(tf.reduce_sum(weights), 1.0)
    mean = _column_sums(share, values)
    variance = _column_sums(share, tf.math.squared_difference(values, mean))
    gate = tf.sigmoid((values - mean) * tf.math.rsqrt(variance + epsilon))
    return values * (alpha + (1.0 - alpha) * gate), mean, variance


def _dice_gradient(upstream, values, alpha, weights, epsilon, mean, variance):
    """With z the normalized value and p = sigmoid(z), f = s (alpha + (1 - alpha) p).

    df/ds through z is that of batch normalization: d/dz, less its mean and its part along z.
    """
    share = weights / tf.maximum(tf.reduce_sum(weights), 1.0)
    scale = tf.math.rsqrt(variance + epsilon)
    z = (values - mean) * scale
    gate = tf.sigmoid(z)
    ones = tf.ones_like(weights)
    of_alpha = upstream * values * (1.0 - gate)
    of_z = of_alpha * gate * (1.0 - alpha)
    shift, stretch = _column_sums(ones, of_z), _column_sums(ones, of_z * z)
    of_values = upstream * (alpha + (1.0 - alpha) * gate) + scale * (
        of_z - share * (shift + z * stretch)
    )
    return of_values, _column_sums(ones, of_alpha)


_compiled_dice = tf.function(_dice, jit_compile=True, autograph=False)
_compiled_dice_gradient = tf.function(_dice_gradient, jit_compile=True, autograph=False)


# ---- valid steps -------------------------------------------------------------------------


class ValidSteps:
    """The real steps of a batch of sequences, packed to (N, ...); the rest of it is skipped.

    N is rounded up by at most a sixteenth, so that kernels that are compiled for a shape meet
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
        at = rows * shape[1] + steps + first
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
        """Sum of a row's steps: (N, n) to (B, n). Added steps must be 0."""
        return tf.math.segment_sum(values, self._rows)

    def restore(self, values):
        """Back to the padded form: (N,) to (B, T), padding 0. Added steps must be 0."""
        back = self._places()

        @tf.custom_gradient
        def padded(values):
            def gradient(upstream):
                at = self._from[0] * tf.shape(back)[1] + self._from[1]
                flat = tf.gather(tf.reshape(upstream, [-1]), at)
                return tf.where(self.mask, flat, 0.0)

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
    """The next multiple of a sixteenth of the power of two below."""
    exponent = tf.math.floor(tf.math.log(tf.cast(count, tf.float32)) / tf.math.log(2.0))
    grain = tf.cast(tf.maximum(2.0 ** (exponent - 4.0), 1.0), tf.int32)
    return -(-count // grain) * grain
