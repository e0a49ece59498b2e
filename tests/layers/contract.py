"""What every layer must do, whatever it computes."""

import keras
import numpy as np
import tensorflow as tf


def check_layer(layer, *arrays, time_axes=(1,), tolerance=1e-5, **options):
    """Shapes, configuration, tracing, XLA and half precision of one layer.

    Args:
        layer: a new layer.
        arrays: its call arguments.
        time_axes: axes that are open in a model besides the batch.
        tolerance: how far traced and compiled values may be from eager ones.
        options: further call arguments that are no tensors.

    Returns:
        The eager output as an array.
    """
    wanted = layer(*arrays, **options)
    _check_symbolic(layer, arrays, time_axes, options, wanted)
    _check_config(layer, arrays, options, wanted)
    assert getattr(wanted, "_keras_mask", None) is None, "the output carries a mask"
    for jit in (False, True):
        traced = tf.function(lambda *x: layer(*x, **options), jit_compile=jit)
        np.testing.assert_allclose(
            traced(*map(tf.constant, arrays)), wanted, atol=tolerance, rtol=tolerance,
            err_msg="XLA" if jit else "graph",
        )
    return np.asarray(wanted)


def check_half_precision(layer, *arrays, **options):
    """The layer under mixed_bfloat16 is finite and near its float32 self."""
    exact = np.asarray(layer(*arrays, **options))
    config = {**layer.get_config(), "dtype": "mixed_bfloat16"}
    half = type(layer).from_config(config)
    half(*arrays, **options)
    half.set_weights(layer.get_weights())
    got = half(*arrays, **options)
    for weight in half.weights:
        assert weight.dtype != "bfloat16", f"{weight.path} is kept in half precision"
    got = np.asarray(tf.cast(got, tf.float32))
    assert np.isfinite(got).all()
    np.testing.assert_allclose(got, exact, atol=0.05, rtol=0.05)


def _check_symbolic(layer, arrays, time_axes, options, wanted):
    symbols = []
    for array in arrays:
        shape = [None if axis in time_axes else size for axis, size in enumerate(array.shape)]
        symbols.append(keras.Input(batch_shape=(None, *shape[1:]), dtype=str(array.dtype)))
    output = layer(*symbols, **options)
    assert len(output.shape) == len(wanted.shape)
    for got, real in zip(output.shape, wanted.shape, strict=True):
        assert got in (None, real), f"says {output.shape}, gives {tuple(wanted.shape)}"
    if wanted.shape.rank > 1 and wanted.shape.rank - 1 not in time_axes:
        assert output.shape[-1] == wanted.shape[-1], "the last axis must be known"
    assert output.dtype == keras.backend.standardize_dtype(wanted.dtype)


def _check_config(layer, arrays, options, wanted):
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert copy.get_config() == layer.get_config()
    copy(*arrays, **options)
    copy.set_weights(layer.get_weights())
    np.testing.assert_array_equal(copy(*arrays, **options), wanted)


def randomize(layer, seed=0, scale=0.7):
    """Noise in all weights of a built layer, variances positive; float64 copies by path's end."""
    generator = np.random.default_rng(seed)
    for weight in layer.weights:
        noise = generator.normal(scale=scale, size=weight.shape)
        weight.assign(np.abs(noise) + 0.1 if "variance" in weight.name else noise)
    return weights_of(layer)


def weights_of(layer):
    """float64 copies of the weights by their path below the layer."""
    return {
        weight.path.partition(layer.name + "/")[2] or weight.path: weight.numpy().astype("float64")
        for weight in layer.weights
    }
