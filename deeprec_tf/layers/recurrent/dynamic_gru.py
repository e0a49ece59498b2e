"""The recurrences of the DIEN family behind one layer."""

import keras
from keras import ops

from deeprec_tf.layers.recurrent._kernels import (
    gate_terms,
    packed_scan,
    padded_scan,
    traced_for_xla,
)
from deeprec_tf.layers.recurrent.cells import GRU_TYPES, UPDATE_GATES, RecurrentCell


@keras.saving.register_keras_serializable(package="deeprec_tf")
class DynamicGRU(keras.layers.Layer):
    """GRU over a padded sequence, with the attention gates of DIEN (equations 2-5 and 12-14).

    u = sigmoid(x W_u + h U_u + b_u), r likewise, c = tanh(x W_c + r∘(h U_c) + b_c) and
    h ← h + w∘(c - h), where w is u (GRU), the attention a (AGRU) or a·u (AUGRU). Padded steps
    carry the state on, so the last state is that of the last real step.

    In training the steps run packed, without padding; inference and exports run all rows up to the
    longest (both in `_kernels`); under XLA it is `keras.layers.RNN`. The results are the same.

    In the paper u = 1 replaces the state; Keras's own GRU calls 1 - u its update gate.

    Args:
        units: width of the state; the width of the input when None.
        gru_type: "GRU", "AGRU" or "AUGRU".
        return_sequences: whether all states are returned or the last one.
        update_gate: how AUGRU's attention acts: "paper" (a = 0 keeps the state) or "released",
            the authors' code, which scales the keep gate: w = 1 - (1-a)(1-u).

    Call arguments:
        sequence: float tensor (B, T, D).
        attention: float tensor (B, T); needed by AGRU and AUGRU, refused by GRU.
        sequence_mask: bool tensor (B, T), True = real.

    Returns:
        Float tensor (B, units), or (B, T, units) with `return_sequences`; zeros for an empty row.

    Raises:
        ValueError: an unknown gru_type or update_gate, units below 1, or attention missing or
            superfluous.

    References:
        Zhou et al., Deep Interest Evolution Network for Click-Through Rate Prediction, AAAI 2019.
    """

    def __init__(
        self, units=None, *, gru_type="GRU", return_sequences=False, update_gate="paper", **kwargs
    ):
        super().__init__(**kwargs)
        if gru_type not in GRU_TYPES:
            raise ValueError(f"{self.name}: gru_type must be one of {GRU_TYPES}, got {gru_type!r}.")
        if update_gate not in UPDATE_GATES:
            raise ValueError(
                f"{self.name}: update_gate must be one of {UPDATE_GATES}, got {update_gate!r}."
            )
        if units is not None and units < 1:
            raise ValueError(f"{self.name}: units must be at least 1 or None, got {units!r}.")
        self.units = units
        self.gru_type = gru_type
        self.return_sequences = return_sequences
        self.update_gate = update_gate

    def build(self, sequence_shape, attention_shape=None, sequence_mask_shape=None):
        """Creates the cell's weights."""
        self.state_units = self.units or sequence_shape[-1]
        cell = RecurrentCell(
            self.state_units, self.gru_type, self.update_gate, name="cell", dtype=self.dtype_policy
        )
        self.rnn = keras.layers.RNN(
            cell, return_sequences=self.return_sequences, name="rnn", dtype=self.dtype_policy
        )
        self.rnn.build((*sequence_shape[:-1], sequence_shape[-1] + 2))

    def call(self, sequence, attention=None, sequence_mask=None, training=False):
        """Applies the layer."""
        if (attention is None) != (self.gru_type == "GRU"):
            raise ValueError(
                f"{self.name}: gru_type {self.gru_type!r} "
                + ("takes no attention." if attention is not None else "needs attention (B, T).")
            )
        if attention is not None:
            attention = ops.cast(attention, sequence.dtype)
        ones = ops.ones_like(sequence[..., 0])
        real = ones if sequence_mask is None else ops.cast(sequence_mask, sequence.dtype)
        if not traced_for_xla():
            return self._scan(sequence, attention, real, training)
        gate = ones if attention is None else attention
        return self.rnn(ops.concatenate([sequence, gate[..., None], real[..., None]], axis=-1))

    def _scan(self, sequence, attention, real, training):
        """The form without XLA."""
        cell = self.rnn.cell
        tensors = (
            sequence,
            *gate_terms(attention, real, self.gru_type, self.update_gate),
            ops.not_equal(real, 0),
            *(ops.convert_to_tensor(w) for w in (cell.kernel, cell.recurrent_kernel, cell.bias)),
        )
        if not training:
            return padded_scan(*tensors, sequences=self.return_sequences)
        learned = attention is not None
        return packed_scan(*tensors, sequences=self.return_sequences, gate_gradient=learned)

    def compute_mask(self, *args, **kwargs):
        """No implicit mask."""
        return None

    def compute_output_shape(self, sequence_shape, attention_shape=None, sequence_mask_shape=None):
        """States over time, or the last one."""
        units = self.units or sequence_shape[-1]
        if self.return_sequences:
            return (*sequence_shape[:2], units)
        return (sequence_shape[0], units)

    def get_config(self):
        """Returns the arguments."""
        return {
            **super().get_config(),
            "units": self.units,
            "gru_type": self.gru_type,
            "return_sequences": self.return_sequences,
            "update_gate": self.update_gate,
        }
