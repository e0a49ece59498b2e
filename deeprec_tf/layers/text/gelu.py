"""Which Gaussian error linear unit a backbone has, and the exact one in its place."""

import keras

from deeprec_tf.layers.core.gelu import exact_gelu


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
