"""T5's attention: no biases, no scaling, a bias by relative position."""

import keras
from keras import ops

from deeprec_tf.layers.core.dropout import Dropout
from deeprec_tf.layers.core.masking import softmax_over_real


@keras.saving.register_keras_serializable(package="deeprec_tf")
class T5Attention(keras.layers.Layer):
    """concat_h softmax(Q_h K_hᵀ + b_h) V_h · W_O, with linear maps that have no bias.

    The scores are not divided by sqrt(d); W_Q starts as much smaller instead. Keys and values come
    from `keys_values`, once for as many calls as there are. A row without a real key gives zeros.

    Args:
        num_heads: heads H.
        head_size: d, width of a head; H·d need not be that of the sequence.
        dropout: share of the attention weights dropped.

    Call arguments:
        queries: float tensor (N, Q, D).
        keys: float tensor (N, H, K, d).
        values: float tensor (N, H, K, d).
        bias: float32 tensor that broadcasts to (N, H, Q, K), optional.
        mask: bool tensor that broadcasts to (N, H, Q, K), True = real; all are without it.
        training: whether dropout is on.

    Returns:
        Float tensor (N, Q, D).

    References:
        Raffel et al., Exploring the Limits of Transfer Learning with a Unified Text-to-Text
        Transformer, JMLR 2020.
    """

    def __init__(self, num_heads, head_size, *, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        self.num_heads = int(num_heads)
        self.head_size = int(head_size)
        self.dropout = dropout
        self.weight_dropout = Dropout(dropout, dtype=self.dtype_policy)

    def build(self, queries_shape, keys_shape=None, values_shape=None):
        """Creates the four maps, from the width of the queries."""
        width, inner = queries_shape[-1], self.num_heads * self.head_size
        deviations = {
            "query": (width * self.head_size) ** -0.5, "key": width**-0.5, "value": width**-0.5,
            "output": inner**-0.5,
        }
        for name, deviation in deviations.items():
            kernel = self.add_weight(
                shape=(inner, width) if name == "output" else (width, inner),
                name=f"{name}_kernel", initializer=keras.initializers.RandomNormal(0.0, deviation),
            )
            setattr(self, f"{name}_kernel", kernel)

    def keys_values(self, sequence):
        """Keys and values (N, H, K, d) of a sequence (N, K, D)."""
        return tuple(
            self._split(ops.matmul(sequence, kernel))
            for kernel in (self.key_kernel, self.value_kernel)
        )

    def call(self, queries, keys, values, bias=None, mask=None, training=False):
        """Applies the layer."""
        query = self._split(ops.matmul(queries, self.query_kernel))  # (N, H, Q, d)
        scores = ops.matmul(query, ops.transpose(keys, (0, 1, 3, 2)))
        scores = ops.cast(scores, "float32")
        if bias is not None:
            scores = scores + ops.cast(bias, "float32")
        weights = softmax_over_real(scores, ops.ones((1, 1), "bool") if mask is None else mask)
        weights = self.weight_dropout(ops.cast(weights, values.dtype), training=training)
        heads = ops.matmul(weights, values)
        if mask is not None:
            heads = heads * ops.cast(ops.any(mask, axis=-1, keepdims=True), heads.dtype)
        heads = ops.transpose(heads, (0, 2, 1, 3))  # (N, Q, H, d)
        inner = self.num_heads * self.head_size
        joined = ops.reshape(heads, (-1, ops.shape(queries)[1], inner))
        return ops.matmul(joined, self.output_kernel)

    def _split(self, tensor):
        shape = (-1, ops.shape(tensor)[1], self.num_heads, self.head_size)
        return ops.transpose(ops.reshape(tensor, shape), (0, 2, 1, 3))

    def compute_mask(self, *args, **kwargs):
        """No implicit mask."""
        return None

    def compute_output_shape(self, queries_shape, keys_shape=None, values_shape=None):
        """That of the queries."""
        return tuple(queries_shape)

    def get_config(self):
        """Returns the arguments."""
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "head_size": self.head_size,
            "dropout": self.dropout,
        }
