"""Dice in training as one kernel, in plain TensorFlow; and when such fast forms may be used."""

import tensorflow as tf


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


def is_on_cpu():
    """Whether there is no accelerator: cuDNN's batch normalization wants a larger epsilon."""
    return not tf.config.list_logical_devices("GPU")


def batch_dice(values, alpha, epsilon):
    """Dice over the statistics of the batch, with its gradient written by hand.

    With z the values normalized over the batch, q = sigmoid(-z) and k = 1 - alpha, f = s (1 - k q).
    TensorFlow's fused batch normalization gives -z (its scale is -1), and takes the gradient
    h = dL/df s q (1 - q) back through z, k being its scale there. So written a gradient takes five
    passes over the values besides that operation. The moments get no gradient of their own: they
    only feed the moving averages.

    Args:
        values: float32 tensor (N, n), all rows real.
        alpha: float32 tensor (n,).
        epsilon: added to the variance.

    Returns:
        float32 tensors: outputs (N, n), mean (n,), variance (n,); without rows the moments are 0.
    """
    options = {"epsilon": epsilon, "is_training": True}

    @tf.custom_gradient
    def dice(values, alpha):
        image = values[None, None]  # (1, 1, N, n), what batch normalization works on
        flipped, mean, variance, *saved = tf.raw_ops.FusedBatchNormV3(
            x=image, scale=-tf.ones_like(alpha), offset=tf.zeros_like(alpha),
            mean=[], variance=[], **options,
        )
        q = tf.sigmoid(flipped[0, 0])
        factor = 1.0 - (1.0 - alpha) * q

        def gradient(upstream, *_):
            of_factor = upstream * values
            through_z, *_ = tf.raw_ops.FusedBatchNormGradV3(
                y_backprop=tf.raw_ops.SigmoidGrad(y=q, dy=of_factor)[None, None], x=image,
                scale=1.0 - alpha, reserve_space_1=saved[0], reserve_space_2=saved[1],
                reserve_space_3=saved[2], **options,
            )
            of_alpha = tf.reduce_sum(of_factor * q, axis=0)
            return upstream * factor + through_z[0, 0], of_alpha

        return (values * factor, mean, variance), gradient

    outputs, mean, variance = dice(values, alpha)
    count = tf.cast(tf.shape(values)[0], tf.float32)
    # The operation gives the unbiased variance, and NaN without rows.
    variance *= tf.maximum(count - 1.0, 1.0) / tf.maximum(count, 1.0)
    return outputs, tf.where(count > 0, mean, 0.0), tf.where(count > 0, variance, 0.0)
