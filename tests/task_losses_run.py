"""Trains a model of two tasks by each method on one device or two, in a process of its own.

Usage: python tests/task_losses_run.py <one|mirrored> <file.npz>
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import keras
import numpy as np
import tensorflow as tf

from deeprec_tf.models import SharedBottom
from deeprec_tf.multitask import LOSS_WEIGHTINGS
from tests.models.crosses import COLUMNS, LABELS, X

PAY = np.array([1.0, np.nan, -2.0, np.nan, 0.5, 3.0], "float32")


def main(devices, file):
    (cpu,) = tf.config.list_physical_devices("CPU")
    half = tf.config.LogicalDeviceConfiguration()
    tf.config.set_logical_device_configuration(cpu, [half, half])
    strategy = tf.distribute.get_strategy()
    if devices == "mirrored":
        strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    x = {name: np.concatenate([values, values]) for name, values in X.items()}
    click = np.concatenate([LABELS, LABELS])
    cases = {f"{method}/alike": np.concatenate([PAY, PAY]) for method in sorted(LOSS_WEIGHTINGS)}
    # One replica has all the labels of a task: its mean is over them, not over the replicas.
    one_side = np.concatenate([PAY, PAY * np.nan])
    cases |= {f"{method}/one_side": one_side for method in sorted(LOSS_WEIGHTINGS)}
    results = {}
    for case, pay in cases.items():
        keras.utils.set_random_seed(1)
        with strategy.scope():
            model = SharedBottom(
                COLUMNS, task_names=("click", "pay"), task_types=("binary", "regression"),
                hidden_units=(4,), task_hidden_units=(), loss_weighting=case.split("/")[0],
                optimizer=keras.optimizers.Adam(0.02), metrics=[],
            )
        history = model.fit(
            x, {"click": click, "pay": pay}, batch_size=12, epochs=4, shuffle=False, verbose=0
        ).history
        results |= {f"{case}/{name}": values for name, values in history.items()}
        for weight in model.loss_balance.weights:
            if "seed" not in weight.path:
                results[f"{case}/{weight.name}"] = np.asarray(weight)
    np.savez(file, **results)


if __name__ == "__main__":
    main(*sys.argv[1:])
