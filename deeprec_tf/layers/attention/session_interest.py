"""What a session was about: self-attention among its items, and their mean."""

import keras
from keras import ops

from deeprec_tf.layers.attention.transformer_block import TransformerBlock


@keras.saving.register_keras_serializable(package="deeprec_tf")
class SessionInterest(keras.layers.Layer):
    """One vector a session: the mean over its items of a Transformer block (DSIN, equation 3-7).

    All sessions share the block; items of different sessions do not see each other.

    Args:
        num_heads: heads of the attention; the width D must be a multiple.
        dropout: share dropped in the block.

    Call arguments:
        sessions: float tensor (B, K, S, D).
        items_mask: bool tensor (B, K, S), True = real.
        training: whether dropout is on.

    Returns:
        Float tensor (B, K, D); zeros for a session without items.

    References:
        Feng et al., Deep Session Interest Network for Click-Through Rate Prediction, IJCAI 2019.
    """

    def __init__(self, num_heads, *, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.dropout = dropout
        self.block = TransformerBlock(
            num_heads, activation="relu", dropout=dropout, name="block", dtype=self.dtype_policy
        )

    def build(self, sessions_shape, items_mask_shape=None):
        """Builds the block."""
        self.block.build((None, *sessions_shape[2:]))

    def call(self, sessions, items_mask, training=False):
        """Applies the layer."""
        flat, mask = self._flat(sessions, items_mask)
        items = self.block(flat, sequence_mask=mask, training=training)  # (B·K, S, D)
        real = ops.cast(mask, items.dtype)[:, None]  # (B·K, 1, S)
        count = ops.maximum(ops.sum(real, axis=-1), 1)  # (B·K, 1)
        mean = ops.squeeze(ops.matmul(real, items), axis=1) / count
        return ops.reshape(mean, (-1, ops.shape(sessions)[1], sessions.shape[-1]))

    def explain(self, sessions, items_mask):
        """What each item looks at within its session.

        Returns:
            {"weights": float32 tensor (B, K, H, S, S)}, one over the real items, padding 0.
        """
        weights = self.block.explain(*self._flat(sessions, items_mask))["weights"]
        shape = (-1, ops.shape(sessions)[1], *weights.shape[1:])
        return {"weights": ops.reshape(weights, shape)}

    def _flat(self, sessions, items_mask):
        """Every session a row."""
        size, width = sessions.shape[2:]
        return ops.reshape(sessions, (-1, size, width)), ops.reshape(items_mask, (-1, size))

    def compute_mask(self, *args, **kwargs):
        """No implicit mask."""
        return None

    def compute_output_shape(self, sessions_shape, items_mask_shape=None):
        """The items are gone."""
        return (*sessions_shape[:2], sessions_shape[-1])

    def get_config(self):
        """Returns the arguments."""
        return {
            **super().get_config(), "num_heads": self.num_heads, "dropout": self.dropout,
        }
