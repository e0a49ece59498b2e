"""One block of a Transformer encoder, normalized after each part."""

import keras

from deeprec_tf.layers.attention.multi_head_self_attention import MultiHeadSelfAttention
from deeprec_tf.layers.core._by_length_kernels import RowsByLength
from deeprec_tf.layers.core._kernels import is_graph_training
from deeprec_tf.layers.core.dropout import Dropout
from deeprec_tf.layers.core.mlp import MLP


@keras.saving.register_keras_serializable(package="deeprec_tf")
class TransformerBlock(keras.layers.Layer):
    """S' = LN(S + Dropout(MultiHead(S))); F = LN(S' + Dropout(act(S'W1 + b1)W2 + b2)).

    Every step looks at all real steps, before and after it. Outputs of padded steps mean nothing
    and are left as they are; mask them where they are read.

    Args:
        num_heads: heads of the attention; the width d of the sequence must be a multiple.
        feed_forward_units: inner width of the feed-forward part; 4·d when None.
        activation: "prelu", "leaky_relu" or another Keras activation name.
        dropout: share dropped of the attention weights and of each part's output.

    Call arguments:
        sequence: float tensor (B, T, d).
        sequence_mask: bool tensor (B, T), True = real; every step is real without it.
        queries: float tensor (B, Q, d), the steps of the sequence whose output is wanted; all of
            them when left out. One query costs a T-th of all.
        training: whether dropout is on.

    Returns:
        Float tensor (B, T, d), or (B, Q, d).

    Raises:
        ValueError: the width is no multiple of the heads.

    References:
        Vaswani et al., Attention Is All You Need, NIPS 2017.
        Chen et al., Behavior Sequence Transformer for E-commerce Recommendation in Alibaba,
        DLP-KDD 2019.
    """

    def __init__(
        self, num_heads, *, feed_forward_units=None, activation="leaky_relu", dropout=0.0, **kwargs
    ):
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.feed_forward_units = feed_forward_units
        self.activation = activation
        self.dropout = dropout
        policy = self.dtype_policy
        self.attention = MultiHeadSelfAttention(
            num_heads, dropout=dropout, name="attention", dtype=policy
        )
        self.drop_attention = Dropout(dropout, dtype=policy)
        self.drop_feed_forward = Dropout(dropout, dtype=policy)
        self.norm_attention, self.norm_feed_forward = (
            keras.layers.LayerNormalization(epsilon=1e-6, name=name, dtype=policy)
            for name in ("norm_attention", "norm_feed_forward")
        )

    def build(self, sequence_shape, sequence_mask_shape=None, queries_shape=None):
        """Builds the parts."""
        width, policy = sequence_shape[-1], self.dtype_policy
        units = self.feed_forward_units or 4 * width
        self.inner = MLP((units,), activation=self.activation, name="inner", dtype=policy)
        self.outer = keras.layers.Dense(width, name="outer", dtype=policy)
        self.attention.build(sequence_shape)
        for norm in (self.norm_attention, self.norm_feed_forward):
            norm.build(sequence_shape)
        self.inner.build(sequence_shape)
        self.outer.build((*sequence_shape[:-1], units))

    def call(self, sequence, sequence_mask=None, queries=None, training=False):
        """Applies the layer."""
        if queries is None and sequence_mask is not None and is_graph_training(training):
            return RowsByLength(sequence_mask).map(self._trained, sequence)
        return self._output(sequence, sequence_mask, queries, training)

    def _trained(self, sequence, sequence_mask):
        return self._output(sequence, sequence_mask, None, True)

    def _output(self, sequence, sequence_mask, queries, training):
        attended = self.attention(
            sequence, sequence_mask=sequence_mask, queries=queries, training=training
        )
        base = sequence if queries is None else queries
        x = self.norm_attention(base + self.drop_attention(attended, training=training))
        deeper = self.outer(self.inner(x))
        return self.norm_feed_forward(x + self.drop_feed_forward(deeper, training=training))

    def explain(self, sequence, sequence_mask=None, queries=None):
        """What each query looks at.

        Returns:
            {"weights": float32 tensor (B, H, Q, T)}, one over the real steps, padding 0.
        """
        return self.attention.explain(sequence, sequence_mask, queries)

    def compute_mask(self, *args, **kwargs):
        """No implicit mask."""
        return None

    def compute_output_shape(self, sequence_shape, sequence_mask_shape=None, queries_shape=None):
        """That of the queries."""
        return tuple(queries_shape or sequence_shape)

    def get_config(self):
        """Returns the arguments."""
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "feed_forward_units": self.feed_forward_units,
            "activation": self.activation,
            "dropout": self.dropout,
        }
