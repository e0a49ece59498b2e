"""A learned vector for every place of a sequence."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="deeprec_tf")
class LearnedPositions(keras.layers.Layer):
    """scale · x_t + p_t, and zeros for padding; t counts from the first step of the sequence.

    Args:
        maxlen: longest sequence.
        scale: factor of the sequence, such as sqrt(d) for embeddings that start small.
        initializer: of the positions.

    Call arguments:
        sequence: float tensor (B, T, d), T at most maxlen.
        mask: bool tensor (B, T), True = real.
        first: integer tensor (B,), the place of each row's first step; 0 without it.

    Returns:
        Float tensor (B, T, d).
    """

    def __init__(self, maxlen, *, scale=1.0, initializer=None, **kwargs):
        super().__init__(**kwargs)
        self.maxlen = int(maxlen)
        self.scale = float(scale)
        self.initializer = keras.initializers.get(
            initializer or keras.initializers.RandomNormal(stddev=0.02)
        )

    def build(self, sequence_shape, mask_shape=None, first_shape=None):
        """Creates the table."""
        self.positions = self.add_weight(
            shape=(self.maxlen, sequence_shape[-1]), initializer=self.initializer,
            name="positions",
        )

    def call(self, sequence, mask, first=None):
        """Applies the layer."""
        steps = ops.shape(sequence)[1]
        if first is None:
            places = self.positions[:steps]
        else:
            at = ops.cast(first, "int32")[:, None] + ops.arange(steps, dtype="int32")
            at = ops.clip(at, 0, self.maxlen - 1)
            places = ops.cast(ops.take(self.positions, at, axis=0), sequence.dtype)
        moved = sequence * self.scale + places
        return ops.where(mask[..., None], moved, ops.zeros_like(moved))

    def compute_mask(self, *args, **kwargs):
        """No implicit mask."""
        return None

    def compute_output_shape(self, sequence_shape, mask_shape=None, first_shape=None):
        """Shape is kept."""
        return sequence_shape

    def get_config(self):
        """Returns the arguments."""
        return {
            **super().get_config(),
            "maxlen": self.maxlen,
            "scale": self.scale,
            "initializer": keras.initializers.serialize(self.initializer),
        }
