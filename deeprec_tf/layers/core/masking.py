"""The one mask protocol: masks are visible tensors, True marks a real step."""

import keras
from keras import ops


def masked_softmax(scores, mask, axis=-1):
    """Softmax over the real entries; padding gets 0 and an empty row gives zeros, never NaN.

    Computed in float32, so the fill value cannot overflow a half-precision dtype.

    Args:
        scores: tensor of any float dtype.
        mask: bool tensor that broadcasts to `scores`, True = real.
        axis: axis that sums to one.

    Returns:
        float32 tensor of the shape of `scores`.
    """
    mask = ops.cast(mask, "float32")
    scores = ops.cast(scores, "float32")
    # A finite fill keeps rows without a real entry finite; the product then clears them.
    weights = ops.softmax(scores * mask - 1e9 * (1.0 - mask), axis=axis)
    return weights * mask


@keras.saving.register_keras_serializable(package="deeprec_tf")
class PaddingMask(keras.layers.Layer):
    """Marks the real steps of a sequence: id != 0, or position < length where lengths are given.

    Call arguments:
        ids: integer tensor (B, T), or (B, T, group) where a step is real if any member is.
        length: integer tensor (B,), optional.

    Returns:
        bool tensor (B, T), True = real.
    """

    def call(self, ids, length=None):
        """Applies the layer."""
        if length is not None:
            positions = ops.arange(ops.shape(ids)[1], dtype=length.dtype)
            return positions[None, :] < length[:, None]
        real = ops.not_equal(ids, 0)
        return ops.any(real, axis=-1) if len(ids.shape) == 3 else real

    def compute_output_spec(self, ids, length=None):
        """A bool tensor over batch and time."""
        return keras.KerasTensor(ids.shape[:2], dtype="bool")
