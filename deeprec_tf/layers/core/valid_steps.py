"""The steps of a batch of sequences that a layer must compute."""

from keras import ops

from deeprec_tf.layers.core._kernels import is_graph_training
from deeprec_tf.layers.core._valid_steps_kernels import ValidSteps
from deeprec_tf.layers.core.masking import masked_softmax
from deeprec_tf.layers.core.sequence_pooling import weighted_sum


def steps_of(mask, *, training):
    """The steps a layer computes: the real ones where that is possible, else all of them.

    Both forms have the same methods, so a layer that works step by step is written once. Only
    training in graph mode skips padding; exports, XLA and eager calls keep the padded form.

    Args:
        mask: bool tensor (B, T), True = real, or None where every step is.
        training: whether the layer is called for training.

    Returns:
        `ValidSteps` or `AllSteps`.
    """
    if mask is not None and is_graph_training(training):
        return ValidSteps(mask)
    return AllSteps(mask)


class AllSteps:
    """Every step in its place, padding with the others.

    Attributes:
        mask: bool tensor (B, T), or None where every step is real.
    """

    def __init__(self, mask):
        self.mask = mask

    def take(self, sequence, first=0):
        """The steps from `first` on that the mask covers: (B, S, ...) to (B, T, ...)."""
        if self.mask is None:
            return sequence[:, first:]
        return sequence[:, first : first + ops.shape(self.mask)[1]]

    def of_rows(self, values):
        """What each step's row has: (B, n) to (B, 1, n), which broadcasts."""
        return values[:, None, :]

    def sum(self, values):
        """Sum of a row's steps: (B, T, n) to (B, n). Padding must be 0."""
        return ops.sum(values, axis=1)

    def weighted_sum(self, weights, values):
        """Weighted sum of a row's steps: weights (B, T), values (B, T, n) to (B, n)."""
        return weighted_sum(ops.cast(weights, values.dtype), values)

    def only_real(self, values):
        """(B, T) with 0 for padding, also where that is not finite."""
        return values if self.mask is None else ops.where(self.mask, values, 0.0)

    def softmax(self, scores):
        """Softmax over the real steps of each row: (B, T) to float32 (B, T), padding 0."""
        mask = ops.ones_like(scores, dtype="bool") if self.mask is None else self.mask
        return masked_softmax(scores, mask)

    def restore(self, values):
        """The padded form (B, T), which it is already."""
        return values
