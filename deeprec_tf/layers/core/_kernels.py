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

    With z the values normalized over the batch and p = sigmoid(z), f = s (alpha + (1 - alpha) p).
    TensorFlow's fused batch normalization gives z and takes dL/dz back to dL/ds; p is kept for
    the gradient. The moments get no gradient of their own: they only feed the moving averages.

    Args:
        values: float32 tensor (N, n), all rows real.
        alpha: float32 tensor (n,).
        epsilon: added to the variance.

    Returns:
        float32 tensors: outputs (N, n), mean (n,), variance (n,); without rows the moments are 0.
    """
    fused = {"scale": tf.ones_like(alpha), "epsilon": epsilon, "is_training": True}

    @tf.custom_gradient
    def dice(values, alpha):
        images = values[None, :, None, :]  # (1, N, 1, n), what batch normalization works on
        z, mean, variance, *saved = tf.raw_ops.FusedBatchNormV3(
            x=images, offset=tf.zeros_like(alpha), mean=[], variance=[], **fused
        )
        gate = tf.sigmoid(z[0, :, 0, :])
        factor = alpha + (1.0 - alpha) * gate

        def gradient(upstream, *_):
            of_alpha = upstream * values * (1.0 - gate)
            of_z = of_alpha * gate * (1.0 - alpha)
            through_z, *_ = tf.raw_ops.FusedBatchNormGradV3(
                y_backprop=of_z[None, :, None, :], x=images, reserve_space_1=saved[0],
                reserve_space_2=saved[1], reserve_space_3=saved[2], **fused,
            )
            of_values = upstream * factor + through_z[0, :, 0, :]
            return of_values, tf.reduce_sum(of_alpha, axis=0)

        return (values * factor, mean, variance), gradient

    outputs, mean, variance = dice(values, alpha)
    count = tf.cast(tf.shape(values)[0], tf.float32)
    # The operation gives the unbiased variance, and NaN without rows.
    variance *= tf.maximum(count - 1.0, 1.0) / tf.maximum(count, 1.0)
    return outputs, tf.where(count > 0, mean, 0.0), tf.where(count > 0, variance, 0.0)
