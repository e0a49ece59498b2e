"""Vectors of length 1."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="deeprec_tf")
class UnitLength(keras.layers.Layer):
    """x / ‖x‖ in float32; a vector of zeros stays one and has a finite gradient.

    Call arguments:
        inputs: float tensor (..., D).

    Returns:
        float32 tensor (..., D).
    """

    def __init__(self, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})

    def call(self, inputs):
        """Applies the layer."""
        inputs = ops.cast(inputs, "float32")
        squares = ops.sum(ops.square(inputs), axis=-1, keepdims=True)
        return inputs * ops.rsqrt(ops.maximum(squares, 1e-12))

    def compute_output_shape(self, input_shape):
        """Shape is kept."""
        return input_shape
