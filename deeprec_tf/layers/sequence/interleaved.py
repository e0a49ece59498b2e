"""Two sequences as one whose steps alternate."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="deeprec_tf")
class Interleaved(keras.layers.Layer):
    """x_0, a_0, x_1, a_1, ...: what the user met, and what they did then.

    Call arguments:
        first: tensor (B, T) or (B, T, D).
        second: tensor of the same shape and dtype.

    Returns:
        Tensor (B, 2T) or (B, 2T, D).

    Example:
        >>> import numpy as np
        >>> Interleaved()(np.array([[1, 2]]), np.array([[3, 4]])).numpy().tolist()
        [[1, 3, 2, 4]]
    """

    side_by_side = True

    def call(self, first, second):
        """Applies the layer."""
        pairs = ops.stack([first, second], axis=2)
        shape = ops.shape(first)
        return ops.reshape(pairs, (shape[0], 2 * shape[1], *first.shape[2:]))

    def compute_mask(self, *args, **kwargs):
        """No implicit mask."""
        return None

    def compute_output_spec(self, first, second):
        """Twice the steps."""
        steps = None if first.shape[1] is None else 2 * first.shape[1]
        return keras.KerasTensor((first.shape[0], steps, *first.shape[2:]), dtype=first.dtype)
