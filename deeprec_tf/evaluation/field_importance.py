"""Which columns a model's predictions rest on: importance by permutation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from deeprec_tf.evaluation.ctr import as_arrays, evaluate_ctr
from deeprec_tf.evaluation.inside_figure import draw_importance
from deeprec_tf.features import FeatureColumn, VarLenDenseFeat, VarLenSparseFeat, input_specs
from deeprec_tf.graph import inputs_of, joint_output
from deeprec_tf.layers.core.prediction import PredictionLayer

_OWNER = "field_importance"


def field_importance(
    model: keras.Model,
    x,
    y,
    *,
    metric: str | None = None,
    repeats: int = 5,
    seed: int = 0,
    group=None,
    batch_size: int = 4096,
) -> pd.DataFrame:
    """How much worse a trained model gets where the rows of a column are shuffled.

    A column's values are permuted among the rows, `repeats` times, and the model is scored anew;
    what is lost is what the predictions rest on that column for. Sequences that run in step (they
    share a length input, or the same steps are real in every row) are permuted together, with their
    lengths, weights and times: a history is one thing. Inputs that only training reads don't count.

    A loss near 0 says that the model does without the column, not that the column says nothing:
    another one may say the same. Measure on rows the model was not trained on.

    Args:
        model: as in `evaluate_ctr`, freshly trained or reloaded.
        x: dict of arrays by input name, or a DataFrame.
        y: labels 0 or 1, (N,) or (N, 1), or a dict by task name.
        metric: the score that the rows are sorted by: "auc", "log_loss" or, with `group`, "gauc";
            for several tasks with the task before it, as in `evaluate_ctr`. The first task's AUC
            when None.
        repeats: permutations a column.
        seed: seed of the permutations.
        group: as in `evaluate_ctr`: with it GAUC is measured too.
        batch_size: rows a step.

    Returns:
        A DataFrame, the most important column first. Its index names the inputs that were permuted
        together, joined by " + "; its columns are `auc_drop`, `auc_drop_std`, `log_loss_rise`,
        `log_loss_rise_std` (and `gauc_drop`, ...): mean and standard deviation over the repeats,
        the latter NaN for a single one.

    Raises:
        TypeError: `x` is no dict or DataFrame.
        ValueError: an unknown metric, `repeats` below 1, an input is missing; and what
            `evaluate_ctr` raises.

    Example:
        >>> price = keras.Input((1,), name="price")
        >>> model = keras.Model({"price": price}, keras.layers.Activation("sigmoid")(price))
        >>> x = {"price": np.linspace(-1.0, 1.0, 50)}
        >>> field_importance(model, x, x["price"] > 0).index.tolist()
        ['price']
    """
    if not hasattr(x, "keys"):
        raise TypeError(
            f"{_OWNER}: x must be a dict of arrays or a DataFrame, got {type(x).__name__}."
        )
    if repeats < 1:
        raise ValueError(f"{_OWNER}: repeats must be at least 1, got {repeats}.")
    x = as_arrays(x)
    names = _inputs_read(model)
    missing = [name for name in names if name not in x]
    if missing:
        raise ValueError(
            f"{_OWNER}: the input {missing[0]!r} is missing in x, which has {list(x)}."
        )
    group = x[group] if isinstance(group, str) and group in x else group

    def scores(batch):
        return evaluate_ctr(model, batch, y, group=group, batch_size=batch_size)

    before = scores(x)
    metric = next(iter(before)) if metric is None else metric
    if metric not in before:
        raise ValueError(f"{_OWNER}: metric must be one of {list(before)}, got {metric!r}.")
    rows = {}
    for place, together in enumerate(_in_step(getattr(model, "feature_columns", []), names, x)):
        lost: dict[str, list[float]] = {_label(name): [] for name in before}
        for repeat in range(repeats):
            order = np.random.default_rng((seed, place, repeat)).permutation(len(x[names[0]]))
            after = scores({**x, **{name: x[name][order] for name in together}})
            for name, values in lost.items():
                lost_now = before[_score(name)] - after[_score(name)]
                values.append(lost_now if name.endswith("_drop") else -lost_now)
        rows[" + ".join(together)] = {
            key: value
            for name, values in lost.items()
            for key, value in (
                (name, np.mean(values)),
                (f"{name}_std", np.std(values, ddof=1) if repeats > 1 else np.nan),
            )
        }
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("inputs")
    return table.sort_values(_label(metric), ascending=False, kind="stable")


def plot_importance(
    importance: pd.DataFrame, path: str | Path | None = None, *, metric: str | None = None
) -> Any:
    """Draws what `field_importance` gave: a bar a column, a line for the standard deviation.

    Args:
        importance: the DataFrame.
        path: where to save the picture (its ending is the format); not saved when None.
        metric: the score to draw; the first when None.

    Returns:
        A `matplotlib.figure.Figure`; a notebook shows it.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: the DataFrame has no such metric.
    """
    metric = _score(str(importance.columns[0])) if metric is None else metric
    if _label(metric) not in importance:
        known = [_score(name) for name in map(str, importance) if not name.endswith("_std")]
        raise ValueError(f"plot_importance: metric must be one of {known}, got {metric!r}.")
    return draw_importance(importance, _label(metric), path)


def _label(score: str) -> str:
    """The column of a score: what gets worse by falling drops, the log loss rises."""
    return f"{score}_rise" if score.endswith("log_loss") else f"{score}_drop"


def _score(label: str) -> str:
    return label.removesuffix("_rise").removesuffix("_drop")


def _inputs_read(model: keras.Model) -> list[str]:
    """Names of the inputs that the predictions depend on, in the order of the columns."""
    outputs = [
        joint_output(model, layer.name)
        for layer in model.layers if isinstance(layer, PredictionLayer)
    ]
    read = {tensor.name for tensor in inputs_of(outputs or model.outputs)}
    names = input_specs(getattr(model, "feature_columns", []))
    return [name for name in names or [t.name for t in model.inputs] if name in read]


def _in_step(
    feature_columns: list[FeatureColumn], names: list[str], x: dict[str, np.ndarray]
) -> list[tuple[str, ...]]:
    """The inputs, those together that must be permuted together, in the order of the inputs."""
    key_of: dict[str, Any] = {}
    columns = [
        column for column in feature_columns
        if isinstance(column, VarLenSparseFeat | VarLenDenseFeat) and column.name in names
    ]
    for column in columns:
        if isinstance(column, VarLenSparseFeat) or column.length_name in names:
            key_of[column.name] = _steps(x, column, names)
    # Times and ratings without a length follow the sequence whose padding they share.
    for column in columns:
        if column.name not in key_of:
            steps = _steps(x, column, names)
            fitting = (key for key in list(key_of.values()) if _within(steps, key))
            key_of[column.name] = next(fitting, column.name)
    for column in columns:
        for beside in (column.length_name, getattr(column, "weight_name", None)):
            if beside in names:
                key_of[beside] = key_of[column.name]
    groups: dict[Any, list[str]] = {}
    for name in names:
        groups.setdefault(key_of.get(name, name), []).append(name)
    return [tuple(together) for together in groups.values()]


def _steps(x: dict[str, np.ndarray], column: Any, names: list[str]) -> tuple[int, bytes]:
    """Number of steps of a sequence, and how many of each row lie before its padding."""
    values = x[column.name]
    if column.length_name in names:
        ends = np.reshape(x[column.length_name], -1)
    else:
        filled = values != ("" if values.dtype.kind in "OUS" else 0)
        filled = filled.reshape(*values.shape[:2], -1).any(axis=2)
        ends = np.where(filled.any(axis=1), filled.shape[1] - filled[:, ::-1].argmax(axis=1), 0)
    return values.shape[1], ends.astype("int64").tobytes()


def _within(inner: tuple[int, bytes], outer: tuple[int, bytes]) -> bool:
    ends, most = (np.frombuffer(steps[1], "int64") for steps in (inner, outer))
    return inner[0] == outer[0] and bool((ends <= most).all())
