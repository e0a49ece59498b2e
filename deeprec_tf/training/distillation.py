"""Distillation: a small model learns from labels and from a large model's logits.

"Rocket Launching" (Zhou et al., AAAI 2018), by which the authors of DIEN served it with 32 units
instead of 108. Departure: there both nets train at once; here the teacher is trained already and
stays as it is.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from deeprec_tf.engine import RecModel, part_of
from deeprec_tf.features import DenseFeat, SparseFeat, VarLenSparseFeat
from deeprec_tf.graph import joint_output, parents_of
from deeprec_tf.inputs import build_input_layers
from deeprec_tf.layers.core.prediction import PredictionLayer
from deeprec_tf.optimizers.build_optimizer import build_optimizer
from deeprec_tf.tables import set_table_values, table_values

_OWNER = "distill"
_HINTS = "teacher_logit"


def distill(
    teacher: keras.Model,
    student: RecModel,
    x,
    y,
    *,
    hint_weight: float = 1.0,
    temperature: float | None = None,
    share_lower_layers: bool = False,
    validation_data=None,
    redraw=None,
    **kwargs: Any,
) -> keras.callbacks.History:
    """Trains a student on the labels and on hints: the logits of a trained teacher.

    loss = the student's own + hint_weight · hint, with the hint averaged over the batch's rows:
    (l - z)² for the student's logit l and the teacher's z (both with the bias of the prediction),
    or with a temperature T the divergence T² · KL(sigmoid(z/T) ‖ sigmoid(l/T)).

    The teacher runs once over `x`, not in every step, and anew only for epochs that redraw what it
    reads. It is not changed, and no part of it is saved with the student, which stays the model it
    was: compiled as before, with its optimizer's state gone on.

    Args:
        teacher: a trained model of one task.
        student: a compiled model of the same task, with columns and layers of its own.
        x: dict of arrays or DataFrame with the columns of both; those that only the teacher's
            training reads may be left out.
        y: labels, as in `fit`.
        hint_weight: weight of the hint; 0 is a plain `fit`.
        temperature: None for squared differences of the logits, as in the paper; a number for soft
            labels (binary tasks only), which let go of differences where both are sure.
        share_lower_layers: copy the teacher's embedding tables into those of the same name before
            training; the student trains them on.
        validation_data: (x, y) or (x, y, sample_weight) of arrays. `val_loss` is the student's own,
            without the hint.
        redraw: as in `RecModel.fit`.
        **kwargs: everything else that `RecModel.fit` takes. Callbacks see a model that
            predicts as the student does, and save the student.

    Returns:
        `keras.callbacks.History`; `hint_loss` is in it, without its weight.

    Raises:
        TypeError: the student is no `RecModel`, or `x` no dict or DataFrame.
        ValueError: the student is not compiled, a model has not one task or both have different
            ones, a negative weight, a temperature that is not positive or not for this task, no
            table to share or one of another shape, validation data that are no arrays.

    Example:
        >>> from deeprec_tf import SparseFeat
        >>> from deeprec_tf.models import DeepFM
        >>> columns = [SparseFeat("user", 10), SparseFeat("item", 20)]
        >>> teacher, student = (DeepFM(columns, hidden_units=(n,)) for n in (64, 8))
        >>> x, y = {"user": np.arange(8), "item": np.arange(8)}, np.arange(8) % 2
        >>> sorted(distill(teacher, student, x, y, verbose=0).history)
        ['auc', 'hint_loss', 'loss']

    References:
        Zhou et al., Rocket Launching: A Universal and Efficient Framework for Training
        Well-performing Light Net, AAAI 2018. Hinton et al., Distilling the Knowledge in a Neural
        Network, 2015 (temperature).
    """
    if not isinstance(student, RecModel):
        raise TypeError(
            f"{_OWNER}: the student must be a model of a builder, got {type(student).__name__}."
        )
    _check(teacher, student, x, validation_data, hint_weight, temperature)
    if share_lower_layers:
        _share_tables(teacher, student)
    names = {*(tensor.name for tensor in student.inputs), *student._ignored_inputs}
    model, logits_of = student, None
    if hint_weight:
        model, logits_of = _with_hints(student, hint_weight, temperature), _Logits(teacher)

    def prepared(arrays):
        kept = {name: arrays[name] for name in arrays.keys() if name in names}
        return kept if logits_of is None else {**kept, _HINTS: logits_of(arrays)}

    def redrawn(epoch):
        fresh = redraw(epoch)
        if logits_of is not None and logits_of.names & set(fresh):
            rows = len(next(iter(fresh.values())))  # a validation_split has cut off the last ones
            return prepared({**{name: np.asarray(x[name])[:rows] for name in x.keys()}, **fresh})
        return fresh

    if validation_data is not None:
        validation_data = (prepared(validation_data[0]), *validation_data[1:])
    try:
        history = model.fit(
            prepared(x), y, validation_data=validation_data,
            redraw=None if redraw is None else redrawn, **kwargs,
        )
    finally:
        model.reset_metrics()  # the student has the same ones
    history.set_model(student)
    return history


def _check(teacher, student, x, validation_data, hint_weight, temperature):
    if not hasattr(x, "keys"):
        raise TypeError(
            f"{_OWNER}: x must be a dict of arrays or a DataFrame, got {type(x).__name__}: the "
            "teacher answers once for each row."
        )
    if validation_data is not None and not (
        isinstance(validation_data, tuple | list) and hasattr(validation_data[0], "keys")
    ):
        raise ValueError(
            f"{_OWNER}: validation_data must be (x, y) with x a dict of arrays or a DataFrame."
        )
    if not student.compiled:
        raise ValueError(f"{_OWNER}: compile the student first.")
    if hint_weight < 0:
        raise ValueError(f"{_OWNER}: hint_weight must not be negative, got {hint_weight}.")
    tasks = [_prediction_layer(model).task for model in (teacher, student)]
    if tasks[0] != tasks[1]:
        raise ValueError(
            f"{_OWNER}: the teacher's task is {tasks[0]!r}, the student's {tasks[1]!r}."
        )
    if temperature is not None and (temperature <= 0 or tasks[0] != "binary"):
        raise ValueError(
            f"{_OWNER}: temperature must be positive and is for binary tasks, got {temperature} "
            f"for {tasks[0]!r}. None compares the logits themselves."
        )
    if _HINTS in {tensor.name for tensor in student.inputs}:
        raise ValueError(f"{_OWNER}: rename the column {_HINTS!r}, which the hints are called.")


def _prediction_layer(model: keras.Model) -> PredictionLayer:
    found = [layer for layer in model.layers if isinstance(layer, PredictionLayer)]
    if len(found) != 1:
        raise ValueError(
            f"{_OWNER}: {model.name} has {len(found)} prediction layers, not one. A model of a "
            "single task is needed."
        )
    return found[0]


def _logit(model: keras.Model) -> Any:
    """The symbolic logit, before the bias of the prediction layer."""
    return parents_of(joint_output(model, _prediction_layer(model).name))[0]


class _Logits:
    """Arrays to a model's logits (N, n), the bias of the prediction counted.

    Attributes:
        names: the inputs that the logits depend on.
    """

    def __init__(self, model: keras.Model) -> None:
        self.layer = _prediction_layer(model)
        self.cut = part_of(model, {"logit": _logit(model)}, model.name)
        self.names = {tensor.name for tensor in self.cut.inputs}

    def __call__(self, x: Any) -> Any:
        x = {name: x[name] for name in x.keys() if name in self.names}
        logits = self.cut.predict(x, verbose=0)["logit"]
        return logits + ops.convert_to_numpy(self.layer.bias) if self.layer.use_bias else logits


def _with_hints(student: RecModel, weight: float, temperature: float | None) -> RecModel:
    """The student's graph with the hint loss behind it; layers and optimizer are shared."""
    layer, logit = _prediction_layer(student), _logit(student)
    with student.distribute_strategy.scope():
        column = DenseFeat(_HINTS, logit.shape[-1])
        inputs = {**student.input, **build_input_layers([column])}
        output = _HintLoss(layer, weight, temperature, name="hint")(
            student.output, logit, inputs[_HINTS]
        )
        model = _Distilled(
            inputs, output, feature_columns=[*student.feature_columns, column],
            ignored_inputs=student._ignored_inputs, name=student.name,
        )
        build_optimizer(student)
        model.compile(
            **{
                **student._compile_config.config,
                "optimizer": student.optimizer,
                "jit_compile": student._jit_asked,
            }
        )
    model.keep_aside("student", student)
    model.row_order, model._chosen_seed = student.row_order, student._chosen_seed
    return model


class _Distilled(RecModel):
    """A student in training. What callbacks save is the student itself."""

    def save(self, *args, **kwargs):
        return self.student.save(*args, **kwargs)

    def save_weights(self, *args, **kwargs):
        return self.student.save_weights(*args, **kwargs)


class _HintLoss(keras.layers.Layer):
    """Returns the prediction and adds the hint loss, in training only."""

    def __init__(self, prediction_layer, weight, temperature, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})
        # Past tracking: the bias belongs to the model's own layer.
        object.__setattr__(self, "prediction_layer", prediction_layer)
        self.weight = weight
        self.temperature = temperature
        self.tracker = keras.metrics.Mean(name="hint_loss")

    def call(self, prediction, logit, teacher_logit, training=False):
        logit = ops.cast(logit, "float32")
        if self.prediction_layer.use_bias:
            logit = logit + self.prediction_layer.bias
        hints = hint_losses(logit, teacher_logit, self.temperature)
        count = ops.cast(ops.size(hints), "float32")  # a replica may have no rows
        loss = ops.sum(hints) / ops.maximum(count, 1.0)
        self.tracker.update_state(loss)
        if training:
            self.add_loss(self.weight * loss)
        return prediction


def hint_losses(logit: Any, teacher_logit: Any, temperature: float | None = None) -> Any:
    """The hint of each row, 0 where student and teacher agree.

    Args:
        logit: float tensor (B, n), the student's.
        teacher_logit: float tensor (B, n).
        temperature: None for squared differences, or the T of
            T² · KL(sigmoid(teacher_logit/T) ‖ sigmoid(logit/T)).

    Returns:
        Float tensor (B, n).
    """
    if temperature is None:
        return ops.square(logit - teacher_logit)
    logit, teacher_logit = logit / temperature, teacher_logit / temperature
    cross = ops.softplus(logit) - ops.sigmoid(teacher_logit) * logit
    least = ops.softplus(teacher_logit) - ops.sigmoid(teacher_logit) * teacher_logit
    return temperature**2 * (cross - least)


def _share_tables(teacher: keras.Model, student: RecModel) -> None:
    """Copies the teacher's embedding tables into the student's tables of the same name."""
    shared = _table_names(teacher) & _table_names(student)
    if not shared:
        raise ValueError(
            f"{_OWNER}: share_lower_layers=True, but {teacher.name} and {student.name} have no "
            f"embedding table of one name: {sorted(_table_names(teacher))} and "
            f"{sorted(_table_names(student))}."
        )
    for name in sorted(shared):
        values, own = table_values(teacher, name), table_values(student, name)
        if values.shape != own.shape:
            raise ValueError(
                f"{_OWNER}: table {name!r} has the shape {values.shape} in the teacher, "
                f"{own.shape} in the student. Give both columns one embedding_dim, or leave "
                "share_lower_layers out."
            )
        set_table_values(student, name, values)


def _table_names(model: keras.Model) -> set[str]:
    return {
        str(column.embedding_name) for column in getattr(model, "feature_columns", ())
        if isinstance(column, SparseFeat | VarLenSparseFeat)
    }
