"""The multitask task's models, a model a task beside them, and the means of user and movie."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from deeprec_tf.cli.demo.movies import ITEM, Rows
from deeprec_tf.cli.demo.multitask.data import TASK_TYPES, USER, MultitaskData
from deeprec_tf.cli.demo.settings import MultitaskSettings
from deeprec_tf.cli.demo.training import TrainedModel, Watch, fit
from deeprec_tf.evaluation import exact_auc, log_loss
from deeprec_tf.registry import ModelCard, get_model

MEANS, ALONE = "means", "a model a task"
_PREDICT_BATCH = 4096
_SHRINKAGE = 10.0  # ratings of a user or movie at which half of their deviation is believed
# Arguments of about the same number of weights beside the tables; a model a task: in sum.
_ARGUMENTS: dict[str, dict[str, Any]] = {
    "SharedBottom": {"hidden_units": (96, 48)},
    "MMoE": {"num_experts": 3, "expert_units": (48, 32)},
    "PLE": {"expert_units": (32,), "num_layers": 2},
    "ESMM": {"tower_units": (64, 32)},
}
_ALONE_ARGUMENTS = {"hidden_units": (64, 32)}


@dataclass
class Means:
    """Mean of all, and how far user and movie are from it: m + b_user + b_movie.

    Attributes:
        tables: by task the mean, and the deviations by movie and by user.
        seconds: time in `fit`.
    """

    tables: dict[str, tuple[float, np.ndarray, np.ndarray]]
    seconds: float

    @classmethod
    def fit(cls, data: MultitaskData) -> Means:
        """Deviations of the training part, shrunk where there are few ratings; movies first."""
        began = time.perf_counter()
        x = data.inputs["train"]
        tables: dict[str, Any] = {}
        for task, label in data.labels["train"].items():
            mean = float(label.mean())
            left = label.astype(np.float64) - mean
            found = []
            for name in (ITEM, USER):
                size = data.encoder.vocabulary(name).size
                sums = np.bincount(x[name], left, minlength=size)
                deviations = sums / (np.bincount(x[name], minlength=size) + _SHRINKAGE)
                left = left - deviations[x[name]]
                found.append(deviations)
            tables[task] = (mean, *found)
        return cls(tables, time.perf_counter() - began)

    @property
    def size(self) -> int:
        """How many numbers it learns."""
        return sum(1 + len(movies) + len(users) for _, movies, users in self.tables.values())

    def predict(self, x: Rows) -> dict[str, np.ndarray]:
        """Answers (N,) by task."""
        return {
            task: mean + movies[x[ITEM]] + users[x[USER]]
            for task, (mean, movies, users) in self.tables.items()
        }


class TaskEvaluation(keras.callbacks.Callback):
    """Writes the exact validation metrics of each task into the epoch's logs.

    `val_score`, the mean of all AUC and negative errors, is what chooses the epoch.

    Args:
        x: inputs of the validation part.
        labels: its labels by task.
        answers: function from the model and the inputs to answers by task.
    """

    def __init__(
        self, x: Rows, labels: Rows, answers: Callable[[keras.Model, Rows], Rows]
    ) -> None:
        super().__init__()
        self.x = x
        self.labels = labels
        self.answers = answers

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Adds the metrics to `logs`."""
        found = measured(self.labels, self.answers(self.model, self.x))
        logs.update({f"val_{key}": value for key, value in found.items()})
        rising = [value for key, value in found.items() if key.endswith("_auc")]
        rising += [-value for key, value in found.items() if key.endswith("_rmse")]
        logs["val_score"] = float(np.mean(rising))


def measured(labels: Mapping[str, Any], answers: Mapping[str, Any]) -> dict[str, float]:
    """Exact metrics of the tasks that are answered, on the rows that have a label.

    Returns:
        AUC and log loss of binary tasks, the root mean squared error of the rating.
    """
    found = {}
    for task, answer in answers.items():
        known = ~np.isnan(labels[task])
        label, answer = labels[task][known], answer[known].astype(np.float64)
        if TASK_TYPES.get(task, "binary") == "binary":
            found[f"{task}_auc"] = exact_auc(label, answer)
            found[f"{task}_log_loss"] = log_loss(label, np.clip(answer, 0.0, 1.0))
        else:
            found[f"{task}_rmse"] = float(np.sqrt(np.mean((answer - label) ** 2)))
    return found


def sized(name: str, settings: MultitaskSettings) -> dict[str, Any]:
    """A builder's arguments beside columns and tasks."""
    # No metrics: `TaskEvaluation` measures what is wanted, exactly.
    return {
        "dropout": settings.dropout,
        "optimizer": keras.optimizers.Adam(settings.learning_rate),
        "metrics": [],
        **_ARGUMENTS.get(name, {}),
    }


def predict(model: keras.Model, x: Rows) -> dict[str, np.ndarray]:
    """Answers (N,) by task."""
    answers = model.predict(x, batch_size=_PREDICT_BATCH, verbose=0)
    if not isinstance(answers, Mapping):  # one task: an array
        answers = {model.output_names[0]: answers}
    return {task: np.ravel(answer) for task, answer in answers.items()}


def train(card: ModelCard, data: MultitaskData, settings: MultitaskSettings) -> TrainedModel:
    """Builds a model of all tasks and trains it."""
    return _train(card.name, card, list(TASK_TYPES), {}, data, settings)


def train_alone(data: MultitaskData, settings: MultitaskSettings) -> list[TrainedModel]:
    """A model a task: what there is to gain by learning them together is measured against it."""
    card = get_model("SharedBottom")
    return [
        _train(f"{task} alone", card, [task], _ALONE_ARGUMENTS, data, settings)
        for task in TASK_TYPES
    ]


def test_scores(
    trained: Sequence[TrainedModel],
    alone: Sequence[TrainedModel],
    means: Means,
    data: MultitaskData,
) -> dict[str, dict[str, float]]:
    """The exact metrics of each task on the test part by model; the one use of that part."""
    x, labels = data.inputs["test"], data.labels["test"]
    answers = {
        MEANS: means.predict(x),
        ALONE: {task: y for one in alone for task, y in predict(one.model, x).items()},
        **{one.name: predict(one.model, x) for one in trained},
    }
    return {name: measured(labels, one) for name, one in answers.items()}


def _train(
    name: str,
    card: ModelCard,
    tasks: list[str],
    arguments: Mapping[str, Any],
    data: MultitaskData,
    settings: MultitaskSettings,
) -> TrainedModel:
    keras.utils.set_random_seed(settings.seed)
    arguments = {**sized(card.name, settings), **arguments}
    types = [TASK_TYPES[task] for task in tasks]
    model = card(data.columns(settings), task_names=tasks, task_types=types, **arguments)
    labels = data.labels["train"]
    y = labels[tasks[0]] if len(tasks) == 1 else {task: labels[task] for task in tasks}
    watch = Watch(
        TaskEvaluation(data.inputs["validation"], data.labels["validation"], predict),
        metric="val_score", words=_words,
    )
    return fit(name, model, data.inputs["train"], y, settings, watch)


def _words(logs: Mapping[str, float]) -> str:
    names = {"val_liked_auc": "AUC", "val_rating_rmse": "RMSE"}
    return "  ".join(f"{word} {logs[key]:.4f}" for key, word in names.items() if key in logs)
