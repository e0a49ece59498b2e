"""FinalMLP's stream-specific feature selection."""

import keras
from keras import ops

from deeprec_tf.layers.core.mlp import MLP, checked_widths


@keras.saving.register_keras_serializable(package="deeprec_tf")
class FeatureGate(keras.layers.Layer):
    """flat ∘ 2σ(MLP(context)): gates in (0, 2) that are 1 where the net is undecided (equation 6).

    Args:
        hidden_units: widths of the gate net's hidden layers; empty for one layer in all.
        context_units: width of the learned vector that stands for the context where none is
            given; the gates are the same for all rows then.

    Call arguments:
        flat: float tensor (B, n).
        context: float tensor (B, c), optional.

    Returns:
        Float tensor (B, n).

    References:
        Mao et al., FinalMLP: An Enhanced Two-Stream MLP Model for CTR Prediction, AAAI 2023.
    """

    def __init__(self, hidden_units=(64,), *, context_units=16, **kwargs):
        super().__init__(**kwargs)
        self.hidden_units = checked_widths(self.name, hidden_units)
        self.context_units = context_units
        self.hidden = MLP(self.hidden_units, name="hidden", dtype=self.dtype_policy)

    def build(self, flat_shape, context_shape=None):
        """Builds the gate net, and the context where none is given."""
        self.context = None
        if context_shape is None:
            context_shape = (1, self.context_units)
            self.context = self.add_weight(
                shape=context_shape, initializer=keras.initializers.RandomNormal(stddev=0.01),
                name="context",
            )
        self.hidden.build(context_shape)
        self.gate = keras.layers.Dense(
            flat_shape[-1], activation="sigmoid", name="gate", dtype=self.dtype_policy
        )
        self.gate.build(self.hidden.compute_output_shape(context_shape))

    def call(self, flat, context=None):
        """Applies the layer."""
        return flat * self._gates(context)

    def _gates(self, context):
        """(B, n), or (1, n) from the learned vector."""
        context = ops.convert_to_tensor(self.context) if context is None else context
        return 2.0 * self.gate(self.hidden(context))

    def explain(self, flat, context=None):
        """What each feature is multiplied by: {"gates": (B, n)}, (n,) without a context."""
        gates = self._gates(context)
        return {"gates": gates[0] if context is None else gates}

    def compute_output_shape(self, flat_shape, context_shape=None):
        """Shape is kept."""
        return tuple(flat_shape)

    def get_config(self):
        """Returns the arguments."""
        return {
            **super().get_config(),
            "hidden_units": self.hidden_units,
            "context_units": self.context_units,
        }
