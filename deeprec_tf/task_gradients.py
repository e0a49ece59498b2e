"""A pass forward and back of a model of several tasks, with their losses balanced."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from deeprec_tf.optimizers.rows import summed_rows
from deeprec_tf.task_losses import over_replicas


def balanced_pass(
    model: Any, x: Any, y: Any, sample_weight: Any, rows: Sequence[Any]
) -> tuple[Any, tf.Tensor, list[Any]]:
    """Predictions, loss and gradients of a batch.

    Under a strategy the losses that weigh the tasks are those of all replicas, and norms and inner
    products are of gradients that are summed over them: as on one device.

    Args:
        model: a `RecModel` with a `LossBalance`.
        x: inputs by name.
        y: labels by task.
        sample_weight: weights, a dict of them by task, or None.
        rows: rows of tables that were gathered outside; gradients begin with theirs.

    Returns:
        (y_pred, loss, gradients): the loss is the plain sum of the tasks' losses and of the
        penalties, however the tasks are weighed, so that methods and epochs compare.
    """
    balance, scale_loss = model.loss_balance, model.optimizer.scale_loss
    variables = [*rows, *model.trainable_weights]
    with tf.GradientTape(persistent=balance.reads != "losses") as tape:
        tape.watch(rows)
        y_pred = model(x, training=True)
        separate, present = model.task_losses(y, y_pred, sample_weight)
        losses = tf.stack(separate)
        extra = model.additional_loss()
        # A replica's losses are shares of a whole: so must be what a balance adds to them.
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        total = balance.total(losses * replicas, present) / replicas
        scaled = scale_loss(total + extra)
        scaled_extra = scale_loss(extra)
        each = [scale_loss(loss) for loss in separate]
    loss = tf.reduce_sum(losses) + extra
    if balance.reads == "gradients":
        gradients = _combined(
            model, variables, [tape.gradient(one, variables) for one in each],
            tape.gradient(scaled_extra, variables),
        )
    else:
        gradients = tape.gradient(scaled, variables)
    norms = None
    if balance.reads == "shared_layers":
        weights = _last_weights(model)
        of_tasks = [map(_of_all_replicas, tape.gradient(one, weights)) for one in each]
        squares = [tf.add_n([_square(gradient) for gradient in one]) for one in of_tasks]
        scale = tf.cast(scale_loss(tf.constant(1.0)), "float32")
        norms = tf.sqrt(tf.stack(squares)) / scale
    balance.observe(over_replicas(losses, "SUM"), present, norms)
    return y_pred, loss, gradients


def _last_weights(model: Any) -> list[Any]:
    """Weights of the last layers that all tasks share."""
    layers = [model.get_layer(name) for name in model.loss_balance.shared_layers]
    found = [getattr(layer, "last_weights", layer.trainable_weights) for layer in layers]
    weights = [weight.value for weights in found for weight in weights if weight.trainable]
    if not weights:
        raise ValueError(
            f"{model.name}: loss_weighting by gradient norms needs a trainable layer that all "
            f"tasks share, but {list(model.loss_balance.shared_layers)} have no trainable weight. "
            "Give the shared part hidden units, or use another method."
        )
    return weights


def _of_all_replicas(gradient: Any) -> Any:
    """The gradient of the whole batch, of which a replica has a share."""
    whole = None if gradient is None else over_replicas(gradient, "SUM")
    if whole is gradient or not isinstance(whole, tf.IndexedSlices):
        return whole
    rows = summed_rows(whole)
    return tf.IndexedSlices(rows.values, rows.indices, whole.dense_shape)


def _square(gradient: Any) -> tf.Tensor:
    """The squared norm of a gradient; 0 for none."""
    if gradient is None:
        return tf.constant(0.0)
    if isinstance(gradient, tf.IndexedSlices):
        gradient = summed_rows(gradient).values
    return tf.reduce_sum(tf.square(tf.cast(gradient, "float32")))


def _combined(model: Any, variables: list, of_tasks: list[list], of_extra: list) -> list[Any]:
    """The gradients of the tasks, weighed as the model's balance says, and the penalties'."""
    balance, count = model.loss_balance, len(of_tasks)
    place = {id(weight): i for i, weight in enumerate(model.weights[: balance.num_weights])}
    stacked = [_stack(gradients) for gradients in zip(*of_tasks, strict=True)]
    places, products, shared = [], [], []
    trainable = model.trainable_weights
    first = len(variables) - len(trainable)
    for weight, stack, gradients in zip(
        trainable, stacked[first:], zip(*(g[first:] for g in of_tasks), strict=True), strict=True
    ):
        if stack is None or id(weight) not in place:
            continue
        width = _width(stack)
        whole = _values(_of_all_replicas(_in_rows(stack, count * width)))
        flat = tf.reshape(tf.cast(whole, "float32"), (-1, count, width))
        places.append(place[id(weight)])
        products.append(tf.einsum("rkd,rjd->kj", flat, flat))
        shared.append(sum(gradient is not None for gradient in gradients) > 1)
    scale = tf.cast(model.optimizer.scale_loss(tf.constant(1.0)), "float32")
    size = (balance.num_weights, count, count)
    table = tf.scatter_nd(
        tf.constant(places)[:, None], tf.stack(products) / tf.square(scale), size
    )
    is_shared = [False] * balance.num_weights
    for at, value in zip(places, shared, strict=True):
        is_shared[at] = value
    factors = balance.coefficients(table, is_shared)
    combined = []
    for variable, stack, extra in zip(variables, stacked, of_extra, strict=True):
        own = place.get(id(variable))
        weights = tf.ones((count,)) if own is None else factors[own]
        combined.append(_sum(_weighed(stack, weights), extra))
    return combined


def _stack(gradients: Sequence[Any]) -> Any:
    """One gradient with the tasks beside each other on axis 1, (R, K, ...), or None."""
    there = [gradient for gradient in gradients if gradient is not None]
    if not there:
        return None
    if not any(isinstance(gradient, tf.IndexedSlices) for gradient in there):
        zero = tf.zeros_like(there[0])
        whole = [zero if gradient is None else gradient for gradient in gradients]
        return tf.stack([tf.reshape(gradient, (1, *zero.shape)) for gradient in whole], axis=1)
    if not all(isinstance(gradient, tf.IndexedSlices) for gradient in there):
        dense = [g if g is None else tf.convert_to_tensor(g) for g in gradients]
        return _stack(dense)
    parts = []
    for k, gradient in enumerate(gradients):
        if gradient is None:
            continue
        before = [tf.zeros_like(gradient.values)] * k
        after = [tf.zeros_like(gradient.values)] * (len(gradients) - 1 - k)
        parts.append((gradient.indices, tf.stack([*before, gradient.values, *after], axis=1)))
    joined = tf.IndexedSlices(
        tf.concat([values for _, values in parts], 0), tf.concat([i for i, _ in parts], 0),
        there[0].dense_shape,
    )
    rows = summed_rows(joined)
    return tf.IndexedSlices(rows.values, rows.indices, there[0].dense_shape)


def _in_rows(stack: Any, width: int) -> Any:
    """A stack with all tasks' numbers of a row in one, of a shape that replicas can sum."""
    if not isinstance(stack, tf.IndexedSlices):
        return stack
    rows = tf.cast(stack.dense_shape[0], "int32")
    return tf.IndexedSlices(
        tf.reshape(stack.values, (-1, width)), stack.indices, tf.stack([rows, width])
    )


def _values(stack: Any) -> tf.Tensor:
    return stack.values if isinstance(stack, tf.IndexedSlices) else stack


def _width(stack: Any) -> int:
    return int(_values(stack).shape[2:].num_elements())


def _weighed(stack: Any, weights: tf.Tensor) -> Any:
    """The weighted sum over the tasks."""
    if stack is None:
        return None
    values = _values(stack)
    shape = (1, -1, *([1] * (values.shape.rank - 2)))
    total = tf.reduce_sum(values * tf.cast(tf.reshape(weights, shape), values.dtype), axis=1)
    if isinstance(stack, tf.IndexedSlices):
        return tf.IndexedSlices(total, stack.indices, stack.dense_shape)
    return total[0]


def _sum(gradient: Any, extra: Any) -> Any:
    if gradient is None or extra is None:
        return extra if gradient is None else gradient
    return tf.convert_to_tensor(gradient) + tf.convert_to_tensor(extra)
