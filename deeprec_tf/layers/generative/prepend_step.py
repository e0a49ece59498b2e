"""One more step before a sequence."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="deeprec_tf")
class PrependStep(keras.layers.Layer):
    """A vector as the first step of a sequence, always real.

    Call arguments:
        step: float tensor (B, D).
        sequence: float tensor (B, T, D).
        mask: bool tensor (B, T), True = real.

    Returns:
        Float tensor (B, T + 1, D), and bool tensor (B, T + 1).
    """

    def call(self, step, sequence, mask):
        """Applies the layer."""
        longer = ops.concatenate([ops.cast(step, sequence.dtype)[:, None], sequence], axis=1)
        real = ops.ones_like(step[:, :1], dtype="bool")
        return longer, ops.concatenate([real, mask], axis=1)

    def compute_mask(self, *args, **kwargs):
        """No implicit mask."""
        return None

    def compute_output_spec(self, step, sequence, mask):
        """One step more."""
        steps = None if sequence.shape[1] is None else sequence.shape[1] + 1
        return (
            keras.KerasTensor((step.shape[0], steps, step.shape[1]), dtype=sequence.dtype),
            keras.KerasTensor((step.shape[0], steps), dtype="bool"),
        )
