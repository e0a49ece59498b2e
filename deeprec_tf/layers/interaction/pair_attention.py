"""Attention over field pairs."""

from numbers import Integral

import keras
import numpy as np
from keras import ops

from deeprec_tf.layers.core.dropout import Dropout
from deeprec_tf.layers.core.masking import masked_softmax


@keras.saving.register_keras_serializable(package="deeprec_tf")
class PairAttention(keras.layers.Layer):
    """Σ over field pairs i < j of a_ij (v_i ∘ v_j), a by an attention network (AFM, equation 5).

    a = softmax over the pairs of hᵀ ReLU(W (v_i ∘ v_j) + b). The softmax is computed in float32.

    Args:
        attention_units: width of the attention network.
        dropout: share of the pairs' weights dropped in training.
        l2: weight of the L2 penalty on W.

    Call arguments:
        fields: float tensor (B, F, D), F at least 2.
        training: whether dropout is on.

    Returns:
        Float tensor (B, D).

    Raises:
        ValueError: there is one field only, the width is below 1, or dropout is outside [0, 1).

    References:
        Xiao et al., Attentional Factorization Machines: Learning the Weight of Feature
        Interactions via Attention Networks, IJCAI 2017.
    """

    def __init__(self, attention_units=16, *, dropout=0.0, l2=0.0, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(attention_units, Integral) or attention_units < 1:
            raise ValueError(
                f"{self.name}: attention_units must be one positive integer, the width of the "
                f"attention network, got {attention_units!r}."
            )
        if not 0 <= dropout < 1:
            raise ValueError(f"{self.name}: dropout must be in [0, 1), got {dropout!r}.")
        self.attention_units = int(attention_units)
        self.dropout = float(dropout)
        self.l2 = l2
        self.drop = Dropout(dropout, name="dropout", dtype="float32")

    def build(self, fields_shape):
        """Creates W (D, units), b (units,) and h (units,)."""
        _, fields, width = fields_shape
        if fields < 2:
            raise ValueError(f"{self.name}: pairs need two fields or more, got {fields}.")
        self.rows, self.columns = (side.astype("int32") for side in np.triu_indices(fields, k=1))
        self.kernel = self.add_weight(
            shape=(width, self.attention_units), initializer="glorot_uniform",
            regularizer=keras.regularizers.L2(self.l2) if self.l2 else None, name="kernel",
        )
        self.bias = self.add_weight(
            shape=(self.attention_units,), initializer="zeros", name="bias"
        )
        self.projection = self.add_weight(
            shape=(self.attention_units, 1), initializer="glorot_uniform", name="projection"
        )

    def _pairs(self, fields):
        """v_i ∘ v_j of all pairs, (B, P, D)."""
        return ops.take(fields, self.rows, axis=1) * ops.take(fields, self.columns, axis=1)

    def _weights(self, pairs):
        """Attention (B, P) in float32."""
        hidden = ops.relu(ops.matmul(pairs, self.kernel) + self.bias)
        scores = ops.squeeze(ops.matmul(hidden, self.projection), -1)
        return masked_softmax(scores, ops.ones_like(scores, dtype="bool"))

    def call(self, fields, training=False):
        """Applies the layer."""
        pairs = self._pairs(fields)
        weights = self.drop(self._weights(pairs), training=training)
        weights = ops.expand_dims(ops.cast(weights, pairs.dtype), 1)  # (B, 1, P)
        return ops.squeeze(ops.matmul(weights, pairs), 1)

    def explain(self, fields):
        """How much each pair counts in a row.

        Args:
            fields: as in a call.

        Returns:
            Dict with "weights", float tensor (B, P) of sum 1 a row, pairs in the order
            (0, 1), (0, 2), …, (1, 2), ….
        """
        return {"weights": self._weights(self._pairs(ops.cast(fields, "float32")))}

    def compute_output_shape(self, fields_shape):
        """The fields are gone."""
        return (fields_shape[0], fields_shape[2])

    def get_config(self):
        """Returns the arguments."""
        return {
            **super().get_config(),
            "attention_units": self.attention_units,
            "dropout": self.dropout,
            "l2": self.l2,
        }
