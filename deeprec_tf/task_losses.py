"""The losses and metrics of a model of several tasks: one a task, over the rows with its label."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from deeprec_tf.layers.multitask.loss_balance import LossBalance
from deeprec_tf.metrics.labelled import Labelled, known_labels
from deeprec_tf.task_kinds import RETRIEVAL, ROW_LOSS, kind_of

if TYPE_CHECKING:
    Model = keras.Model
else:
    Model = object

_SHORT = {  # the names that Keras resolves by the labels' shapes
    "accuracy": {"binary": "BinaryAccuracy", "multiclass": "SparseCategoricalAccuracy"},
    "crossentropy": {"binary": "BinaryCrossentropy", "multiclass": "SparseCategoricalCrossentropy"},
}
_SHORT |= {"acc": _SHORT["accuracy"], "ce": _SHORT["crossentropy"]}


class TaskLosses(Model):
    """Losses of several tasks; a part of `RecModel`.

    The loss of a task is the mean over the rows that have its label: NaN stands where there is
    none. Sample weights multiply a row's loss, as Keras has it.
    """

    @property
    def loss_balance(self) -> LossBalance | None:
        """The layer that weighs the tasks' losses, in a model of several tasks."""
        return next((layer for layer in self.layers if isinstance(layer, LossBalance)), None)

    def _task_arguments(self, loss: Any, arguments: dict[str, Any]) -> dict[str, Any]:
        """The arguments of `compile` with everything by task.

        Raises:
            ValueError: a task without loss, or a name that is no task.
        """
        balance = self.loss_balance
        owner = f"{self.name}.compile"
        weighed = list(balance.tasks)
        kinds = dict(zip(balance.tasks, balance.task_types, strict=True))
        kinds = {task: kind for task, kind in kinds.items() if kind != RETRIEVAL}
        if loss is None:
            loss = {task: kind_of(kind).loss() for task, kind in kinds.items()}
        loss = _by_task(f"{owner}: loss", loss, list(kinds))
        lacking = [task for task in kinds if loss.get(task) is None]
        if lacking:
            raise ValueError(
                f"{owner}: loss has nothing for the task {lacking[0]!r}. Give each of "
                f"{list(kinds)} a loss; loss_weights={{{lacking[0]!r}: 0.0}} leaves one out."
            )
        weights = arguments.get("loss_weights") or {}
        if not isinstance(weights, Mapping):
            weights = dict(zip(weighed, weights, strict=True))
        self._task_losses = {task: _row_loss(one) for task, one in loss.items()}
        self._task_weights = [float(weights.get(task, 1.0)) for task in weighed]
        unknown = [task for task in weights if task not in weighed]
        if unknown:
            raise ValueError(
                f"{owner}: loss_weights names {unknown[0]!r}; the tasks with a loss are "
                f"{weighed}."
            )
        changed = {**arguments, "loss": loss}
        for name in ("metrics", "weighted_metrics"):
            if arguments.get(name):
                changed[name] = _labelled(f"{owner}: {name}", arguments[name], self.output, kinds)
        return changed

    def task_losses(self, y: Any, y_pred: Any, sample_weight: Any) -> list[tf.Tensor]:
        """The tasks' losses, K scalars, times their `loss_weights`; a replica's share of them.

        Raises:
            ValueError: the labels of a task are missing.
        """
        balance = self.loss_balance
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        losses = []
        for task, kind, weight, tracker in zip(
            balance.tasks, balance.task_types, self._task_weights, balance.trackers, strict=True
        ):
            rows, known = self._rows_of_task(task, kind, y, y_pred)
            weights = sample_weight
            if isinstance(sample_weight, Mapping):
                weights = sample_weight.get(task)
            if weights is not None:
                rows = rows * tf.reshape(tf.cast(weights, "float32"), (-1,))
            count = tf.reduce_sum(known)
            mean = tf.math.divide_no_nan(tf.reduce_sum(rows), count)
            tracker.update_state(mean, sample_weight=count)
            losses.append(mean * weight / replicas)
        return losses

    def _rows_of_task(self, task: str, kind: Any, y: Any, y_pred: Any) -> tuple[Any, Any]:
        """Loss of each row (B,), 0 without a label, and 1.0 for each row that counts."""
        given = y.get(task) if isinstance(y, Mapping) else None
        if kind == RETRIEVAL:
            rows = y_pred[ROW_LOSS][:, 0]
            rows = rows if given is None else rows * tf.reshape(tf.cast(given, rows.dtype), (-1,))
            return rows, tf.ones_like(rows)
        if given is None:
            raise ValueError(
                f"{self.name}: the labels of the task {task!r} are missing. Give y as a dict "
                f"with {list(self.loss_balance.tasks)}; NaN marks a row without label."
            )
        labels, known = known_labels(given)
        return tf.cast(self._task_losses[task](labels, y_pred[task]), "float32") * known, known

    def additional_loss(self) -> Any:
        """What penalties and layers add to the loss."""
        return tf.add_n([tf.constant(0.0), *map(self._aggregate_additional_loss, self.losses)])

    def begin_epoch(self) -> None:
        """Tells the balance of the losses, where there is one, that an epoch begins."""
        if self.loss_balance is not None:
            self.loss_balance.begin_epoch()

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The compiled metrics; of several tasks, each over the rows that have its label."""
        if self.loss_balance is not None:
            y, sample_weight = self._with_all_tasks(y, y_pred, sample_weight)
        return super().compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    def _with_all_tasks(self, y: Any, y_pred: Any, sample_weight: Any) -> tuple[Any, Any]:
        """Labels and weights of every output: NaN and 1 where none were given."""
        labels = {
            task: y[task] if y.get(task) is not None else output[:, :1] * float("nan")
            for task, output in y_pred.items()
        }
        if sample_weight is None:
            return labels, None
        given = sample_weight if isinstance(sample_weight, Mapping) else dict.fromkeys(
            y_pred, sample_weight
        )
        ones = tf.ones_like(next(iter(y_pred.values()))[:, 0])
        return labels, {task: given.get(task, ones) for task in y_pred}


def _by_task(what: str, values: Any, tasks: list[str]) -> dict[str, Any]:
    """One of the values a task."""
    if isinstance(values, Mapping):
        unknown = [name for name in values if name not in tasks]
        if unknown:
            raise ValueError(f"{what} names {unknown[0]!r}; the tasks are {tasks}.")
        return dict(values)
    if isinstance(values, list | tuple):
        if len(values) != len(tasks):
            raise ValueError(f"{what} has {len(values)} entries for the tasks {tasks}.")
        return dict(zip(tasks, values, strict=True))
    return dict.fromkeys(tasks, values)


def _row_loss(loss: Any) -> Any:
    """A function of labels and predictions that gives the loss of each row (B,)."""
    found = keras.losses.get(loss)
    return found.call if isinstance(found, keras.losses.Loss) else found


def _labelled(what: str, metrics: Any, outputs: Any, kinds: dict[str, Any]) -> dict[str, Any]:
    """Metrics by task, each over the rows with a label."""
    if not isinstance(metrics, Mapping):
        several = metrics if isinstance(metrics, list | tuple) else [metrics]
        metrics = {task: [_copied(metric) for metric in several] for task in kinds}
    metrics = _by_task(what, metrics, list(outputs))

    def wrapped(metric: Any, kind: str) -> Any:
        if isinstance(metric, Labelled):
            return metric
        if isinstance(metric, str):
            metric_name, found = metric, _SHORT.get(metric, {}).get(kind, metric)
            metric = keras.metrics.get(found)
            if isinstance(metric, keras.metrics.Metric):
                metric = type(metric)(name=metric_name)
        if not isinstance(metric, keras.metrics.Metric):
            metric = keras.metrics.MeanMetricWrapper(metric, name=metric.__name__)
        return Labelled(metric)

    return {
        task: [
            wrapped(metric, kind_of(kinds.get(task, "binary")).name)
            for metric in (several if isinstance(several, list | tuple) else [several])
        ]
        for task, several in metrics.items()
    }


def _copied(metric: Any) -> Any:
    """A metric counts for one task alone, so each gets its own."""
    is_metric = isinstance(metric, keras.metrics.Metric)
    return type(metric).from_config(metric.get_config()) if is_metric else metric
