"""An LSTM in both directions over a padded sequence."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="deeprec_tf")
class BiLSTM(keras.layers.Layer):
    """States of a forward and of a backward LSTM side by side, padding passed over by both.

    The backward one begins at the last real step. A step that is not real leaves the state as it
    is and gives zeros.

    Args:
        units: width of the state of each direction.

    Call arguments:
        sequence: float tensor (B, T, D).
        sequence_mask: bool tensor (B, T), True = real.

    Returns:
        Float tensor (B, T, 2·units), forward states first.

    Raises:
        ValueError: units below 1.

    References:
        Graves, Schmidhuber, Framewise Phoneme Classification with Bidirectional LSTM, 2005.
    """

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        if units < 1:
            raise ValueError(f"{self.name}: units must be at least 1, got {units!r}.")
        self.units = units
        # The cell in a plain RNN: Keras's LSTM layer refuses XLA, for the sake of cuDNN.
        self.forward, self.backward = (
            keras.layers.RNN(
                keras.layers.LSTMCell(units, name="cell", dtype=self.dtype_policy),
                return_sequences=True, go_backwards=name == "backward",
                zero_output_for_mask=True, name=name, dtype=self.dtype_policy,
            )
            for name in ("forward", "backward")
        )

    def build(self, sequence_shape, sequence_mask_shape=None):
        """Builds both directions."""
        self.forward.build(sequence_shape)
        self.backward.build(sequence_shape)

    def call(self, sequence, sequence_mask):
        """Applies the layer."""
        later = ops.flip(self.backward(sequence, mask=sequence_mask), axis=1)
        return ops.concatenate([self.forward(sequence, mask=sequence_mask), later], axis=-1)

    def compute_mask(self, *args, **kwargs):
        """No implicit mask."""
        return None

    def compute_output_shape(self, sequence_shape, sequence_mask_shape=None):
        """States over time."""
        return (*sequence_shape[:2], 2 * self.units)

    def get_config(self):
        """Returns the argument."""
        return {**super().get_config(), "units": self.units}
