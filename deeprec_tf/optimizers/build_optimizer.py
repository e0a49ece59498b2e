"""An optimizer's variables, made where those of its model are."""

from __future__ import annotations

import keras


def build_optimizer(model: keras.Model) -> None:
    """Makes the variables of a model's optimizer, unless it has them.

    Keras does so in the first step. Done before, it must be within the scope of the strategy that
    the model was built under, or TensorFlow refuses and leaves the optimizer half built.

    Args:
        model: a built model. Without an optimizer nothing is done.
    """
    if model.optimizer is not None and not model.optimizer.built:
        with model.distribute_strategy.scope():
            model.optimizer.build(model.trainable_variables)
