"""From Keras's optimizers to the row-sparse ones."""

from __future__ import annotations

import keras

from deeprec_tf.optimizers.sparse_adagrad import SparseAdagrad
from deeprec_tf.optimizers.sparse_adam import SparseAdam

_SPARSE = {keras.optimizers.Adam: SparseAdam, keras.optimizers.Adagrad: SparseAdagrad}
_NAMES = {"adam": SparseAdam, "adagrad": SparseAdagrad}


def sparse_form(optimizer):
    """Give the row-sparse form of an optimizer, where there is one.

    Args:
        optimizer: "adam" or "adagrad" in any case, or an instance of exactly
            `keras.optimizers.Adam` or `keras.optimizers.Adagrad`, or a
            `keras.optimizers.LossScaleOptimizer` around one; anything else is given back as it
            is.

    Returns:
        `SparseAdam` or `SparseAdagrad` with the same configuration, learning-rate schedule,
        variables left out of weight decay and, if it was built, state. Adam with
        `gradient_accumulation_steps` becomes `SparseAdam(lazy=False)`, since accumulated
        gradients of a table are dense.

    Example:
        >>> import keras
        >>> from deeprec_tf.optimizers import sparse_form
        >>> type(sparse_form("adam")).__name__
        'SparseAdam'
        >>> sparse_form(keras.optimizers.Adagrad(0.5)).get_config()["learning_rate"]
        0.5
    """
    if isinstance(optimizer, str):
        return _NAMES[optimizer.lower()]() if optimizer.lower() in _NAMES else optimizer
    if type(optimizer) is keras.optimizers.LossScaleOptimizer and not optimizer.built:
        inner = sparse_form(optimizer.inner_optimizer)
        if inner is optimizer.inner_optimizer:
            return optimizer
        return keras.optimizers.LossScaleOptimizer(
            inner, optimizer.initial_scale, optimizer.dynamic_growth_steps, name=optimizer.name
        )
    sparse = _SPARSE.get(type(optimizer))
    return optimizer if sparse is None else _converted(optimizer, sparse)


def _converted(optimizer, sparse):
    learning_rate = optimizer._learning_rate
    if isinstance(learning_rate, keras.Variable):
        learning_rate = float(learning_rate.numpy())
    config = {**optimizer.get_config(), "learning_rate": learning_rate}
    if sparse is SparseAdam and optimizer.gradient_accumulation_steps:
        config["lazy"] = False
    converted = sparse(**config)
    for name in ("_exclude_from_weight_decay", "_exclude_from_weight_decay_pattern"):
        if hasattr(optimizer, name):
            setattr(converted, name, getattr(optimizer, name))
    if optimizer.built:
        converted.build(optimizer._trainable_variables)
    for new, old in zip(converted.variables, optimizer.variables, strict=True):
        new.assign(old)
    return converted
