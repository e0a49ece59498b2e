"""The exact Gaussian error linear unit, in a form that every exporter knows."""

import math

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="deeprec_tf")
def exact_gelu(x):
    """x·Φ(x) by the error function; Keras's own exact form becomes an operation ONNX lacks."""
    return 0.5 * x * (1.0 + ops.erf(x / math.sqrt(2.0)))
