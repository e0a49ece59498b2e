"""A sequence of open length as one flat vector."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="deeprec_tf")
class FlatSteps(keras.layers.Layer):
    """The steps of a sequence side by side, zeros for padding, up to a fixed length.

    Args:
        maxlen: steps of the flat form; longer sequences lose what lies behind.

    Call arguments:
        sequence: float tensor (B, T, d).
        mask: bool tensor (B, T), True = real, left-aligned.

    Returns:
        Float tensor (B, maxlen·d).
    """

    def __init__(self, maxlen, **kwargs):
        super().__init__(**kwargs)
        self.maxlen = maxlen

    def call(self, sequence, mask):
        """Applies the layer."""
        real = ops.where(mask[..., None], sequence, ops.zeros_like(sequence))
        room = ops.zeros_like(sequence[:, :1])
        room = ops.repeat(room, self.maxlen, axis=1)
        whole = ops.concatenate([real, room], axis=1)[:, : self.maxlen]
        return ops.reshape(whole, (-1, self.maxlen * sequence.shape[-1]))

    def left_aligned(self, sequence, mask):
        """What of the arguments must be left-aligned."""
        return mask

    def compute_mask(self, *args, **kwargs):
        """Time is gone."""
        return None

    def compute_output_shape(self, sequence_shape, mask_shape=None):
        """Time is gone."""
        return (sequence_shape[0], self.maxlen * sequence_shape[-1])

    def get_config(self):
        """Returns the argument."""
        return {**super().get_config(), "maxlen": self.maxlen}
