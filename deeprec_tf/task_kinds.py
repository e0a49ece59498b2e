"""The kinds of tasks: which loss and which metrics each has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras

from deeprec_tf.labels import RETRIEVAL as RETRIEVAL


@dataclass(frozen=True, slots=True)
class Task:
    """A kind of label.

    Attributes:
        name: "binary", "regression" or "multiclass".
        loss: makes the default loss. The binary one works from the logit: Keras keeps it beside
            the sigmoid's output, so a confident mistake still has a gradient.
        metrics: makes the default metrics.
    """

    name: str
    loss: Callable[[], Any]
    metrics: Callable[[], list[Any]]


TASKS = {
    "binary": Task(
        "binary",
        keras.losses.BinaryCrossentropy,
        # Keras's default of 200 thresholds is off by up to .01 where scores crowd together.
        lambda: [keras.metrics.AUC(num_thresholds=2000, name="auc")],
    ),
    "regression": Task(
        "regression",
        keras.losses.MeanSquaredError,
        lambda: [keras.metrics.RootMeanSquaredError(name="rmse")],
    ),
    "multiclass": Task(
        "multiclass",
        keras.losses.SparseCategoricalCrossentropy,
        lambda: [keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
    ),
}


ROW_LOSS = "row_loss"  # the output of a graph that gives the loss of each row itself


def kind_of(task_type: str | int) -> Task:
    """The kind of a task by its type: "binary", "regression", or a number of classes."""
    return TASKS["multiclass" if isinstance(task_type, int) else task_type]
