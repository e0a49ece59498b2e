"""What multi-task models share: the list of tasks, a task's head, and the compiled model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import keras
import numpy as np

from deeprec_tf.engine import RecModel
from deeprec_tf.features import FeatureColumn
from deeprec_tf.graph import refuse_taken_names
from deeprec_tf.inputs import (
    Tensors,
    build_embedding_layers,
    build_input_layers,
    embedding_lookup,
    refuse_sequences,
)
from deeprec_tf.layers.core.prediction import PredictionLayer
from deeprec_tf.layers.core.table_embedding import TableEmbedding
from deeprec_tf.layers.multitask.dynamic_weight_average import DynamicWeightAverage
from deeprec_tf.layers.multitask.grad_norm import GradNorm
from deeprec_tf.layers.multitask.loss_balance import LossBalance
from deeprec_tf.layers.multitask.meta_balance import MetaBalance
from deeprec_tf.layers.multitask.pcgrad import PCGrad
from deeprec_tf.layers.multitask.uncertainty_weighting import UncertaintyWeighting
from deeprec_tf.task_kinds import kind_of
from deeprec_tf.tasks import compiled

LOSS_WEIGHTINGS: dict[str, type[LossBalance]] = {
    "fixed": LossBalance,
    "uncertainty": UncertaintyWeighting,
    "gradnorm": GradNorm,
    "metabalance": MetaBalance,
    "dwa": DynamicWeightAverage,
    "pcgrad": PCGrad,
}
TaskTypes = dict[str, str | int]


def side_by_side(
    owner: str, feature_columns: Sequence[FeatureColumn]
) -> tuple[Tensors, Any]:
    """Inputs by name, and what all columns give of a row side by side (B, C).

    Raises:
        ValueError: a sequence that is not pooled (combiner "none").
    """
    inputs = build_input_layers(feature_columns)
    tables = build_embedding_layers(feature_columns)
    refuse_sequences(owner, feature_columns)
    return inputs, embedding_lookup(inputs, tables, feature_columns)


def task_types_of(
    owner: str, task_names: Sequence[str], task_types: Sequence[str | int] | None = None
) -> TaskTypes:
    """The type of each task, by its name.

    Args:
        owner: the model's name, for messages.
        task_names: names of the tasks, which those of the outputs will be.
        task_types: "binary", "regression", or the number of classes, one a task; all binary when
            None.

    Raises:
        ValueError: no names, a name twice, as many types as names were not given, or an unknown
            type.
    """
    names = [task_names] if isinstance(task_names, str) else list(task_names)
    if not names or len(set(names)) != len(names):
        raise ValueError(f"{owner}: task_names must be different names, got {task_names!r}.")
    types = ["binary"] * len(names) if task_types is None else list(task_types)
    if len(types) != len(names):
        raise ValueError(
            f"{owner}: task_types has {len(types)} entries for the {len(names)} tasks {names}."
        )
    for name, kind in zip(names, types, strict=True):
        is_classes = isinstance(kind, Integral) and not isinstance(kind, bool) and kind >= 3
        if kind not in ("binary", "regression") and not is_classes:
            raise ValueError(
                f"{owner}: the type of task {name!r} must be 'binary', 'regression' or a number of "
                f"classes from 3 on, got {kind!r}."
            )
    types = [kind if isinstance(kind, str) else int(kind) for kind in types]
    return dict(zip(names, types, strict=True))


def task_logit(
    tower: Any, task: str, task_type: str | int = "binary", *, use_bias: bool = False
) -> Any:
    """The logit of a task: float32 (B, 1), or (B, classes), of a tower's output (B, n)."""
    units = task_type if isinstance(task_type, int) else 1
    # float32 under mixed precision too: half precision gives many rows one probability.
    dense = keras.layers.Dense(units, use_bias=use_bias, name=f"{task}_logit", dtype="float32")
    return dense(tower)


def task_head(tower: Any, task: str, task_type: str | int = "binary") -> Any:
    """The output of a task: logit, then its output function; the joint is named as the task.

    Args:
        tower: float tensor (B, n).
        task: its name.
        task_type: "binary", "regression" or the number of classes.

    Returns:
        float32 tensor (B, 1), or (B, classes).
    """
    logit = task_logit(tower, task, task_type)
    return PredictionLayer(kind_of(task_type).name, name=task)(logit)


def multitask_model(
    inputs: Tensors,
    predictions: Mapping[str, Any],
    task_types: TaskTypes,
    *,
    feature_columns: Sequence[FeatureColumn],
    shared_layers: Sequence[str] = (),
    loss_weighting: Any = "fixed",
    optimizer: Any = "adam",
    loss: Any = None,
    metrics: Any = None,
    jit_compile: bool | str = "auto",
    name: str = "model",
) -> RecModel:
    """A compiled model of several tasks.

    Args:
        inputs: Inputs by name.
        predictions: outputs by task, each of a `PredictionLayer` of that name.
        task_types: types of the tasks that have a loss.
        feature_columns: the columns.
        shared_layers: names of the last layers that all tasks share; the tables when they have no
            weights.
        loss_weighting: a name of `LOSS_WEIGHTINGS`, weights (one a task, or a dict), or a
            `LossBalance`, of which the model takes a copy.
        optimizer: Keras optimizer or name.
        loss: losses by task; those of the types when None.
        metrics: metrics by task; those of the types when None.
        jit_compile: as in `keras.Model.compile`.
        name: name of the model.

    Returns:
        The model: a dict of outputs by task, or of one task its output.

    Raises:
        ValueError: an unknown method of weighting, or weights for other tasks.
    """
    if len(predictions) == 1:  # one task: an array, and nothing to balance
        (output,), (kind,) = predictions.values(), task_types.values()
        _balance(name, loss_weighting, task_types)
        model = RecModel(inputs, output, feature_columns=feature_columns, name=name)
        return compiled(
            model, kind_of(kind).name, optimizer=optimizer, loss=loss, metrics=metrics,
            jit_compile=jit_compile,
        )
    outputs = balanced(
        inputs, predictions, task_types, shared_layers=shared_layers,
        loss_weighting=loss_weighting, owner=name,
    )
    model = RecModel(inputs, outputs, feature_columns=feature_columns, name=name)
    if metrics is None:
        kinds = {task: kind_of(task_types.get(task, "binary")) for task in predictions}
        metrics = {task: kind.metrics() for task, kind in kinds.items()}
    model.compile(
        optimizer=optimizer, loss=loss, metrics=metrics, jit_compile=jit_compile
    )
    return model


def balanced(
    inputs: Tensors,
    outputs: Mapping[str, Any],
    task_types: TaskTypes,
    *,
    shared_layers: Sequence[str] = (),
    loss_weighting: Any = "fixed",
    owner: str = "model",
) -> dict[str, Any]:
    """The outputs through the layer that balances the tasks' losses.

    Args:
        inputs: Inputs by name.
        outputs: outputs by name, those of the tasks among them.
        task_types: types of the tasks that have a loss.
        shared_layers: as for `multitask_model`.
        loss_weighting: as for `multitask_model`.
        owner: the model's name, for messages.
    """
    refuse_taken_names(owner, outputs.values())
    before = keras.Model(inputs, outputs)
    with_weights = [layer.name for layer in before.layers if layer.trainable_weights]
    shared = [layer for layer in shared_layers if layer in with_weights]
    shared = shared or [la.name for la in before.layers if isinstance(la, TableEmbedding)]
    balance = _balance(owner, loss_weighting, task_types)
    balance = type(balance).from_config({
        **balance.get_config(),
        "name": "loss_balance",
        "tasks": list(task_types),
        "task_types": list(task_types.values()),
        "shared_layers": shared,
        "num_weights": len(before.weights),
    })
    return balance(dict(outputs))


def _balance(owner: str, loss_weighting: Any, task_types: TaskTypes) -> LossBalance:
    """The layer that was asked for, to be copied."""
    if isinstance(loss_weighting, LossBalance):
        if len(loss_weighting.fixed_weights) in (0, len(task_types)):
            return loss_weighting
        loss_weighting = loss_weighting.fixed_weights
    if isinstance(loss_weighting, str) and loss_weighting in LOSS_WEIGHTINGS:
        return LOSS_WEIGHTINGS[loss_weighting]()
    if isinstance(loss_weighting, Mapping) and set(loss_weighting) == set(task_types):
        loss_weighting = [loss_weighting[task] for task in task_types]
    is_numbers = isinstance(loss_weighting, list | tuple | np.ndarray) and all(
        isinstance(weight, Real) for weight in loss_weighting
    )
    if is_numbers and len(loss_weighting) == len(task_types):
        return LossBalance(weights=[float(weight) for weight in loss_weighting])
    raise ValueError(
        f"{owner}: loss_weighting must be one of {tuple(LOSS_WEIGHTINGS)}, a LossBalance, or a "
        f"weight for each of the tasks {list(task_types)}, got {loss_weighting!r}."
    )
