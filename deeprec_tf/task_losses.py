"""The losses and metrics of a model of several tasks: one a task, over the rows with its label."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import TYPE_CHECKING, Any, cast

import keras
import tensorflow as tf

from deeprec_tf.labels import refuse_names
from deeprec_tf.layers.multitask.loss_balance import LossBalance
from deeprec_tf.metrics.labelled import Labelled, known_labels
from deeprec_tf.task_kinds import RETRIEVAL, ROW_LOSS, kind_of

if TYPE_CHECKING:
    from keras import Model
else:
    Model = object

_SHORT = {  # the names that Keras resolves by the labels' shapes
    "accuracy": {"binary": "BinaryAccuracy", "multiclass": "SparseCategoricalAccuracy"},
    "crossentropy": {"binary": "BinaryCrossentropy", "multiclass": "SparseCategoricalCrossentropy"},
}
_SHORT |= {"acc": _SHORT["accuracy"], "ce": _SHORT["crossentropy"]}


class _Metrics(keras.Operation):
    """The metrics of a model as an operation, which Keras can run on shapes alone."""

    def __init__(self, model: keras.Model) -> None:
        super().__init__()
        self._model = model

    def call(self, x: Any, y: Any, y_pred: Any, sample_weight: Any) -> Any:
        return self._model.compute_metrics(x, y, y_pred, sample_weight=sample_weight)


def _shape_of(value: Any) -> Any:
    """A tensor of that shape and dtype without values; None stays None."""
    if value is None:
        return None
    return keras.KerasTensor(value.shape, keras.backend.standardize_dtype(value.dtype))


class TaskLosses(Model):
    """Losses of several tasks; a part of `RecModel`.

    The loss of a task is the mean over the rows that have its label: NaN stands where there is
    none. Sample weights multiply a row's loss, as Keras has it.
    """

    @property
    def loss_balance(self) -> LossBalance | None:
        """The layer that weighs the tasks' losses, in a model of several tasks."""
        return next((layer for layer in self.layers if isinstance(layer, LossBalance)), None)

    @property
    def _balance(self) -> LossBalance:
        """That layer, where there is one."""
        return cast(LossBalance, self.loss_balance)

    def _task_arguments(self, loss: Any, arguments: dict[str, Any]) -> dict[str, Any]:
        """The arguments of `compile` with everything by task.

        Raises:
            ValueError: a task without loss, or a name that is no task.
        """
        balance = self._balance
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
        weights = arguments.get("loss_weights")
        weights = _by_task(f"{owner}: loss_weights", 1.0 if weights is None else weights, weighed)
        for task, weight in weights.items():
            if not isinstance(weight, Real) or not 0 <= float(weight) < float("inf"):
                raise ValueError(
                    f"{owner}: loss_weights must be finite numbers from 0 on, got {weight!r} for "
                    f"{task!r}."
                )
        fixed = balance.fixed_weights or [1.0] * len(weighed)
        self._task_losses = {task: _row_loss(owner, task, one) for task, one in loss.items()}
        self._task_weights = [
            weight * weights.get(task, 1.0) for task, weight in zip(weighed, fixed, strict=True)
        ]
        changed = {**arguments, "loss": loss}
        for name in ("metrics", "weighted_metrics"):
            if arguments.get(name):
                changed[name] = _labelled(f"{owner}: {name}", arguments[name], self.output, kinds)
        return changed

    def task_losses(self, y: Any, y_pred: Any, sample_weight: Any) -> tuple[list[Any], Any]:
        """The tasks' losses, K scalars, times their weights; and which tasks count.

        A task counts where a label of it has weight. Under a strategy a loss is the replica's share
        of the mean over the labels of all of them.

        Raises:
            ValueError: the labels of a task are missing.
        """
        balance = self._balance
        rows, known, weighed = [], [], []
        for task, kind in zip(balance.tasks, balance.task_types, strict=True):
            of_task, is_known = self._rows_of_task(task, kind, y, y_pred)
            weights = sample_weight
            if isinstance(sample_weight, Mapping):
                weights = sample_weight.get(task)
            weights = 1.0 if weights is None else tf.reshape(tf.cast(weights, "float32"), (-1,))
            rows.append(of_task * weights)
            known.append(tf.reduce_sum(is_known))
            weighed.append(tf.reduce_sum(is_known * weights))
        counts = tf.stack(known)
        of_all, weight_of_all = tf.unstack(over_replicas(tf.stack([counts, weighed]), "SUM"))
        losses = []
        for k, (of_task, tracker) in enumerate(zip(rows, balance.trackers, strict=True)):
            total = tf.reduce_sum(of_task)
            tracker.update_state(
                tf.math.divide_no_nan(total, counts[k]), sample_weight=counts[k]
            )
            losses.append(tf.math.divide_no_nan(total, of_all[k]) * self._task_weights[k])
        weight_of_all *= tf.constant(self._task_weights, "float32")
        return losses, tf.cast(weight_of_all > 0, "float32")

    def sum_of_losses(self, y: Any, y_pred: Any, sample_weight: Any) -> tf.Tensor:
        """The plain sum of the tasks' losses and of what else is added to the loss."""
        losses, _ = self.task_losses(y, y_pred, sample_weight)
        return tf.add_n(losses) + self.additional_loss()

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
                f"with {list(self._balance.tasks)}; NaN marks a row without label."
            )
        labels, known = known_labels(given)
        rows = tf.cast(self._task_losses[task](labels, y_pred[task]), "float32")
        if rows.shape.rank == 0:
            raise ValueError(
                f"{self.name}: the loss of the task {task!r} gives one number a batch. Give one a "
                "row, so that rows without label can be left out."
            )
        if rows.shape.rank > 1:
            rows = tf.reduce_mean(rows, axis=list(range(1, rows.shape.rank)))
        return rows * known, known

    def additional_loss(self) -> Any:
        """What penalties and layers add to the loss; a replica's share of it."""
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        loss = tf.add_n([tf.constant(0.0), *map(self._aggregate_additional_loss, self.losses)])
        self._balance.penalty.update_state(loss)
        return loss / replicas

    def get_metrics_result(self) -> dict[str, Any]:
        """The metrics; of several tasks, `loss` is the sum of the logged ones by their weights."""
        results = super().get_metrics_result()
        balance = self.loss_balance
        if balance is not None:
            loss = results.pop("penalty")
            for task, weight in zip(balance.tasks, self._task_weights, strict=True):
                loss = loss + weight * results[f"{task}_loss"]
            results["loss"] = loss
        return results

    def check_dataset(self, where: str, spec: Any) -> None:
        """Raises ValueError where a data set's labels or weights do not go with the tasks."""
        balance = self.loss_balance
        if balance is None or not isinstance(spec, tuple) or len(spec) < 2:
            return
        wanted = {
            task for task, kind in zip(balance.tasks, balance.task_types, strict=True)
            if kind != RETRIEVAL
        }
        outputs = [name for name in self.output if name != ROW_LOSS]
        if not isinstance(spec[1], Mapping) or not wanted <= set(spec[1]) <= set(outputs):
            found = list(spec[1]) if isinstance(spec[1], Mapping) else type(spec[1]).__name__
            raise ValueError(
                f"{self.name}.{where}: the data set's labels must be a dict with "
                f"{sorted(wanted)}, got {found}."
            )
        if len(spec) > 2:
            refuse_names(f"{self.name}.{where}: sample_weight", spec[2], self.output)

    def begin_epoch(self) -> None:
        """Tells the balance of the losses, where there is one, that an epoch begins."""
        if self.loss_balance is not None:
            self.loss_balance.begin_epoch()

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The compiled metrics; of several tasks, each over the rows that have its label."""
        if self.loss_balance is not None:
            y, sample_weight = self._with_all_tasks(y, y_pred, sample_weight)
        return super().compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    def make_metric_variables(self, y: Any, sample_weight: Any) -> None:
        """Makes the variables of the compiled metrics, from arrays or specs of the labels.

        Keras's own way traces the whole model for it; its outputs are known here.
        """
        shapes = keras.tree.map_structure(_shape_of, (y, sample_weight))
        _Metrics(self).compute_output_spec(self.input, shapes[0], self.output, shapes[1])

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


def over_replicas(value: Any, how: str) -> Any:
    """A constant of all replicas, a tensor or slices of one: their "SUM" or "MEAN"."""
    context = tf.distribute.get_replica_context()
    if not isinstance(value, tf.IndexedSlices):
        value = tf.stop_gradient(value)
    if context is None or context.num_replicas_in_sync == 1:
        return value
    return context.all_reduce(how, value)


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


def _row_loss(owner: str, task: str, loss: Any) -> Any:
    """A function of labels and predictions that gives the loss of each row (B,)."""
    found = keras.losses.get(loss)
    reduction = getattr(found, "reduction", "sum_over_batch_size")
    if reduction not in ("sum_over_batch_size", "mean"):
        raise ValueError(
            f"{owner}: the loss of {task!r} has reduction={reduction!r}, but a task's loss is the "
            "mean over the rows that have its label. Leave reduction out; loss_weights scales it."
        )
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
