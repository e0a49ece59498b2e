"""Dropout, by draws of 16 bits."""

from numbers import Real

import keras
from keras import ops

from deeprec_tf.layers.core._draws_kernels import sixteen_bits
from deeprec_tf.layers.core.draws import DrawingLayer

LEVELS = 2**16  # of a draw


@keras.saving.register_keras_serializable(package="deeprec_tf")
class Dropout(DrawingLayer):
    """In training 0 in a random share of the places, the others divided by what share is left.

    Takes two thirds of the time of Keras's layer of this name, which draws 32 bits a place, and a
    thirty-fifth where XLA compiles for a CPU (`benchmarks/dropout.py`). The state of its draws is
    saved with a model.

    Args:
        rate: share of the places dropped, in [0, 1); rounded to 1/65,536.
        seed: seed of the draws; one from Keras's global seed when None.

    Call arguments:
        inputs: float tensor of any shape.
        training: whether dropout is on.

    Returns:
        Float tensor of the shape of the inputs.

    Raises:
        ValueError: the rate is outside [0, 1).

    References:
        Srivastava et al., Dropout: A Simple Way to Prevent Neural Networks from Overfitting,
        JMLR 2014.
    """

    def __init__(self, rate, *, seed=None, **kwargs):
        if isinstance(rate, bool) or not isinstance(rate, Real) or not 0 <= rate < 1:
            raise ValueError(f"Dropout: rate must be a number in [0, 1), got {rate!r}.")
        rate = float(rate)
        dropped = min(round(rate * LEVELS), LEVELS - 1)
        super().__init__(seed=seed, draws=dropped > 0, **kwargs)
        self.rate = rate
        self._dropped = dropped
        self.supports_masking = True

    def call(self, inputs, training=False):
        """Applies the layer."""
        if not training or self.seed_generator is None:
            return inputs
        drawn = sixteen_bits(ops.shape(inputs), self.seed_generator.next())
        kept = ops.cast(drawn >= self._dropped, inputs.dtype)
        return inputs * (LEVELS / (LEVELS - self._dropped)) * kept

    def compute_output_shape(self, inputs_shape):
        """The shape of the inputs."""
        return inputs_shape

    def get_config(self):
        """Returns the arguments."""
        return {**super().get_config(), "rate": self.rate}
