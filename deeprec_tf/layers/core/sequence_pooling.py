"""Pooling of a multi-valued field."""

import keras
from keras import ops

from deeprec_tf.layers.core.masking import masked_softmax


def weighted_sum(weights, sequence):
    """Σ_t w_t e_t: weights (B, T) and sequence (B, T, n) of one dtype to (B, n).

    As a product of matrices, which takes half the time of the same einsum and its gradient.
    """
    return ops.squeeze(ops.matmul(ops.expand_dims(weights, 1), sequence), axis=1)


@keras.saving.register_keras_serializable(package="deeprec_tf")
class SequencePooling(keras.layers.Layer):
    """Pools the real steps of a sequence to one vector; an empty row gives zeros.

    sum: Σ w_t e_t; mean: Σ w_t e_t / Σ w_t; max: max over t of w_t e_t, with w_t = 1 where no
    weights are given.

    Args:
        combiner: "mean", "sum" or "max".
        weight_norm: weights become a softmax over the real steps.

    Call arguments:
        sequence: float tensor (B, T, D).
        mask: bool tensor (B, T), True = real.
        weights: float tensor (B, T), optional.

    Returns:
        Float tensor (B, D).

    Raises:
        ValueError: the combiner is unknown.
    """

    def __init__(self, combiner="mean", *, weight_norm=True, **kwargs):
        # The weights come as they are: dwell times in milliseconds are infinite in half precision.
        super().__init__(autocast=False, **kwargs)
        if combiner not in ("mean", "sum", "max"):
            raise ValueError(
                f"{self.name}: combiner must be 'mean', 'sum' or 'max', got {combiner!r}."
            )
        self.combiner = combiner
        self.weight_norm = weight_norm

    def call(self, sequence, mask, weights=None):
        """Applies the layer."""
        sequence = ops.cast(sequence, self.compute_dtype)
        real = ops.cast(mask, "float32")
        if weights is None:
            share = real
        elif self.weight_norm:
            share = masked_softmax(ops.cast(weights, "float32"), mask)
        else:
            share = ops.cast(weights, "float32") * real
        if self.combiner == "max":
            values = sequence * ops.cast(share, sequence.dtype)[..., None]
            padding = ops.cast(1.0 - real, sequence.dtype)[..., None]
            # 1e4 stays finite in half precision and lies above any embedding.
            peak = ops.max(values - 1e4 * padding, axis=1)
            return ops.where(ops.any(mask, axis=1, keepdims=True), peak, ops.zeros_like(peak))
        if self.combiner == "mean":
            total = ops.sum(share, axis=1, keepdims=True)
            share = share / ops.where(ops.equal(total, 0.0), ops.ones_like(total), total)
        return weighted_sum(ops.cast(share, sequence.dtype), sequence)

    def compute_mask(self, *args, **kwargs):
        """Time is gone."""
        return None

    def compute_output_shape(self, sequence_shape, mask_shape=None, weights_shape=None):
        """Time is gone."""
        return (sequence_shape[0], sequence_shape[-1])

    def get_config(self):
        """Returns the arguments."""
        return {
            **super().get_config(), "combiner": self.combiner, "weight_norm": self.weight_norm,
        }
