"""Multi-head self-attention over a padded sequence."""

import keras
from keras import ops

from deeprec_tf.layers.core.dropout import Dropout
from deeprec_tf.layers.core.masking import softmax_over_real


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
        self.weight_dropout = Dropout(dropout, dtype=self.dtype_policy)

    def build(self, sequence_shape, sequence_mask_shape=None, queries_shape=None):
        """Creates the four maps."""
        width = sequence_shape[-1]
        if self.num_heads < 1 or width % self.num_heads:
            raise ValueError(
                f"{self.name}: a width of {width} cannot be split into {self.num_heads} heads. "
                "Project the sequence to a multiple of num_heads."
            )
        self.scale = float(width // self.num_heads) ** -0.5
        for name, count in self._maps().items():
            weight = self.add_weight(shape=(width, count * width), name=f"{name}_kernel")
            setattr(self, f"{name}_kernel", weight)

    def _maps(self):
        """The maps, and how many times the width each gives."""
        return {"query": 1, "key_value": 2, "output": 1}

    def call(self, sequence, sequence_mask=None, queries=None, training=False):
        """Applies the layer."""
        attend = self._all if queries is None else self._few
        weights, mix = attend(sequence, sequence_mask, queries)
        weights = self.weight_dropout(ops.cast(weights, sequence.dtype), training=training)
        seen = ops.matmul(mix(weights), self.output_kernel)
        return seen if sequence_mask is None else seen * _has_steps(sequence_mask, seen.dtype)

    def explain(self, sequence, sequence_mask=None, queries=None):
        """What each query looks at.

        Returns:
            {"weights": float32 tensor (B, H, Q, T)}, one over the real steps, padding 0.
        """
        attend = self._all if queries is None else self._few
        weights = attend(sequence, sequence_mask, queries)[0]
        if sequence_mask is not None:
            weights = weights * _has_steps(sequence_mask, weights.dtype)[..., None]
        return {"weights": weights}

    def _all(self, sequence, sequence_mask, queries=None):
        """Attention weights (B, H, T, T), and how they mix the values to (B, T, d)."""
        query = self._split(ops.matmul(sequence, self.query_kernel) * self.scale)
        key, value = ops.split(ops.matmul(sequence, self.key_value_kernel), 2, axis=-1)
        scores = ops.matmul(query, ops.transpose(self._split(key), (0, 1, 3, 2)))

        def mix(weights):
            heads = ops.matmul(weights, self._split(value))  # (B, H, T, d/H)
            return self._joined(ops.transpose(heads, (0, 2, 1, 3)))

        return self._softmax(scores, sequence_mask), mix

    def _few(self, sequence, sequence_mask, queries):
        """The same without key and value of every step, which cost more than few queries do.

        A score q · (x W_K) is (q W_Kᵀ) · x, and Σ w (x W_V) is (Σ w x) W_V.
        """
        count, width = ops.shape(queries)[1], sequence.shape[-1]
        size = width // self.num_heads
        of_key, of_value = (
            ops.reshape(kernel, (width, self.num_heads, size))
            for kernel in ops.split(ops.convert_to_tensor(self.key_value_kernel), 2, axis=-1)
        )
        query = ops.matmul(queries, self.query_kernel) * self.scale
        query = ops.reshape(query, (-1, count, self.num_heads, size))
        query = ops.einsum("bqhe,dhe->bdhq", query, of_key)
        query = ops.reshape(query, (-1, width, self.num_heads * count))
        scores = ops.transpose(ops.matmul(sequence, query), (0, 2, 1))  # (B, H·Q, T)
        scores = ops.reshape(scores, (-1, self.num_heads, count, ops.shape(sequence)[1]))

        def mix(weights):
            weights = ops.reshape(weights, (-1, self.num_heads * count, ops.shape(sequence)[1]))
            seen = ops.matmul(weights, sequence)
            seen = ops.reshape(seen, (-1, self.num_heads, count, width))
            return self._joined(ops.einsum("bhqd,dhe->bqhe", seen, of_value))

        return self._softmax(scores, sequence_mask), mix

    def _softmax(self, scores, sequence_mask):
        """Over the real steps; zeros for rows without any come later, where there is less to do."""
        if sequence_mask is None:
            sequence_mask = ops.ones((1, 1), dtype="bool")
        return softmax_over_real(scores, sequence_mask[:, None, None, :])

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


def _has_steps(mask, dtype):
    """(B, 1, 1): 0 for rows without a real step, 1 for the others."""
    return ops.cast(ops.any(mask, axis=1), dtype)[:, None, None]
