"""From two directions to a logit."""

import math

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="deeprec_tf")
class CosineLogit(keras.layers.Layer):
    """g·⟨u, v⟩ with one learned g > 0, in float32; the cosine where both have length 1.

    g = exp(w), so that no step can turn the order round.

    Args:
        initial_gain: g at the start.

    Call arguments:
        user: float tensor (B, D).
        item: float tensor (B, D).

    Returns:
        float32 tensor (B, 1).

    Raises:
        ValueError: `initial_gain` is not positive.

    Example:
        >>> one = keras.ops.array([[1.0, 0.0]])
        >>> float(CosineLogit(4.0)(one, one)[0, 0])
        4.0
    """

    def __init__(self, initial_gain=5.0, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})
        if not initial_gain > 0:
            raise ValueError(f"{self.name}: initial_gain must be positive, got {initial_gain}.")
        self.initial_gain = initial_gain

    def build(self, user_shape, item_shape):
        """Creates w."""
        start = keras.initializers.Constant(math.log(self.initial_gain))
        self.log_gain = self.add_weight(shape=(), initializer=start, name="log_gain")

    def call(self, user, item):
        """Applies the layer."""
        cosine = ops.sum(ops.cast(user, "float32") * ops.cast(item, "float32"), -1, keepdims=True)
        return ops.exp(self.log_gain) * cosine

    def compute_output_shape(self, user_shape, item_shape):
        """One number a row."""
        return (user_shape[0], 1)

    def get_config(self):
        """Returns the arguments."""
        return {**super().get_config(), "initial_gain": self.initial_gain}
