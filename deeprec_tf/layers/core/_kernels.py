"""Dice in training as one kernel, in plain TensorFlow; and when such fast forms may be used."""

import tensorflow as tf

# From here on an activation is worth the second or so that XLA takes to compile it.
_COMPILED_FROM = 2**19


def is_graph_training(training):
    """Whether a layer is traced for training in graph mode, outside XLA.

    There the fast forms stand in for the readable ones, which have equal values and gradients.
    Exports so hold plain operations; XLA and TPUs, which want static shapes, get those too.

    Args:
        training: the layer's `training` argument.

    Returns:
        bool: whether fast forms may be used.
    """
    if not training or tf.executing_eagerly():
        return False
    if isinstance(tf.distribute.get_strategy(), tf.distribute.TPUStrategy):
        return False
    return tf.__internal__.get_enclosing_xla_context() is None


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
