"""A small decoder over vectors: a transformer without words."""

from numbers import Integral

import keras

from deeprec_tf.layers.attention.causal_block import CausalBlock
from deeprec_tf.layers.core.dropout import Dropout


@keras.saving.register_keras_serializable(package="deeprec_tf")
class CausalDecoder(keras.layers.Layer):
    """Learned places, causal pre-norm blocks, a last normalization.

    x_t = sqrt(d) · v_t + p_t; x = Block_l(x), l = 1..L; out = LN(x). Step t sees itself and those
    before it, so padding behind a sequence has no influence on its real steps.

    Args:
        num_layers: blocks L.
        num_heads: heads of a block; the width d must be a multiple.
        maxlen: longest sequence.
        dropout: share dropped of the inputs, of attention weights and in the blocks.

    Call arguments:
        sequence: float tensor (B, T, d), left-aligned, T at most maxlen.
        mask: bool tensor (B, T), True = real.
        training: whether dropout is on.

    Returns:
        Float tensor (B, T, d); what stands at padded steps means nothing.

    Raises:
        ValueError: a number below 1, or a width that is no multiple of the heads.

    References:
        Radford et al., Language Models are Unsupervised Multitask Learners, 2019.
    """

    def __init__(self, num_layers, num_heads, maxlen, *, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        for label, number in (
            ("num_layers", num_layers), ("num_heads", num_heads), ("maxlen", maxlen),
        ):
            if isinstance(number, bool) or not isinstance(number, Integral) or number < 1:
                raise ValueError(
                    f"{self.name}: {label} must be an integer of at least 1, got {number!r}."
                )
        self.num_layers = int(num_layers)
        self.num_heads = int(num_heads)
        self.maxlen = int(maxlen)
        self.dropout = dropout
        policy = self.dtype_policy
        self.drop = Dropout(dropout, dtype=policy)
        self.blocks = [
            CausalBlock(num_heads, dropout=dropout, name=f"block_{i}", dtype=policy)
            for i in range(num_layers)
        ]
        self.norm = keras.layers.LayerNormalization(epsilon=1e-8, name="norm", dtype=policy)

    def build(self, sequence_shape, mask_shape=None):
        """Builds the places and the blocks."""
        width = sequence_shape[-1]
        self.positions = self.add_weight(
            shape=(self.maxlen, width), name="positions",
            initializer=keras.initializers.RandomNormal(stddev=0.02),
        )
        for part in (*self.blocks, self.norm):
            part.build(sequence_shape)

    def call(self, sequence, mask, training=False):
        """Applies the layer."""
        scale = sequence.shape[-1] ** 0.5
        moved = sequence * scale + self.positions[: keras.ops.shape(sequence)[1]]
        states = keras.ops.where(mask[..., None], moved, keras.ops.zeros_like(moved))
        states = self.drop(states, training=training)
        for block in self.blocks:
            states = block(states, mask, training=training)
        return self.norm(states)

    def compute_mask(self, *args, **kwargs):
        """No implicit mask."""
        return None

    def compute_output_shape(self, sequence_shape, mask_shape=None):
        """Shape is kept."""
        return sequence_shape

    def get_config(self):
        """Returns the arguments."""
        return {
            **super().get_config(),
            "num_layers": self.num_layers,
            "num_heads": self.num_heads,
            "maxlen": self.maxlen,
            "dropout": self.dropout,
        }
