"""CTR evaluation of a model on a data set: predict in batches, then the exact metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from deeprec_tf.evaluation.ctr_metrics import exact_auc, gauc, log_loss

_OWNER = "evaluate_ctr"


def evaluate_ctr(
    model: keras.Model,
    x,
    y=None,
    group=None,
    batch_size: int = 4096,
    sample_weight=None,
    verbose: int = 0,
) -> dict[str, float]:
    """Exact AUC, log loss and GAUC of a model's predictions.

    The data are predicted batch by batch; only labels, probabilities and groups are kept, so
    a `tf.data` set may be larger than memory.

    Args:
        model: any `keras.Model` whose output is a probability, a dict that has one under
            "probability", or a dict by task name.
        x: dict of arrays, DataFrame, or array; or a finite `tf.data.Dataset` of batches
            (x, y) or (x, y, sample_weight). Columns that the model doesn't read are allowed.
        y: labels 0 or 1, (N,) or (N, 1); for several tasks a dict (or DataFrame) by task
            name: the tasks to score, each over the rows whose label is not NaN. Left out when `x`
            is a data set.
        group: name of a column of `x`, or an array (N,) or (N, 1) of any hashable values; with
            it GAUC is measured, weighted by impressions.
        batch_size: rows a step; a data set brings its own batches.
        sample_weight: weight a row, or a dict of these by the task names of `y`; the rows of a
            task that it leaves out weigh alike.
        verbose: 1 shows a progress bar.

    Returns:
        `{"auc", "log_loss"}` and with `group` also `"gauc"`; for several tasks each key
        begins with the task: `"ctr_auc"`.

    Raises:
        ValueError: `y` missing; labels, weights or groups of another length; output not
            understood, a task without output, weights of a task that `y` doesn't have, no rows;
            and what the metrics raise, such as a missing class.

    Example:
        >>> inputs = keras.Input((1,), name="price")
        >>> model = keras.Model({"price": inputs}, keras.layers.Activation("sigmoid")(inputs))
        >>> evaluate_ctr(model, {"price": np.array([-2.0, 1.0, 3.0])}, [0, 0, 1])["auc"]
        1.0
    """
    if isinstance(group, str):
        group_column, group = group, None
    else:
        group_column = None
        if getattr(group, "ndim", 1) == 2:  # not a list of tuples
            group = _column(group)
    if _is_dataset(x):
        if y is not None or sample_weight is not None or group is not None:
            raise ValueError(
                f"{_OWNER}: a data set brings labels and weights with its batches, so y and "
                "sample_weight stay out and group is the name of a column of x."
            )
        batches = _dataset_batches(x)
    else:
        batches = _array_batches(x, y, sample_weight, group, int(batch_size))

    rows = _predict(model, batches, group_column, verbose)
    if group_column is not None:
        group = np.concatenate(rows.pop("group"))
    return _scores(rows, group)


def _predict(model, batches, group_column, verbose):
    """Columns of labels, probabilities and weights by task, each a list of batches."""
    # Keras's bar ends when it is told to: a filtered data set doesn't know its length.
    progress, done = keras.utils.Progbar(None, unit_name="batch") if verbose else None, 0
    read = _input_names(model)
    rows: dict[str, Any] = {"tasks": {}, "group": []}
    for x, y, weight in batches:
        outputs = _by_task(model, _outputs(model, _only(x, read)), y)
        _check_weights(weight, y)
        for task, (label, probability) in outputs.items():
            lists = rows["tasks"].setdefault(task, ([], [], []))
            lists[0].append(_column(label))
            lists[1].append(_column(probability))
            lists[2].append(_task_weight(weight, task, len(lists[0][-1])))
        if group_column is not None:
            rows["group"].append(_group_values(x, group_column))
        if progress is not None:
            done += 1
            progress.update(done)
    if progress is not None:
        progress.update(done, finalize=True)
    if not rows["tasks"]:
        raise ValueError(f"{_OWNER}: the data have no rows.")
    return rows


def _outputs(model, x):
    strategy = getattr(model, "distribute_strategy", None)
    if strategy is None or strategy.num_replicas_in_sync == 1:
        return model.predict_on_batch(x)
    # Keras's predict_on_batch gives each replica the whole batch, and so each row several times.
    x = keras.tree.map_structure(np.asarray, x)
    return model.predict(x, batch_size=len(keras.tree.flatten(x)[0]), verbose=0)


def _scores(rows, group):
    scores = {}
    for task, (labels, probabilities, weights) in rows["tasks"].items():
        labels, probabilities = np.concatenate(labels), np.concatenate(probabilities)
        weights = np.concatenate(weights)
        prefix = f"{task}_" if task else ""
        groups = group
        if task and (missing := pd.isna(labels)).any():
            labels, probabilities, weights = (a[~missing] for a in (labels, probabilities, weights))
            groups = None if group is None else pd.Series(group).to_numpy()[~missing]
        try:
            scores[f"{prefix}auc"] = exact_auc(labels, probabilities, weights)
            scores[f"{prefix}log_loss"] = log_loss(labels, probabilities, sample_weight=weights)
            if groups is not None:
                value = gauc(labels, probabilities, groups, sample_weight=weights).value
                scores[f"{prefix}gauc"] = value
        except ValueError as error:
            if not task:
                raise
            raise ValueError(
                f"{_OWNER}, task {task!r}: {error} A task that isn't binary can be left out of y."
            ) from error
    return scores


def _by_task(model, outputs, y):
    """{task: (label, probability)}; the single task is called ""."""
    if isinstance(outputs, list | tuple):
        names = getattr(model, "output_names", [])
        outputs = dict(zip(names, outputs, strict=True)) if len(outputs) > 1 else outputs[0]
    if isinstance(y, pd.DataFrame):
        y = {name: y[name].to_numpy() for name in y.columns}
    if not isinstance(outputs, Mapping):
        if isinstance(y, Mapping):
            if len(y) != 1:
                raise ValueError(
                    f"{_OWNER}: y has the tasks {sorted(y)}, but the model has one output."
                )
            y = next(iter(y.values()))
        return {"": (y, outputs)}
    if isinstance(y, Mapping):
        missing = sorted(set(y) - set(outputs))
        if missing:
            raise ValueError(
                f"{_OWNER}: y names {missing[0]!r}, but the model's outputs are "
                f"{sorted(outputs)}."
            )
        return {task: (label, outputs[task]) for task, label in y.items()}
    if "probability" in outputs:
        return {"": (y, outputs["probability"])}
    if len(outputs) == 1:
        return {"": (y, next(iter(outputs.values())))}
    raise ValueError(
        f"{_OWNER}: the model has the outputs {sorted(outputs)}, so y must be a dict of labels "
        f"by task name, got {type(y).__name__}."
    )


def _dataset_batches(dataset) -> Iterator[tuple]:
    if dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ValueError(f"{_OWNER}: the data set never ends. Give one pass, by take(n).")
    for batch in dataset:
        x, y, weight = keras.utils.unpack_x_y_sample_weight(batch)
        if y is None:
            raise ValueError(f"{_OWNER}: the data set gives no labels; batches must be (x, y).")
        yield x, y, weight


def _array_batches(x, y, sample_weight, group, batch_size) -> Iterator[tuple]:
    if y is None:
        raise ValueError(f"{_OWNER}: y is missing; only a tf.data set brings its own labels.")
    if batch_size < 1:
        raise ValueError(f"{_OWNER}: batch_size must be at least 1, got {batch_size}.")
    x, y, sample_weight = as_arrays(x), as_arrays(y), as_arrays(sample_weight)
    count = len(next(iter(y.values())) if isinstance(y, Mapping) else y)
    _check_rows({"x": x, "y": y, "sample_weight": sample_weight, "group": group}, count)
    for start in range(0, count, batch_size):
        part = slice(start, start + batch_size)
        yield _slice(x, part), _slice(y, part), _slice(sample_weight, part)


def _check_rows(arguments, count):
    """Each array of the arguments has a row a label."""
    for argument, values in arguments.items():
        columns = values if isinstance(values, Mapping) else {"": values}
        for name, column in columns.items():
            if column is not None and len(column) != count:
                what = f"{name!r} of {argument}" if name else argument
                raise ValueError(
                    f"{_OWNER}: {what} has {len(column)} rows, but the labels have {count}."
                )


def as_arrays(values):
    """Arrays of a dict or DataFrame by name, or one array; lists of one length become rows."""
    if values is None:
        return None
    if isinstance(values, pd.DataFrame):
        values = {name: values[name] for name in values.columns}
    if isinstance(values, Mapping):
        return {name: _as_array(name, column) for name, column in values.items()}
    return _as_array("array", values)


def _as_array(name, values):
    array = np.asarray(values)
    if array.dtype == object and len(array) and isinstance(array[0], list | tuple | np.ndarray):
        lengths = {len(row) for row in array}
        if len(lengths) > 1:
            raise ValueError(
                f"{_OWNER}: the lists of column {name!r} have {min(lengths)} to "
                f"{max(lengths)} elements. Pad them to one length with 0 at the end."
            )
        array = np.stack([np.asarray(row) for row in array])
    return array.astype(object) if array.dtype.kind in "US" else array


def _slice(values, part):
    if isinstance(values, Mapping):
        return {name: column[part] for name, column in values.items()}
    return None if values is None else values[part]


def _check_weights(weight, y):
    """Weights by name are those of tasks that `y` has."""
    if not isinstance(weight, Mapping):
        return
    if not isinstance(y, Mapping):
        raise ValueError(
            f"{_OWNER}: sample_weight is a dict by task name {sorted(weight)}, but y is not. Give "
            "an array of weights, or both by task name."
        )
    unknown = sorted(set(weight) - set(y))
    if unknown:
        raise ValueError(
            f"{_OWNER}: sample_weight names {unknown[0]!r}, but y has the tasks {sorted(y)}."
        )


def _task_weight(weight, task, count):
    if isinstance(weight, Mapping):
        # A task that the dict leaves out weighs its rows equally; a single one has no other name.
        weight = weight.get(task) if task else next(iter(weight.values()), None)
    return np.ones(count) if weight is None else _column(weight)


def _column(values):
    array = np.asarray(values)
    return array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array


def _group_values(x, name):
    if not isinstance(x, Mapping) or name not in x:
        have = sorted(x) if isinstance(x, Mapping) else type(x).__name__
        raise ValueError(
            f"{_OWNER}: group names the column {name!r}, but x has {have}. Give the groups as "
            "an array instead."
        )
    return _column(x[name])


def _input_names(model):
    inputs = getattr(model, "inputs", None)
    return None if not inputs else {tensor.name for tensor in inputs}


def _only(x, names):
    """The columns the model reads, so that labels and user ids may stand beside them."""
    if names is None or not isinstance(x, Mapping) or not names & set(x):
        return x
    return {name: x[name] for name in x if name in names}


def _is_dataset(x) -> bool:
    return hasattr(x, "element_spec") and hasattr(x, "__iter__")
