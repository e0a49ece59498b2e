"""The readable form of the recurrences of the DIEN family: one step, as the paper writes it."""

import keras
from keras import ops

GRU_TYPES = ("GRU", "AGRU", "AUGRU")
UPDATE_GATES = ("paper", "released")


def update_weight(update, attention, gru_type, update_gate):
    """How much of the candidate enters the state, from the update gate and the attention.

    GRU: u. AGRU: a. AUGRU: a·u ("paper": no attention, no change) or 1 - (1-a)(1-u)
    ("released": the authors' code scales the keep gate instead).

    Args:
        update: float tensor (..., n), the update gate u after its sigmoid.
        attention: float tensor (..., 1), or None for "GRU".
        gru_type: "GRU", "AGRU" or "AUGRU".
        update_gate: "paper" or "released".

    Returns:
        Float tensor that broadcasts to (..., n).
    """
    if gru_type == "GRU":
        return update
    if gru_type == "AGRU":
        return attention
    if update_gate == "paper":
        return attention * update
    return 1.0 - (1.0 - attention) * (1.0 - update)


class RecurrentCell(keras.layers.Layer):
    """One step of `DynamicGRU`, for `keras.layers.RNN`.

    The step's input is [x | attention | mask] along the last axis.

    Args:
        units: width n of the state.
        gru_type: "GRU", "AGRU" or "AUGRU".
        update_gate: "paper" or "released".
    """

    def __init__(self, units, gru_type, update_gate, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.gru_type = gru_type
        self.update_gate = update_gate
        self.state_size = units
        self.output_size = units
        # AGRU's attention stands in for the update gate, which then has no weights.
        self.gates = 2 if gru_type == "AGRU" else 3

    def build(self, input_shape):
        """Creates W, U and b; columns ordered (update,) reset, candidate."""
        width, n = input_shape[-1] - 2, self.gates * self.units
        self.kernel = self.add_weight(shape=(width, n), name="kernel")
        self.recurrent_kernel = self.add_weight(
            shape=(self.units, n), initializer="orthogonal", name="recurrent_kernel"
        )
        self.bias = self.add_weight(shape=(n,), initializer="zeros", name="bias")

    def call(self, inputs, states):
        """Applies the step."""
        state = states[0]
        x, attention, real = inputs[:, :-2], inputs[:, -2:-1], inputs[:, -1:]
        *x_update, x_reset, x_candidate = ops.split(
            ops.matmul(x, self.kernel) + self.bias, self.gates, axis=-1
        )
        *h_update, h_reset, h_candidate = ops.split(
            ops.matmul(state, self.recurrent_kernel), self.gates, axis=-1
        )
        update = ops.sigmoid(x_update[0] + h_update[0]) if x_update else None
        reset = ops.sigmoid(x_reset + h_reset)
        candidate = ops.tanh(x_candidate + reset * h_candidate)
        weight = update_weight(update, attention, self.gru_type, self.update_gate)
        state = state + real * weight * (candidate - state)  # padding carries the state on
        return state, [state]
