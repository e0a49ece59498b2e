"""The part of a trained model that serves: the graph up to its predictions, or one tower."""

from __future__ import annotations

import keras

from deeprec_tf.engine import part_of
from deeprec_tf.graph import inference_outputs, joint_output

USER_VECTOR = "user_vector"
ITEM_VECTOR = "item_vector"


def inference_model(model: keras.Model) -> keras.Model:
    """The model up to its predictions, without what only training needs.

    The weights are shared, not copied: train the model on and the cut has the new weights.
    Layers keep their names. Inputs that the predictions don't depend on (sampled negatives, a
    length nothing reads) are gone. A model without prediction layers but with a dict of outputs,
    such as an encoder, is taken whole.

    Args:
        model: a built model, freshly trained or reloaded.

    Returns:
        An uncompiled model with a dict of outputs: "probability", or the names of the tasks. A
        `RecModel` gives a `RecModel`, whose `predict` checks and hashes as before.

    Raises:
        ValueError: the model has neither a prediction layer nor a dict of outputs.

    Example:
        >>> from deeprec_tf import SparseFeat
        >>> from deeprec_tf.models import DeepFM
        >>> model = DeepFM([SparseFeat("user", 10), SparseFeat("item", 20)])
        >>> list(inference_model(model).output)
        ['probability']
    """
    return part_of(model, inference_outputs(model), model.name)


def user_encoder(model: keras.Model) -> keras.Model:
    """The user tower of a two-tower model: the user's inputs to {"user_vector": (B, D)}.

    Args:
        model: a model with the joint `user_vector`, freshly trained or reloaded.

    Returns:
        An uncompiled model that shares the weights, as `inference_model` does.

    Raises:
        ValueError: the model has no such joint (a ranking model reads user and item at once).
    """
    return _tower(model, USER_VECTOR)


def item_encoder(model: keras.Model) -> keras.Model:
    """The item tower of a two-tower model: the item's inputs to {"item_vector": (B, D)}.

    Args:
        model: a model with the joint `item_vector`, freshly trained or reloaded.

    Returns:
        An uncompiled model that shares the weights, as `inference_model` does.

    Raises:
        ValueError: the model has no such joint (a ranking model reads user and item at once).
    """
    return _tower(model, ITEM_VECTOR)


def _tower(model: keras.Model, joint: str) -> keras.Model:
    if all(layer.name != joint for layer in model.layers):
        raise ValueError(
            f"{model.name}: there is no layer {joint!r} to cut at; only two-tower models have "
            "one. A ranking model reads user and item together: use inference_model."
        )
    tower = joint.removesuffix("_vector")
    return part_of(model, {joint: joint_output(model, joint)}, f"{model.name}_{tower}_encoder")
