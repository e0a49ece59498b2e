"""T5's block: attention to itself, attention to an encoder's output, a network on every step."""

import keras
from keras import ops

from deeprec_tf.layers.core.dropout import Dropout
from deeprec_tf.layers.generative.t5_attention import T5Attention


@keras.saving.register_keras_serializable(package="deeprec_tf")
class T5Block(keras.layers.Layer):
    """x + SelfAttention(RMS(x)); in a decoder + CrossAttention(RMS(x)); + W2 ReLU(W1 RMS(x)).

    Several rows of a decoder, such as the beams of a search, may share one row of the encoder's
    output: of N rows for B encoded ones, N/B consecutive rows each belong together.

    Args:
        num_heads: heads H.
        head_size: width d of a head.
        feed_forward_units: inner width of the network.
        cross: whether the block attends to an encoder's output: a decoder's.
        dropout: share dropped of attention weights, inside the network and of each part's output.

    Call arguments:
        sequence: float tensor (N, Q, D).
        bias: float32 tensor (H, Q, P + Q) of relative positions.
        mask: bool tensor that broadcasts to (N, H, Q, P + Q), True = may be looked at, optional.
        past: keys and values (N, H, P, d) of the steps before, as this block has returned them.
        memory: keys and values (B, H, S, d) that `memory_of` gives of an encoder's output.
        memory_mask: bool tensor (B, S), True = real.
        training: whether dropout is on.

    Returns:
        Float tensor (N, Q, D), and keys and values (N, H, P + Q, d) of all steps so far.

    References:
        Raffel et al., Exploring the Limits of Transfer Learning with a Unified Text-to-Text
        Transformer, JMLR 2020.
    """

    def __init__(
        self, num_heads, head_size, feed_forward_units, *, cross=False, dropout=0.0, **kwargs
    ):
        super().__init__(**kwargs)
        self.num_heads = int(num_heads)
        self.head_size = int(head_size)
        self.feed_forward_units = int(feed_forward_units)
        self.cross = bool(cross)
        self.dropout = dropout
        policy = self.dtype_policy
        parts = ("self_attention", "cross_attention") if self.cross else ("self_attention",)
        self.attentions = [
            T5Attention(num_heads, head_size, dropout=dropout, name=name, dtype=policy)
            for name in parts
        ]
        self.norms = [
            keras.layers.RMSNormalization(epsilon=1e-6, name=f"norm_{name}", dtype=policy)
            for name in (*parts, "feed_forward")
        ]
        self.drop = Dropout(dropout, dtype=policy)

    def build(self, sequence_shape):
        """Builds the parts."""
        width, policy = sequence_shape[-1], self.dtype_policy
        for part in (*self.attentions, *self.norms):
            part.build(sequence_shape)
        self.inner, self.outer = (
            keras.layers.Dense(
                units, use_bias=False, name=name, dtype=policy, activation=activation,
                kernel_initializer=keras.initializers.RandomNormal(0.0, inputs**-0.5),
            )
            for name, units, inputs, activation in (
                ("inner", self.feed_forward_units, width, "relu"),
                ("outer", width, self.feed_forward_units, None),
            )
        )
        self.inner.build(sequence_shape)
        self.outer.build((*sequence_shape[:-1], self.feed_forward_units))

    def memory_of(self, encoded):
        """Keys and values (B, H, S, d) of an encoder's output (B, S, D)."""
        return self.attentions[1].keys_values(encoded)

    def call(
        self, sequence, bias, mask=None, past=None, memory=None, memory_mask=None, training=False
    ):
        """Applies the layer."""
        x, normal = sequence, self.norms[0](sequence)
        keys_values = self.attentions[0].keys_values(normal)
        if past is not None:
            keys_values = tuple(
                ops.concatenate([before, now], axis=2)
                for before, now in zip(past, keys_values, strict=True)
            )
        attended = self.attentions[0](normal, *keys_values, bias=bias, mask=mask, training=training)
        x = x + self.drop(attended, training=training)
        if self.cross:
            x = x + self.drop(self._crossed(x, memory, memory_mask, training), training=training)
        deeper = self.drop(self.inner(self.norms[-1](x)), training=training)
        return x + self.drop(self.outer(deeper), training=training), keys_values

    def _crossed(self, x, memory, memory_mask, training):
        """Rows that share a memory stand side by side as its queries."""
        together = (ops.shape(memory[0])[0], -1, x.shape[-1])
        attended = self.attentions[1](
            ops.reshape(self.norms[1](x), together), *memory,
            mask=memory_mask[:, None, None, :], training=training,
        )
        return ops.reshape(attended, (-1, ops.shape(x)[1], x.shape[-1]))

    def compute_mask(self, *args, **kwargs):
        """No implicit mask."""
        return None

    def get_config(self):
        """Returns the arguments."""
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "head_size": self.head_size,
            "feed_forward_units": self.feed_forward_units,
            "cross": self.cross,
            "dropout": self.dropout,
        }
