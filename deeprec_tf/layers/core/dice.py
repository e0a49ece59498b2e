"""Dice, the data-adaptive activation of DIN."""

import keras
from keras import ops

from deeprec_tf.layers.core._kernels import batch_dice, is_graph_training, is_on_cpu


@keras.saving.register_keras_serializable(package="deeprec_tf")
class Dice(keras.layers.Layer):
    """Data-adaptive activation function (DIN, Zhou et al. 2018, equation 3).

    p(s) = sigmoid((s - E[s]) / sqrt(Var[s] + epsilon)); f(s) = p·s + (1 - p)·alpha·s, alpha a
    learned vector that starts at 0. Training takes the statistics of the batch, over the real
    steps only where a mask is given; inference takes their moving averages, so a row's
    prediction does not depend on the rows beside it (the authors' code differs there).
    Statistics are float32. Under a distribution strategy they are each replica's own.

    Args:
        momentum: weight of the old moving average.
        epsilon: added to the variance.

    Call arguments:
        inputs: float tensor (..., n).
        mask: bool tensor of the leading axes, True = real, optional.
        training: whether batch statistics are taken.

    Returns:
        Tensor of the shape of `inputs`.

    References:
        Zhou et al., Deep Interest Network for Click-Through Rate Prediction, KDD 2018.
    """

    def __init__(self, *, momentum=0.99, epsilon=1e-8, **kwargs):
        super().__init__(**kwargs)
        self.momentum = momentum
        self.epsilon = epsilon

    def build(self, inputs_shape, mask_shape=None):
        """Creates alpha and the moving averages."""
        width = (inputs_shape[-1],)
        self.alpha = self.add_weight(shape=width, initializer="zeros", name="alpha")
        self.moving_mean = self.add_weight(
            shape=width, initializer="zeros", trainable=False, name="moving_mean",
            dtype="float32", autocast=False,
        )
        self.moving_variance = self.add_weight(
            shape=width, initializer="ones", trainable=False, name="moving_variance",
            dtype="float32", autocast=False,
        )

    def call(self, inputs, mask=None, training=False):
        """Applies the layer."""
        values = ops.cast(inputs, "float32")
        if mask is None and is_graph_training(training) and is_on_cpu():
            return ops.cast(self._fused(values), inputs.dtype)
        if training:
            mean, variance = self._batch_statistics(values, mask)
        else:
            mean, variance = self.moving_mean, self.moving_variance
        gate = ops.sigmoid((values - mean) * ops.rsqrt(variance + self.epsilon))
        alpha = ops.cast(self.alpha, "float32")
        return ops.cast(values * (alpha + (1.0 - alpha) * gate), inputs.dtype)

    def _fused(self, values):
        rows = ops.reshape(values, (-1, values.shape[-1]))
        outputs, mean, variance = batch_dice(rows, ops.cast(self.alpha, "float32"), self.epsilon)
        known = ops.minimum(ops.shape(rows)[0], 1)
        self._update_averages(mean, variance, ops.cast(known, "float32"))
        return ops.reshape(outputs, ops.shape(values))

    def _batch_statistics(self, values, mask):
        axes = tuple(range(len(values.shape) - 1))
        if mask is None:
            weights = ops.ones_like(values[..., :1])
        else:
            weights = ops.cast(mask, "float32")[..., None]
        count = ops.sum(weights)
        share = weights / ops.maximum(count, 1.0)
        mean = ops.sum(values * share, axis=axes)
        variance = ops.sum(ops.square(values - mean) * share, axis=axes)
        # A batch of empty histories says nothing, nor does a replica's share of a last batch
        # that has no rows (a mean over them would be NaN): the averages stay.
        self._update_averages(mean, variance, ops.minimum(count, 1.0))
        return mean, variance

    def _update_averages(self, mean, variance, known):
        step = (1.0 - self.momentum) * known
        self.moving_mean.assign_add(step * (ops.stop_gradient(mean) - self.moving_mean))
        self.moving_variance.assign_add(
            step * (ops.stop_gradient(variance) - self.moving_variance)
        )

    def compute_output_shape(self, inputs_shape, mask_shape=None):
        """Shape is kept."""
        return inputs_shape

    def compute_mask(self, *args, **kwargs):
        """No implicit mask."""
        return None

    def get_config(self):
        """Returns the arguments."""
        return {**super().get_config(), "momentum": self.momentum, "epsilon": self.epsilon}
