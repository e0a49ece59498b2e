"""One layer of the gated cross network."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="deeprec_tf")
class GatedCross(keras.layers.Layer):
    """c_{l+1} = c_0 ∘ (W c_l + b) ∘ σ(W_g c_l) + c_l (GDCN).

    The information gate σ(W_g c_l) lets each cross of this order through, or not.

    Call arguments:
        x0: float tensor (B, n), c_0.
        x: float tensor (B, n), c_l.

    Returns:
        Float tensor (B, n).

    Example:
        >>> GatedCross()(keras.ops.ones((2, 3)), keras.ops.ones((2, 3))).shape
        TensorShape([2, 3])

    References:
        Wang et al., Towards Deeper, Lighter and Interpretable Cross Network for CTR Prediction,
        CIKM 2023.
    """

    def build(self, x0_shape, x_shape):
        """Creates W and W_g, transposed, and b."""
        width = x_shape[-1]
        self.kernel = self.add_weight(
            shape=(width, width), initializer="glorot_uniform", name="kernel"
        )
        self.gate = self.add_weight(shape=(width, width), initializer="glorot_uniform", name="gate")
        self.bias = self.add_weight(shape=(width,), initializer="zeros", name="bias")

    def call(self, x0, x):
        """Applies the layer."""
        return x0 * (ops.matmul(x, self.kernel) + self.bias) * self._gates(x) + x

    def _gates(self, x):
        return ops.sigmoid(ops.matmul(x, self.gate))

    def explain(self, x0, x):
        """How far each cross is let through: {"gates": (B, n)}, in (0, 1)."""
        return {"gates": self._gates(x)}

    def compute_output_shape(self, x0_shape, x_shape):
        """The width stays."""
        return tuple(x_shape)
