"""FinalMLP's fusion of two streams."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="deeprec_tf")
class BilinearFusion(keras.layers.Layer):
    """w_1ᵀ o_1 + w_2ᵀ o_2 + Σ_h o_1hᵀ W_h o_2h, the streams cut into heads (equations 9 and 10).

    One head is the full bilinear form; H heads need an H-th of its weights. The bias is the
    prediction layer's.

    Args:
        num_heads: H; divides the width of both streams.

    Call arguments:
        first: float tensor (B, n).
        second: float tensor (B, m).

    Returns:
        Float tensor (B, 1).

    Raises:
        ValueError: a width cannot be cut into so many heads.

    References:
        Mao et al., FinalMLP: An Enhanced Two-Stream MLP Model for CTR Prediction, AAAI 2023.
    """

    def __init__(self, num_heads=1, **kwargs):
        super().__init__(**kwargs)
        self.num_heads = num_heads
        if num_heads < 1:
            raise ValueError(f"{self.name}: num_heads must be 1 or more, got {num_heads!r}.")

    def build(self, first_shape, second_shape):
        """Creates the weights."""
        widths = first_shape[-1], second_shape[-1]
        if any(width % self.num_heads for width in widths):
            raise ValueError(
                f"{self.name}: the streams' widths {widths[0]} and {widths[1]} must be divisible "
                f"by num_heads={self.num_heads}. Change the last width or the number of heads."
            )
        self.first_kernel = self.add_weight(shape=(widths[0], 1), name="first_kernel")
        self.second_kernel = self.add_weight(shape=(widths[1], 1), name="second_kernel")
        self.bilinear = self.add_weight(
            shape=(self.num_heads, *(width // self.num_heads for width in widths)),
            name="bilinear",
        )

    def call(self, first, second):
        """Applies the layer."""
        heads, part, other = self.bilinear.shape
        left = ops.transpose(ops.reshape(first, (-1, heads, part)), (1, 0, 2))  # (H, B, n/H)
        right = ops.transpose(ops.reshape(second, (-1, heads, other)), (1, 0, 2))  # (H, B, m/H)
        pairs = ops.sum(ops.matmul(left, self.bilinear) * right, axis=(0, 2))  # (B,)
        alone = ops.matmul(first, self.first_kernel) + ops.matmul(second, self.second_kernel)
        return alone + ops.expand_dims(pairs, -1)

    def compute_output_shape(self, first_shape, second_shape):
        """One number a row."""
        return (first_shape[0], 1)

    def get_config(self):
        """Returns the argument."""
        return {**super().get_config(), "num_heads": self.num_heads}
