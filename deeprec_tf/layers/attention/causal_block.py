"""SASRec's block: causal attention, then a network on every step."""

import keras

from deeprec_tf.layers.attention.causal_attention import CausalAttention
from deeprec_tf.layers.core.dropout import Dropout
from deeprec_tf.layers.core.valid_steps import steps_of


@keras.saving.register_keras_serializable(package="deeprec_tf")
class CausalBlock(keras.layers.Layer):
    """y = x + Dropout(Attention(LN(x))); out = y + FFN(LN(y)), each step over the steps before it.

    FFN(z) = Dropout(Dropout(ReLU(z W1 + b1)) W2 + b2), of width d. With `original`, as in SASRec's
    paper and code: queries alone are normalized, q = LN(x), keys and values are maps of x,
    the residuals are the normalized q and z = LN(y), and the heads are not mapped:
    y = q + Attention(q, x, x); out = z + FFN(z).

    In training the products run over the real steps only.

    Args:
        num_heads: heads; the width d must be a multiple.
        dropout: share dropped of attention weights and in the network.
        original: the block of the paper instead of the usual pre-norm one.

    Call arguments:
        sequence: float tensor (B, T, d), left-aligned.
        sequence_mask: bool tensor (B, T), True = real.
        training: whether dropout is on.

    Returns:
        Float tensor (B, T, d); what stands at padded steps means nothing.

    Raises:
        ValueError: the width is no multiple of the heads.

    References:
        Kang and McAuley, Self-Attentive Sequential Recommendation, ICDM 2018.
    """

    def __init__(self, num_heads, *, dropout=0.0, original=False, **kwargs):
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.dropout = dropout
        self.original = original
        policy = self.dtype_policy
        self.attention = CausalAttention(
            num_heads, dropout=dropout, project=not original, name="attention", dtype=policy
        )
        self.norm_attention, self.norm_feed_forward = (
            keras.layers.LayerNormalization(epsilon=1e-8, name=name, dtype=policy)
            for name in ("norm_attention", "norm_feed_forward")
        )
        self.drops = [Dropout(dropout, dtype=policy) for _ in range(3)]

    def build(self, sequence_shape, sequence_mask_shape=None):
        """Builds the parts."""
        width, policy = sequence_shape[-1], self.dtype_policy
        self.inner = keras.layers.Dense(width, activation="relu", name="inner", dtype=policy)
        self.outer = keras.layers.Dense(width, name="outer", dtype=policy)
        self.attention.build(sequence_shape)
        for part in (self.norm_attention, self.norm_feed_forward, self.inner, self.outer):
            part.build(sequence_shape)

    def call(self, sequence, sequence_mask, training=False):
        """Applies the layer."""
        steps = steps_of(sequence_mask, training=training)
        x = steps.take(sequence)
        normal = self.norm_attention(x)
        attended = self.attention.over_steps(
            steps, normal, x if self.original else normal, training=training
        )
        if self.original:
            y = normal + attended
            residual = z = self.norm_feed_forward(y)
        else:
            y = residual = x + self.drops[0](attended, training=training)
            z = self.norm_feed_forward(y)
        deeper = self.drops[1](self.inner(z), training=training)
        return steps.restore(residual + self.drops[2](self.outer(deeper), training=training))

    def explain(self, sequence, sequence_mask):
        """What each step looks at: {"weights": float32 tensor (B, H, T, T)}, later steps 0."""
        normal = self.norm_attention(sequence)
        return self.attention.explain(sequence if self.original else normal, queries=normal)

    def compute_mask(self, *args, **kwargs):
        """No implicit mask."""
        return None

    def compute_output_shape(self, sequence_shape, sequence_mask_shape=None):
        """Shape is kept."""
        return sequence_shape

    def get_config(self):
        """Returns the arguments."""
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "dropout": self.dropout,
            "original": self.original,
        }
