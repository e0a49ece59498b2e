"""A trained model as a compiled function for single requests, in the process that has it."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from deeprec_tf.export.artifact import Arrays, Artifact
from deeprec_tf.export.cuts import inference_model
from deeprec_tf.export.signatures import input_specs_of, tensor_infos
from deeprec_tf.model_input import model_input
from deeprec_tf.settled import SettledTables


def serving_function(model: keras.Model) -> Artifact:
    """The model up to its predictions as one compiled function with a fixed signature.

    `predict` builds a data pipeline for every call, which costs a hundred times what a single
    request does; this function is traced once, for batches of any size. Columns with one number a
    row enter packed, one tensor a dtype. The weights are the model's own: train on, and it answers
    with the new ones. (A `LightGCN` looks first whether its tables have changed, which costs what
    they are long; export it where that counts.)

    Args:
        model: a built model, freshly trained or reloaded.

    Returns:
        A callable: dict of arrays by input name in, dict of arrays out; strings where a column is
        declared as `dtype="string"`.

    Raises:
        ValueError: from `inference_model`.

    Example:
        >>> from deeprec_tf import SparseFeat
        >>> from deeprec_tf.models import DeepFM
        >>> serve = serving_function(DeepFM([SparseFeat("user", 10), SparseFeat("item", 20)]))
        >>> serve({"user": [3], "item": [7]})["probability"].shape
        (1, 1)
    """
    served = inference_model(model)
    specs = input_specs_of(served)
    packs: dict[str, list[str]] = {}
    for name, spec in specs.items():
        alone = spec.shape.rank != 1 or spec.dtype == tf.string
        packs.setdefault(name if alone else f"columns of {spec.dtype.name}", []).append(name)
    groups = [names for names in packs.values() if len(names) > 1]
    single = [names[0] for names in packs.values() if len(names) == 1]
    signature = [
        tf.TensorSpec((None, len(names)), specs[names[0]].dtype) for names in groups
    ] + [specs[name] for name in single]

    @tf.function(input_signature=signature, autograph=False)
    def answer(*tensors):
        batch = dict(zip(single, tensors[len(groups) :], strict=True))
        for names, columns in zip(groups, tensors, strict=False):
            batch |= zip(names, tf.unstack(columns, num=len(names), axis=1), strict=True)
        return served({name: model_input(batch[name]) for name in specs}, training=False)

    compiled = answer.get_concrete_function()
    settles = isinstance(model, SettledTables) and model.has_settled_tables

    def run(batch: Arrays) -> Arrays:
        if settles:
            served.settle()
        packed = [np.stack([batch[name] for name in names], axis=1) for names in groups]
        values = compiled(*map(tf.constant, [*packed, *(batch[name] for name in single)]))
        return {name: value.numpy() for name, value in values.items()}

    return Artifact(Path(model.name), tensor_infos(specs), tuple(served.output), run)
