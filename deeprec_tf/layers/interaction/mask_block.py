"""MaskNet's block: multiplication by an instance-guided mask."""

import keras

from deeprec_tf.layers.core.dropout import Dropout


@keras.saving.register_keras_serializable(package="deeprec_tf")
class MaskBlock(keras.layers.Layer):
    """ReLU(LN(W (mask ∘ hidden))), mask = W_2 ReLU(W_1 flat + b_1) + b_2 (equations 4, 8 and 11).

    The mask is made from the embeddings of the row and multiplies the block's input element by
    element: it lifts or drowns features, and brings multiplications into a feed-forward layer.

    Args:
        units: width of the output.
        reduction_ratio: width of the mask's hidden layer over that of the mask; above 1 it is
            wider, as the paper wants it.
        dropout: share of the output dropped in training.

    Call arguments:
        hidden: float tensor (B, n), normalized embeddings or the output of the block before.
        flat: float tensor (B, m), the embeddings of the row.

    Returns:
        Float tensor (B, units).

    Raises:
        ValueError: units below 1 or a ratio that is not positive.

    References:
        Wang et al., MaskNet: Introducing Feature-Wise Multiplication to CTR Ranking Models by
        Instance-Guided Mask, DLP-KDD 2021.
    """

    def __init__(self, units, *, reduction_ratio=2.0, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.reduction_ratio = reduction_ratio
        self.dropout = dropout
        if units < 1 or reduction_ratio <= 0:
            raise ValueError(
                f"{self.name}: units must be 1 or more and reduction_ratio positive, got "
                f"{units!r} and {reduction_ratio!r}."
            )
        policy = self.dtype_policy
        # No bias: the normalization's offset is one already.
        self.dense = keras.layers.Dense(units, use_bias=False, name="dense", dtype=policy)
        self.norm = keras.layers.LayerNormalization(epsilon=1e-5, name="norm", dtype=policy)
        self.drop = Dropout(dropout, name="dropout", dtype=policy)

    def build(self, hidden_shape, flat_shape):
        """Builds the mask's two layers and the block's own."""
        width = hidden_shape[-1]
        wide = max(1, int(self.reduction_ratio * width))
        self.mask_hidden = keras.layers.Dense(
            wide, activation="relu", name="mask_hidden", dtype=self.dtype_policy
        )
        self.mask_output = keras.layers.Dense(width, name="mask_output", dtype=self.dtype_policy)
        self.mask_hidden.build(flat_shape)
        self.mask_output.build((*flat_shape[:-1], wide))
        self.dense.build(hidden_shape)
        self.norm.build((*hidden_shape[:-1], self.units))

    def call(self, hidden, flat, training=False):
        """Applies the layer."""
        product = self.dense(self._mask(flat) * hidden)
        return self.drop(keras.ops.relu(self.norm(product)), training=training)

    def _mask(self, flat):
        """(B, m) → (B, n)."""
        return self.mask_output(self.mask_hidden(flat))

    def explain(self, hidden, flat):
        """What the input is multiplied by: {"masks": (B, n)}."""
        return {"masks": self._mask(flat)}

    def compute_output_shape(self, hidden_shape, flat_shape):
        """The last axis becomes the width."""
        return (*hidden_shape[:-1], self.units)

    def get_config(self):
        """Returns the arguments."""
        return {
            **super().get_config(),
            "units": self.units,
            "reduction_ratio": self.reduction_ratio,
            "dropout": self.dropout,
        }
