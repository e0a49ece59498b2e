"""What a task is: its loss, its metrics, and how a model of it is compiled."""

from __future__ import annotations

from typing import Any

import keras

from deeprec_tf.engine import RecModel
from deeprec_tf.layers.core.prediction import PredictionLayer
from deeprec_tf.task_kinds import TASKS


def prediction(tower: Any, task: str = "binary", *, is_logit: bool = False) -> Any:
    """The head of a single-task model: logit, then the task's output function.

    The output layer, a joint, is named "probability", or as the task where that is not "binary".

    Args:
        tower: float tensor (B, n).
        task: "binary" or "regression".
        is_logit: `tower` is the logit (B, 1) already.

    Returns:
        float32 tensor (B, 1).

    Raises:
        ValueError: the task is unknown.
    """
    if task not in ("binary", "regression"):
        raise ValueError(f"task must be 'binary' or 'regression', got {task!r}.")
    if not is_logit:
        # float32 under mixed precision too: half precision gives many rows one probability.
        tower = keras.layers.Dense(1, use_bias=False, name="logit", dtype="float32")(tower)
    return PredictionLayer(task, name="probability" if task == "binary" else task)(tower)


def compiled(
    model: RecModel,
    task: str = "binary",
    *,
    optimizer: Any = "adam",
    loss: Any = None,
    metrics: Any = None,
    jit_compile: bool | str = "auto",
) -> RecModel:
    """Compiles a model for a task and returns it; the caller may compile again.

    Args:
        model: a functional `RecModel`.
        task: "binary", "regression" or "multiclass".
        optimizer: Keras optimizer or name; 'adam' and 'adagrad' become the row-sparse forms.
        loss: the task's own when None.
        metrics: whatever `keras.Model.compile` takes; the task's own when None.
        jit_compile: "auto" compiles with XLA on accelerators only.

    Raises:
        ValueError: the task is unknown.
    """
    if task not in TASKS:
        raise ValueError(f"{model.name}: task must be one of {tuple(TASKS)}, got {task!r}.")
    model.compile(
        optimizer=optimizer,
        loss=TASKS[task].loss() if loss is None else loss,
        metrics=TASKS[task].metrics() if metrics is None else metrics,
        jit_compile=jit_compile,
    )
    return model
