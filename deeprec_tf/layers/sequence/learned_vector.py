"""One learned vector for every row."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="deeprec_tf")
class LearnedVector(keras.layers.Layer):
    """The same learned vector w, N(0, .02²) at the start, a row; such as a [USER] token.

    Args:
        width: D.

    Call arguments:
        like: any tensor (B, ...).

    Returns:
        Float tensor (B, D).
    """

    def __init__(self, width, **kwargs):
        super().__init__(**kwargs)
        self.width = int(width)

    def build(self, like_shape):
        """Makes the vector."""
        self.vector = self.add_weight(
            shape=(self.width,), name="vector",
            initializer=keras.initializers.RandomNormal(stddev=0.02),
        )

    def call(self, like):
        """Applies the layer."""
        vector = ops.cast(self.vector, self.compute_dtype)
        return ops.broadcast_to(vector[None], (ops.shape(like)[0], self.width))

    def compute_mask(self, *args, **kwargs):
        """No implicit mask."""
        return None

    def compute_output_spec(self, like):
        """A vector a row."""
        return keras.KerasTensor((like.shape[0], self.width), dtype=self.compute_dtype)

    def get_config(self):
        """Returns the argument."""
        return {**super().get_config(), "width": self.width}
