"""Trains one model for a few steps on one device or two, in a process of its own.

Usage: python tests/distributed_run.py <one|mirrored> <model,...> <activation> <file.npz>
"""

import inspect
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import keras
import numpy as np
import tensorflow as tf
from keras import tree

from deeprec_tf import get_model
from tests.contract.data import ROWS, subject_of

STEPS = 2
# Traced on both replicas, as users run them: some of every family. The others, those that generate
# codes among them, go through the same replicas one operation at a time, at a half to a fifth of
# the seconds.
TRACED = ("DeepFM", "DIN", "DIEN", "MMoE", "DSSM", "SASRec", "HSTU", "LightGCN", "HLLM")


def mirrored_batch(subject):
    """A batch whose halves hold equally many real steps: the second has the lengths of the first,
    other ids."""
    first, second = subject.batch(seed=1), subject.batch(seed=2)
    joined = {}
    for name, array in first.items():
        other = second[name]
        if array.ndim > 1 and array.dtype.kind == "i":
            other = np.where(array != 0, np.maximum(other, 1), 0)
        joined[name] = np.concatenate([array, other])
    return joined


def options_of(card, activation):
    """The activation, where the model has one, and nothing that a replica has of its own.

    So no dropout, no steps hidden by chance but each row's last, and negatives that are not those
    of the replica's rows.
    """
    parameters = inspect.signature(card.builder).parameters
    options = {name: 0.0 for name in parameters if name.endswith("dropout")}
    if "negatives" in parameters:
        options["negatives"] = "given" if "item_negatives" in card.optional else "all"
    if "last_only" in parameters:
        options["last_only"] = 1.0
    if "decorrelation" in parameters:
        options["decorrelation"] = 0.5  # a penalty on weights counts once for all replicas
    return {**options, "activation": activation} if "activation" in parameters else options


def main(devices, models, activation, file):
    (cpu,) = tf.config.list_physical_devices("CPU")
    half = tf.config.LogicalDeviceConfiguration()
    tf.config.set_logical_device_configuration(cpu, [half, half])
    strategy = tf.distribute.get_strategy()
    if devices == "mirrored":
        strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    results = {}
    for model_name in models.split(","):
        card = get_model(model_name)
        subject = subject_of(card, options=options_of(card, activation))
        with strategy.scope():
            model = subject.build(optimizer=keras.optimizers.Adam(0.01), metrics=[])
        model.run_eagerly = devices == "one" or model_name not in TRACED
        halves = subject.labels(seed=1), subject.labels(seed=2)
        labels = tree.map_structure(lambda *two: np.concatenate(two), *halves)
        # One epoch of the batch again and again: every epoch costs a new iterator on all devices.
        losses = []
        model.fit(
            *tree.map_structure(
                lambda array: np.concatenate([array] * STEPS), (mirrored_batch(subject), labels)
            ),
            batch_size=2 * ROWS, shuffle=False, verbose=0,
            callbacks=keras.callbacks.LambdaCallback(
                on_train_batch_end=lambda _, logs, losses=losses: losses.append(logs["loss"])
            ),
        )
        results[f"{model_name}/loss"] = losses
        prediction = model.predict(subject.batch(), verbose=0)
        results[f"{model_name}/prediction"] = np.concatenate(tree.flatten(prediction), axis=-1)
    np.savez(file, **results)


if __name__ == "__main__":
    main(*sys.argv[1:])
