"""One layer of the Deep & Cross Network."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="deeprec_tf")
class VectorCross(keras.layers.Layer):
    """x_{l+1} = x_0 (x_lᵀ w) + b + x_l (DCN, equation 3).

    The product crosses every element of x_0 with one number, so a layer has 2n weights.

    Call arguments:
        x0: float tensor (B, n), the network's first input.
        x: float tensor (B, n), what the layer before gave.

    Returns:
        Float tensor (B, n).

    Example:
        >>> VectorCross()(keras.ops.ones((2, 3)), keras.ops.ones((2, 3))).shape
        TensorShape([2, 3])

    References:
        Wang et al., Deep & Cross Network for Ad Click Predictions, ADKDD 2017.
    """

    def build(self, x0_shape, x_shape):
        """Creates w and b."""
        width = x_shape[-1]
        self.kernel = self.add_weight(
            shape=(width, 1), initializer="glorot_uniform", name="kernel"
        )
        self.bias = self.add_weight(shape=(width,), initializer="zeros", name="bias")

    def call(self, x0, x):
        """Applies the layer."""
        return x0 * ops.matmul(x, self.kernel) + self.bias + x

    def compute_output_shape(self, x0_shape, x_shape):
        """The width stays."""
        return tuple(x_shape)
