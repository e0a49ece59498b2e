"""One layer of DCN-V2's cross network."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="deeprec_tf")
class MatrixCross(keras.layers.Layer):
    """x_{l+1} = x_0 ∘ (W x_l + b) + x_l (DCN-V2, equation 1).

    Call arguments:
        x0: float tensor (B, n), the network's first input.
        x: float tensor (B, n), what the layer before gave.

    Returns:
        Float tensor (B, n).

    Example:
        >>> MatrixCross()(keras.ops.ones((2, 3)), keras.ops.ones((2, 3))).shape
        TensorShape([2, 3])

    References:
        Wang et al., DCN V2: Improved Deep & Cross Network and Practical Lessons for Web-scale
        Learning to Rank Systems, WWW 2021.
    """

    def build(self, x0_shape, x_shape):
        """Creates W, transposed, and b."""
        width = x_shape[-1]
        self.kernel = self.add_weight(
            shape=(width, width), initializer="glorot_uniform", name="kernel"
        )
        self.bias = self.add_weight(shape=(width,), initializer="zeros", name="bias")

    def call(self, x0, x):
        """Applies the layer."""
        return x0 * (ops.matmul(x, self.kernel) + self.bias) + x

    def compute_output_shape(self, x0_shape, x_shape):
        """The width stays."""
        return tuple(x_shape)
