"""The exact Gaussian error linear unit, in a form that every exporter knows."""

import math

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="deeprec_tf")
def exact_gelu(x):
    """x·Φ(x) by the error function; Keras's own exact form becomes an operation ONNX lacks."""
    return 0.5 * x * (1.0 + ops.erf(x / math.sqrt(2.0)))


def _kind(activation):
    if activation in (exact_gelu, keras.activations.gelu):
        return "exact"
    return "approximate" if getattr(activation, "__name__", "") == "gelu_approximate" else None


def has_exact_gelu(model):
    """Whether a layer of the model computes the exact function, in Keras's form or in ours."""
    return any(_kind(getattr(layer, "activation", None)) == "exact" for layer in _layers(model))


def use_exact_gelu(model):
    """Puts `exact_gelu` in place of every GELU of the model, approximate ones too."""
    for layer in _layers(model):
        if _kind(getattr(layer, "activation", None)) is not None:
            layer.activation = exact_gelu


def _layers(model):
    return model._flatten_layers(include_self=False)
