"""A layer's fast form in training (graph mode) against its readable one (eager) and XLA's."""

import numpy as np
import tensorflow as tf

FORMS = ("eager", "graph", "XLA")


def training_results(layer, arrays, form, **options):
    """Output, losses and gradients of one training call, and the state after it.

    Args:
        layer: a built layer; its state is put back.
        arrays: call arguments; those of float dtype get a gradient.
        form: "eager" (readable), "graph" (fast) or "XLA" (readable, compiled).

    Returns:
        Dict from a name to an array.
    """
    before = layer.get_weights()
    tensors = [tf.constant(array) for array in arrays]

    def step(*tensors):
        watched = [t for t in tensors if t.dtype.is_floating]
        weights = [w.value for w in layer.trainable_weights]
        with tf.GradientTape() as tape:
            tape.watch(watched)
            output = layer(*tensors, training=True, **options)
            total = sum(layer.losses, tf.constant(0.0))
            flat = tf.reshape(tf.cast(output, tf.float32), [-1])
            total += tf.reduce_sum(flat * tf.cos(tf.range(tf.cast(tf.size(flat), tf.float32))))
        return output, total, tape.gradient(total, [*watched, *weights])

    if form != "eager":
        # Open batch and time axes, as a model has them; XLA knows them all.
        signature = [_open(t) for t in tensors] if form == "graph" else None
        step = tf.function(
            step, jit_compile=form == "XLA", autograph=False, input_signature=signature
        )
    output, total, gradients = step(*tensors)
    results = {"output": output, "total": total}
    for i, gradient in enumerate(gradients):
        if gradient is not None:
            results[f"gradient {i}"] = gradient
    for weight in layer.non_trainable_weights:
        results[weight.path] = weight.value
    results = {name: np.array(tf.cast(v, tf.float32)) for name, v in results.items()}
    layer.set_weights(before)
    return results


def _open(tensor):
    """Spec of a tensor with open batch and time axes; floats of rank 2 have no time."""
    axes = tensor.shape.rank - (1 if tensor.dtype.is_floating else 0)
    return tf.TensorSpec([None] * min(axes, 2) + list(tensor.shape[min(axes, 2):]), tensor.dtype)


def check_fast_form(layer, *arrays, tolerance=1e-5, forms=FORMS, **options):
    """The forms of a training call agree: output, losses, gradients and state.

    Returns:
        The results of the graph form.
    """
    found = {form: training_results(layer, arrays, form, **options) for form in forms}
    wanted = found["eager"]
    for form in forms[1:]:
        assert found[form].keys() == wanted.keys()
        for name, value in wanted.items():
            np.testing.assert_allclose(
                found[form][name], value, rtol=tolerance,
                atol=tolerance * max(1.0, np.abs(value).max(initial=0.0)),
                err_msg=f"{form}: {name}",
            )
    return found["graph"]
