"""One layer of DCN-V2's mixture of low-rank cross experts."""

import math
from numbers import Integral

import keras
from keras import ops

_GATES = ("softmax", "sigmoid")


@keras.saving.register_keras_serializable(package="deeprec_tf")
class MixtureCross(keras.layers.Layer):
    """x_{l+1} = Σ_k G_k(x_l) x_0 ∘ (U_k g(C_k g(V_kᵀ x_l)) + b) + x_l (DCN-V2, equations 3 and 4).

    g is tanh, V_k and U_k are (n, r), C_k is (r, r); the gate G is linear in x_l, with weights of
    this layer alone. The experts' V are one matrix product, and so are their U: the gates weigh
    the r numbers of an expert instead of its n.

    Args:
        low_rank: r.
        num_experts: E.
        gate_activation: "softmax" (gates sum to 1) or "sigmoid". One expert under a softmax has
            gate 1 and no weights for it.

    Call arguments:
        x0: float tensor (B, n), the network's first input.
        x: float tensor (B, n), what the layer before gave.

    Returns:
        Float tensor (B, n).

    Raises:
        ValueError: a size below 1, or an unknown gate activation.

    Example:
        >>> MixtureCross(2, 3)(keras.ops.ones((2, 5)), keras.ops.ones((2, 5))).shape
        TensorShape([2, 5])

    References:
        Wang et al., DCN V2: Improved Deep & Cross Network and Practical Lessons for Web-scale
        Learning to Rank Systems, WWW 2021.
    """

    def __init__(self, low_rank=32, num_experts=4, *, gate_activation="softmax", **kwargs):
        super().__init__(**kwargs)
        for name, value in (("low_rank", low_rank), ("num_experts", num_experts)):
            if not isinstance(value, Integral) or value < 1:
                raise ValueError(f"{self.name}: {name} must be a positive integer, got {value!r}.")
        if gate_activation not in _GATES:
            raise ValueError(
                f"{self.name}: gate_activation must be one of {_GATES}, got {gate_activation!r}."
            )
        self.low_rank = int(low_rank)
        self.num_experts = int(num_experts)
        self.gate_activation = gate_activation

    def build(self, x0_shape, x_shape):
        """Creates V, C, U, b and the gate; each expert's matrix starts as Glorot's of its own."""
        width, rank, experts = x_shape[-1], self.low_rank, self.num_experts
        outer, inner = _glorot(width, rank), _glorot(rank, rank)
        self.down = self.add_weight(shape=(width, experts, rank), initializer=outer, name="down")
        self.middle = self.add_weight(shape=(experts, rank, rank), initializer=inner, name="middle")
        self.up = self.add_weight(
            shape=(experts, rank, width), initializer=_glorot(rank, width), name="up"
        )
        self.bias = self.add_weight(shape=(width,), initializer="zeros", name="bias")
        self.gate = None
        if experts > 1 or self.gate_activation == "sigmoid":
            self.gate = self.add_weight(
                shape=(width, experts), initializer="glorot_uniform", name="gate"
            )

    def call(self, x0, x):
        """Applies the layer."""
        width, wide = x.shape[-1], self.num_experts * self.low_rank
        hidden = ops.matmul(x, ops.reshape(self.down, (width, wide)))  # (B, E·r)
        hidden = ops.tanh(ops.reshape(hidden, (-1, self.num_experts, self.low_rank)))
        hidden = ops.tanh(ops.einsum("ber,ers->bes", hidden, self.middle))  # (B, E, r)
        bias = self.bias
        gates = self._gates(x)
        if gates is not None:
            hidden = hidden * ops.expand_dims(gates, -1)
        if self.gate_activation == "sigmoid":
            bias = bias * ops.sum(gates, axis=-1, keepdims=True)  # (B, n)
        hidden = ops.reshape(hidden, (-1, wide))
        return x0 * (ops.matmul(hidden, ops.reshape(self.up, (wide, width))) + bias) + x

    def _gates(self, x):
        """(B, E), or None where it would be one column of ones."""
        if self.gate is None:
            return None
        logits = ops.cast(ops.matmul(x, self.gate), "float32")
        squash = ops.softmax if self.gate_activation == "softmax" else ops.sigmoid
        return ops.cast(squash(logits), self.compute_dtype)

    def explain(self, x0, x):
        """How much each expert counts: {"gates": (B, E)}."""
        gates = self._gates(x)
        return {"gates": ops.ones_like(x[:, :1]) if gates is None else gates}

    def compute_output_shape(self, x0_shape, x_shape):
        """The width stays."""
        return tuple(x_shape)

    def get_config(self):
        """Returns the arguments."""
        return {
            **super().get_config(),
            "low_rank": self.low_rank,
            "num_experts": self.num_experts,
            "gate_activation": self.gate_activation,
        }


def _glorot(fan_in, fan_out):
    """Glorot's uniform initializer for each matrix of a stack, whose shape misleads Keras's."""
    limit = math.sqrt(6 / (fan_in + fan_out))
    return keras.initializers.RandomUniform(-limit, limit)
