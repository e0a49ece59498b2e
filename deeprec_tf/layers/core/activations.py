"""Activations by name, with the two of the behavior models: Dice and PReLU."""

import keras

from deeprec_tf.layers.core.dice import Dice
from deeprec_tf.layers.core.gelu import exact_gelu


def activation_layer(activation, *, name=None, dtype=None):
    """Layer for an activation name, the one place where 'dice' and 'prelu' are known.

    "gelu" is the exact one, in a form that exports as well.

    Args:
        activation: "dice", "prelu", any Keras activation name, a callable, or None.
        name: name of the layer.
        dtype: dtype or policy of the layer.

    Returns:
        A new layer; those of 'dice' and 'prelu' hold weights over the last axis.

    Raises:
        ValueError: the name is unknown.
    """
    if activation == "dice":
        return Dice(name=name, dtype=dtype)
    if activation == "prelu":
        return PReLU(name=name, dtype=dtype)
    if activation == "gelu":
        activation = exact_gelu
    try:
        return keras.layers.Activation(activation, name=name, dtype=dtype)
    except ValueError as error:
        raise ValueError(
            f"activation {activation!r} is unknown. Use 'dice', 'prelu' or a Keras activation "
            "such as 'relu' or 'sigmoid'."
        ) from error


@keras.saving.register_keras_serializable(package="deeprec_tf")
class PReLU(keras.layers.Layer):
    """Parametric ReLU with one slope a unit, shared over batch and time; slopes start at 0.25.

    max(s, 0) + alpha · min(s, 0) (He et al. 2015). Keras's own learns one slope for every
    position and so needs a fixed time axis.

    Call arguments:
        inputs: float tensor (..., n).

    Returns:
        Tensor of the same shape.
    """

    def build(self, input_shape):
        """Creates the slopes."""
        self.alpha = self.add_weight(
            shape=(input_shape[-1],), initializer=keras.initializers.Constant(0.25), name="alpha"
        )

    def call(self, inputs, mask=None):
        """Applies the layer."""
        return keras.ops.relu(inputs) - self.alpha * keras.ops.relu(-inputs)

    def compute_output_shape(self, input_shape):
        """Shape is kept."""
        return input_shape
