"""The one mask protocol: masks are visible tensors, True marks a real step."""

import keras
from keras import ops

_LOWEST = -3e38  # finite, so that a row without a real entry stays finite


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
    scores = ops.where(mask, ops.cast(scores, "float32"), _LOWEST)
    highest = ops.stop_gradient(ops.max(scores, axis=axis, keepdims=True))
    # Written out: Keras's softmax warns of sequences of one step, which are fine here.
    weights = ops.exp(scores - highest) * ops.cast(mask, "float32")
    total = ops.sum(weights, axis=axis, keepdims=True)
    return weights / ops.where(total > 0, total, 1.0)


def softmax_over_real(scores, mask):
    """The same over the last axis in a third of the passes; an empty row gives equal weights.

    For scores that are many, of callers that set what an empty row sees to zero themselves.
    """
    scores = ops.cast(scores, "float32") + ops.where(mask, 0.0, _LOWEST)
    if scores.shape[-1] == 1:  # Keras's softmax warns of sequences of one step.
        return 0.0 * scores + 1.0
    return ops.softmax(scores, axis=-1)


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
