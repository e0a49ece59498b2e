"""The logit of two things that happen one after the other."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="deeprec_tf")
class JointLogit(keras.layers.Layer):
    """The logit of sigmoid(a) · sigmoid(b), for any a and b without overflow.

    The odds of the product are 1 / (e^-a + e^-b + e^-(a + b)), so the logit is minus the logarithm
    of that sum. A cross-entropy of the product can work from it, and its gradient does not vanish
    where the product is nearly 0 or 1.

    Call arguments:
        first: float tensor (B, 1), a.
        second: float tensor (B, 1), b.

    Returns:
        float32 tensor (B, 1).

    Example:
        >>> logit = JointLogit()(keras.ops.zeros((1, 1)), keras.ops.zeros((1, 1)))
        >>> round(float(keras.ops.sigmoid(logit)[0, 0]), 4)
        0.25

    References:
        Ma et al., Entire Space Multi-Task Model, SIGIR 2018, equation 1.
    """

    def __init__(self, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})

    def call(self, first, second):
        """Applies the layer."""
        terms = ops.concatenate([-first, -second, -first - second], axis=-1)
        return -ops.logsumexp(terms, axis=-1, keepdims=True)

    def compute_output_shape(self, first_shape, second_shape):
        """The shape of one of them."""
        return tuple(first_shape)
