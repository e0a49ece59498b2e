"""A gate over experts."""

import keras
from keras import ops

from deeprec_tf.layers.core.mlp import MLP, checked_widths

_ACTIVATIONS = ("softmax", "sigmoid")


@keras.saving.register_keras_serializable(package="deeprec_tf")
class ExpertGate(keras.layers.Layer):
    """sum_e g_e f_e, g = softmax(W x) (MMoE, equations 5 to 7).

    Args:
        activation: "softmax" (gates sum to 1) or "sigmoid" (each expert is let through by itself).
        hidden_units: widths of hidden layers between x and the gate's logits; none in the paper.

    Call arguments:
        selector: float tensor (B, n), x.
        experts: list of E float tensors (B, D).

    Returns:
        Float tensor (B, D).

    Raises:
        ValueError: an unknown activation.

    Example:
        >>> x = keras.ops.ones((2, 3))
        >>> ExpertGate()(x, [x, x]).numpy().round(3).tolist()
        [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]

    References:
        Ma et al., Modeling Task Relationships in Multi-task Learning with Multi-gate
        Mixture-of-Experts, KDD 2018.
    """

    def __init__(self, activation="softmax", *, hidden_units=(), **kwargs):
        super().__init__(**kwargs)
        if activation not in _ACTIVATIONS:
            raise ValueError(
                f"{self.name}: activation must be one of {_ACTIVATIONS}, got {activation!r}."
            )
        self.activation = activation
        self.hidden_units = checked_widths(self.name, hidden_units)
        self.hidden = MLP(self.hidden_units, name="hidden", dtype=self.dtype_policy)

    def build(self, selector_shape, experts_shape):
        """Creates W; one expert under a softmax has gate 1 and no weights for it."""
        self.logits = None
        if len(experts_shape) > 1 or self.activation == "sigmoid":
            self.hidden.build(selector_shape)
            self.logits = keras.layers.Dense(
                len(experts_shape), use_bias=False, name="logits", dtype=self.dtype_policy
            )
            self.logits.build(self.hidden.compute_output_shape(selector_shape))

    def call(self, selector, experts):
        """Applies the layer."""
        gates = self._gates(selector)
        if gates is None:
            return experts[0]
        stacked = ops.stack(experts, axis=1)  # (B, E, D)
        return ops.einsum("be,bed->bd", ops.cast(gates, self.compute_dtype), stacked)

    def _gates(self, selector):
        """float32 (B, E), or None where it would be one column of ones."""
        if self.logits is None:
            return None
        logits = ops.cast(self.logits(self.hidden(selector)), "float32")
        return ops.softmax(logits) if self.activation == "softmax" else ops.sigmoid(logits)

    def explain(self, selector, experts):
        """How much each expert counts: {"gates": (B, E)}."""
        gates = self._gates(selector)
        return {"gates": ops.ones_like(selector[:, :1]) if gates is None else gates}

    def compute_output_shape(self, selector_shape, experts_shape):
        """An expert's shape."""
        return tuple(experts_shape[0])

    def get_config(self):
        """Returns the arguments."""
        return {
            **super().get_config(),
            "activation": self.activation,
            "hidden_units": self.hidden_units,
        }
