"""States of a sequence that know what else is known of the user."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="deeprec_tf")
class WithContext(keras.layers.Layer):
    """W s + V c + b: a linear map of state and context side by side, of the state's width.

    Call arguments:
        states: float tensor (B, d) or (B, T, d).
        context: float tensor (B, C).

    Returns:
        Float tensor of the states' shape.
    """

    def build(self, states_shape, context_shape):
        """Creates the maps."""
        width = states_shape[-1]
        self.state_kernel = self.add_weight(shape=(width, width), name="state_kernel")
        self.context_kernel = self.add_weight(
            shape=(context_shape[-1], width), name="context_kernel"
        )
        self.bias = self.add_weight(shape=(width,), initializer="zeros", name="bias")

    def call(self, states, context):
        """Applies the layer."""
        of_context = ops.matmul(context, self.context_kernel) + self.bias
        if len(states.shape) == 3:
            of_context = of_context[:, None]
        return ops.matmul(states, self.state_kernel) + of_context

    def compute_mask(self, *args, **kwargs):
        """No implicit mask."""
        return None

    def compute_output_shape(self, states_shape, context_shape=None):
        """That of the states."""
        return tuple(states_shape)
