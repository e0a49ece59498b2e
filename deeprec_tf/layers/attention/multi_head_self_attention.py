"""Multi-head self-attention over a padded sequence."""

import keras
from keras import ops

from deeprec_tf.layers.core.masking import masked_softmax


@keras.saving.register_keras_serializable(package="deeprec_tf")
class MultiHeadSelfAttention(keras.layers.Layer):
    """concat_h softmax(Q_h K_hᵀ / sqrt(d/H)) V_h · W_O, each step over all real steps.

    Q, K and V are linear maps of the sequence without a bias (one on the keys would move nothing
    under the softmax). A sequence without a real step gives zeros.

    Args:
        num_heads: heads H; the width d of the sequence must be a multiple.
        dropout: share of the attention weights dropped.

    Call arguments:
        sequence: float tensor (B, T, d).
        sequence_mask: bool tensor (B, T), True = real; every step is real without it.
        queries: float tensor (B, Q, d), the steps whose output is wanted; the sequence itself
            when left out.
        training: whether dropout is on.

    Returns:
        Float tensor (B, T, d), or (B, Q, d).

    Raises:
        ValueError: the width is no multiple of the heads.

    References:
        Vaswani et al., Attention Is All You Need, NIPS 2017.
    """

    def __init__(self, num_heads, *, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.dropout = dropout
        self.weight_dropout = keras.layers.Dropout(dropout, dtype=self.dtype_policy)

    def build(self, sequence_shape, sequence_mask_shape=None, queries_shape=None):
        """Creates the four maps."""
        width = sequence_shape[-1]
        if self.num_heads < 1 or width % self.num_heads:
            raise ValueError(
                f"{self.name}: a width of {width} cannot be split into {self.num_heads} heads. "
                "Project the sequence to a multiple of num_heads."
            )
        maps = {"query": 1, "key_value": 2, "output": 1}
        for name, count in maps.items():
            weight = self.add_weight(shape=(width, count * width), name=f"{name}_kernel")
            setattr(self, f"{name}_kernel", weight)

    def call(self, sequence, sequence_mask=None, queries=None, training=False):
        """Applies the layer."""
        weights, values = self._attend(sequence, sequence_mask, queries)
        weights = self.weight_dropout(ops.cast(weights, values.dtype), training=training)
        heads = ops.transpose(ops.matmul(weights, values), (0, 2, 1, 3))  # (B, Q, H, d/H)
        return ops.matmul(self._joined(heads), self.output_kernel)

    def explain(self, sequence, sequence_mask=None, queries=None):
        """What each query looks at.

        Returns:
            {"weights": float32 tensor (B, H, Q, T)}, one over the real steps, padding 0.
        """
        return {"weights": self._attend(sequence, sequence_mask, queries)[0]}

    def _attend(self, sequence, sequence_mask, queries):
        """Attention weights (B, H, Q, T), and the values (B, H, T, d/H)."""
        queries = sequence if queries is None else queries
        scale = float(sequence.shape[-1] // self.num_heads) ** -0.5
        query = self._split(ops.matmul(queries, self.query_kernel) * scale)
        keys, values = ops.split(ops.matmul(sequence, self.key_value_kernel), 2, axis=-1)
        scores = ops.matmul(query, ops.transpose(self._split(keys), (0, 1, 3, 2)))
        if sequence_mask is None:
            sequence_mask = ops.ones_like(sequence[..., 0], dtype="bool")
        return masked_softmax(scores, sequence_mask[:, None, None, :]), self._split(values)

    def _split(self, x):
        """(B, T, d) as (B, H, T, d/H)."""
        shape = (-1, ops.shape(x)[1], self.num_heads, x.shape[-1] // self.num_heads)
        return ops.transpose(ops.reshape(x, shape), (0, 2, 1, 3))

    def _joined(self, x):
        """(B, T, H, d/H) as (B, T, d)."""
        return ops.reshape(x, (-1, ops.shape(x)[1], x.shape[-2] * x.shape[-1]))

    def compute_mask(self, *args, **kwargs):
        """No implicit mask."""
        return None

    def compute_output_shape(self, sequence_shape, sequence_mask_shape=None, queries_shape=None):
        """That of the queries."""
        return tuple(queries_shape or sequence_shape)

    def get_config(self):
        """Returns the arguments."""
        return {
            **super().get_config(), "num_heads": self.num_heads, "dropout": self.dropout,
        }
