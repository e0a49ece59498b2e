"""EDCN's regulation module for one branch."""

import keras
from keras import ops

_TYPES = ("FGU", "BGU")


@keras.saving.register_keras_serializable(package="deeprec_tf")
class RegulationGate(keras.layers.Layer):
    """Weighs the fields for one branch of one layer: g ∘ y (EDCN).

    g = softmax(logits / temperature) over the F fields, each field's gate repeated over its D
    elements (field-wise gating unit), or over all F·D elements (bit-wise). The logits are weights
    of this layer, not functions of the input, and start equal.

    Args:
        num_fields: F; the input's width is a multiple of it.
        gate_type: "FGU", one gate a field, or "BGU", one an element.
        temperature: above 0; small ones choose few fields, large ones make the gates equal.
        scale: times the number of gates, so that they are 1 on average; in the paper they sum
            to 1, so a gated field is smaller by a factor of about F.

    Call arguments:
        inputs: float tensor (B, F·D), the fields one after another.

    Returns:
        Float tensor (B, F·D).

    Raises:
        ValueError: an unknown gate type, a temperature that is not positive, fewer than two
            gates, or a width that the fields do not divide.

    Example:
        >>> RegulationGate(2)(keras.ops.ones((1, 4))).numpy().tolist()
        [[0.5, 0.5, 0.5, 0.5]]

    References:
        Chen et al., Enhancing Explicit and Implicit Feature Interactions via Information Sharing
        for Parallel Deep CTR Models, DLP-KDD 2021.
    """

    def __init__(self, num_fields, gate_type="FGU", *, temperature=1.0, scale=False, **kwargs):
        super().__init__(**kwargs)
        self.num_fields = int(num_fields)
        self.gate_type = gate_type
        self.temperature = float(temperature)
        self.scale = scale
        if gate_type not in _TYPES:
            raise ValueError(f"{self.name}: gate_type must be one of {_TYPES}, got {gate_type!r}.")
        if not self.temperature > 0:
            raise ValueError(f"{self.name}: temperature must be above 0, got {temperature!r}.")

    def build(self, inputs_shape):
        """Creates the logits, (F, 1) or (F, D)."""
        width = inputs_shape[-1]
        if width % self.num_fields:
            raise ValueError(
                f"{self.name}: {self.num_fields} fields do not divide the width {width}; all "
                "fields need one embedding_dim."
            )
        depth = 1 if self.gate_type == "FGU" else width // self.num_fields
        if self.num_fields * depth < 2:
            raise ValueError(
                f"{self.name}: the softmax over {self.num_fields} field is always 1. Give two "
                "fields or more, or leave the gate out."
            )
        self.logits = self.add_weight(
            shape=(self.num_fields, depth), initializer="zeros", name="logits"
        )

    def call(self, inputs):
        """Applies the layer."""
        width = inputs.shape[-1]
        fields = ops.reshape(inputs, (-1, self.num_fields, width // self.num_fields))
        return ops.reshape(fields * ops.cast(self._gates(), fields.dtype), (-1, width))

    def _gates(self):
        """(F, 1) or (F, D), float32."""
        logits = ops.cast(self.logits, "float32")
        flat = ops.softmax(ops.reshape(logits, (-1,)) / self.temperature)
        gates = ops.reshape(flat, logits.shape)
        return gates * float(flat.shape[0]) if self.scale else gates

    def explain(self, inputs):
        """The gates, the same for every row: {"gates": (F,)}, or (F, D) for BGU."""
        gates = self._gates()
        return {"gates": ops.squeeze(gates, -1) if self.gate_type == "FGU" else gates}

    def compute_output_shape(self, inputs_shape):
        """The width stays."""
        return tuple(inputs_shape)

    def get_config(self):
        """Returns the arguments."""
        return {
            **super().get_config(),
            "num_fields": self.num_fields,
            "gate_type": self.gate_type,
            "temperature": self.temperature,
            "scale": self.scale,
        }
