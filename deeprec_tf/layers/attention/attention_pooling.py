"""Attention pooling of behaviors around a target item."""

import keras

from deeprec_tf.layers.attention.local_activation_unit import LocalActivationUnit
from deeprec_tf.layers.core.mlp import checked_widths
from deeprec_tf.layers.core.valid_steps import steps_of


@keras.saving.register_keras_serializable(package="deeprec_tf")
class AttentionPoolingLayer(keras.layers.Layer):
    """The user's interest in the target: v = Σ_t w_t e_t (DIN, equation 4).

    The weights come from a `LocalActivationUnit`; padding has weight 0.

    Args:
        hidden_units: widths of the unit's hidden layers.
        activation: "dice", "prelu" or a Keras activation name.
        normalize: softmax over the real steps; off in the paper, so that the sum keeps the
            intensity of the interest.

    Call arguments:
        target: float tensor (B, D).
        behaviors: float tensor (B, T, D).
        behaviors_mask: bool tensor (B, T), True = real.

    Returns:
        Float tensor (B, D).

    References:
        Zhou et al., Deep Interest Network for Click-Through Rate Prediction, KDD 2018.
    """

    def __init__(self, hidden_units=(80, 40), *, activation="dice", normalize=False, **kwargs):
        super().__init__(**kwargs)
        self.hidden_units = checked_widths(self.name, hidden_units)
        self.activation = activation
        self.normalize = normalize
        self.unit = LocalActivationUnit(
            self.hidden_units, activation=activation, normalize=normalize, name="unit",
            dtype=self.dtype_policy,
        )

    def build(self, target_shape, behaviors_shape, behaviors_mask_shape=None):
        """Builds the unit."""
        self.unit.build(target_shape, behaviors_shape)

    def call(self, target, behaviors, behaviors_mask=None, training=False):
        """Applies the layer."""
        steps = steps_of(behaviors_mask, training=training)
        keys = steps.take(behaviors)
        weights = self.unit.weigh(target, keys, steps, training=training)  # one a step
        return steps.weighted_sum(weights, keys)

    def explain(self, target, behaviors, behaviors_mask=None):
        """What each step counts: {"weights": float32 (B, T)}, padding 0."""
        return {"weights": self.unit(target, behaviors, behaviors_mask=behaviors_mask)}

    def compute_mask(self, *args, **kwargs):
        """Time is gone."""
        return None

    def compute_output_shape(self, target_shape, behaviors_shape, behaviors_mask_shape=None):
        """Time is gone."""
        return (behaviors_shape[0], behaviors_shape[-1])

    def get_config(self):
        """Returns the arguments."""
        return {
            **super().get_config(),
            "hidden_units": self.hidden_units,
            "activation": self.activation,
            "normalize": self.normalize,
        }
