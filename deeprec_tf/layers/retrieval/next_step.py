"""What stands at the next step of a sequence, and what at its last."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="deeprec_tf")
class NextStep(keras.layers.Layer):
    """Moves a left-aligned sequence one step ahead and closes it with what comes next.

    The labels of a model that is trained at every position: at step t stands what the sequence has
    at t + 1, at the last real step what is given, the positive item.

    Call arguments:
        sequence: tensor (B, T) or (B, T, D).
        last: tensor (B,) or (B, D), what comes after the sequence.
        mask: bool tensor (B, T), True = real.

    Returns:
        Tensor of the shape and dtype of `sequence`; 0 where the sequence is padding.

    Example:
        >>> import numpy as np
        >>> ids, mask = np.array([[5, 6, 0]]), np.array([[True, True, False]])
        >>> NextStep()(ids, np.array([9]), mask).numpy().tolist()
        [[6, 9, 0]]
    """

    side_by_side = True

    def call(self, sequence, last, mask):
        """Applies the layer."""
        ahead = ops.concatenate([sequence[:, 1:], ops.zeros_like(sequence[:, :1])], axis=1)
        goes_on = ops.concatenate([mask[:, 1:], ops.zeros_like(mask[:, :1])], axis=1)
        goes_on = ops.logical_and(mask, goes_on)
        is_last = ops.logical_and(mask, ops.logical_not(goes_on))
        last = ops.cast(last, sequence.dtype)
        if len(sequence.shape) == 3:
            goes_on, is_last = goes_on[..., None], is_last[..., None]
        nothing = ops.zeros_like(sequence)
        return ops.where(is_last, last[:, None], ops.where(goes_on, ahead, nothing))

    def compute_mask(self, *args, **kwargs):
        """No implicit mask."""
        return None

    def compute_output_spec(self, sequence, last, mask):
        """That of the sequence."""
        return keras.KerasTensor(sequence.shape, dtype=sequence.dtype)


@keras.saving.register_keras_serializable(package="deeprec_tf")
class LastStep(keras.layers.Layer):
    """The last real step of a left-aligned sequence; zeros where there is none.

    Call arguments:
        sequence: float tensor (B, T, D).
        mask: bool tensor (B, T), True = real.

    Returns:
        Float tensor (B, D).
    """

    def call(self, sequence, mask):
        """Applies the layer."""
        length = ops.sum(ops.cast(mask, "int32"), axis=1)
        at = ops.maximum(length - 1, 0)
        state = ops.take_along_axis(sequence, at[:, None, None], axis=1)[:, 0]
        return ops.where((length > 0)[:, None], state, ops.zeros_like(state))

    def left_aligned(self, sequence, mask):
        """What must have no padding in front: that of which the length says the last step."""
        return mask

    def compute_mask(self, *args, **kwargs):
        """Time is gone."""
        return None

    def compute_output_shape(self, sequence_shape, mask_shape=None):
        """Time is gone."""
        return (sequence_shape[0], sequence_shape[-1])
