"""What a trained ranking model looks at: attention weights, gates, and which columns count."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from deeprec_tf.engine import RecModel, part_of
from deeprec_tf.evaluation.field_importance import field_importance
from deeprec_tf.evaluation.inside_figure import draw_inside
from deeprec_tf.graph import Call, explainable_calls

_OWNER = "look_inside"


@dataclass(frozen=True)
class Inside:
    """What `look_inside` found.

    Attributes:
        layers: arrays by layer name and by word, such as `layers["interest"]["weights"]`; float32,
            rows in the order of `x`. Padding has weight 0.
        per_row: those (layer, word) whose arrays have a row for every row of `x`; the others are
            the same for all rows, such as the learned weights of pairs of fields.
        importance: what `field_importance` gives; None where no labels were given.
    """

    layers: dict[str, dict[str, np.ndarray]]
    per_row: frozenset[tuple[str, str]]
    importance: pd.DataFrame | None = None

    def plot(self, path: str | Path | None = None, *, rows: int = 20) -> Any:
        """Draws a panel for each array, and the importance of the columns.

        Arrays with a row for every row of `x` show the first rows; where a row has a matrix of its
        own (attention between fields or steps, heads), its mean over all rows and heads is shown.

        Args:
            path: where to save the picture (its ending is the format); not saved when None.
            rows: how many rows to show.

        Returns:
            A `matplotlib.figure.Figure`; a notebook shows it.

        Raises:
            ImportError: matplotlib is not installed.
            ValueError: `rows` below 1.
        """
        return draw_inside(self, path, rows)


def look_inside(
    model: keras.Model,
    x,
    y=None,
    *,
    batch_size: int = 1024,
    repeats: int = 5,
    seed: int = 0,
    group=None,
) -> Inside:
    """Attention weights, gates and, with labels, the importance of the columns, by one call.

    The graph is cut at what its weighing layers are given (those that have a method `explain`),
    and their weights are computed batch by batch as in inference. Inputs that only training reads
    may be left out of `x`, and columns that the model doesn't read may stand in it.

    Args:
        model: any functional model, freshly trained or reloaded.
        x: dict of arrays by input name, or a DataFrame.
        y: labels 0 or 1; with them `field_importance` is measured too.
        batch_size: rows a step.
        repeats: permutations a column, see `field_importance`.
        seed: seed of the permutations.
        group: as in `evaluate_ctr`; adds GAUC to the importance.

    Returns:
        An `Inside`, which has the arrays and draws them.

    Raises:
        TypeError: `x` is no dict or DataFrame.
        ValueError: the model has nothing to look into and no labels were given, an input is
            missing, `x` has no row; and what `field_importance` raises.

    Example:
        >>> from deeprec_tf import SparseFeat, VarLenSparseFeat
        >>> from deeprec_tf.models import DIN
        >>> past = VarLenSparseFeat(SparseFeat("hist_item", 10, embedding_name="item"), maxlen=4)
        >>> model = DIN([SparseFeat("item", 10), past], ["item"], normalize=True)
        >>> x = {"item": np.array([3, 5]), "hist_item": np.array([[1, 2, 0], [4, 0, 0]])}
        >>> look_inside(model, x).layers["interest"]["weights"][1].tolist()
        [1.0, 0.0, 0.0]
    """
    if not hasattr(x, "keys"):
        raise TypeError(
            f"{_OWNER}: x must be a dict of arrays or a DataFrame, got {type(x).__name__}. Take "
            "some batches of a data set first."
        )
    if batch_size < 1:
        raise ValueError(f"{_OWNER}: batch_size must be at least 1, got {batch_size}.")
    calls = explainable_calls(model)
    if not calls and y is None:
        raise ValueError(
            f"{_OWNER}: {model.name} has no layer that weighs its inputs (none has `explain`). "
            "Give labels, y=..., for the importance of its columns."
        )
    layers, per_row = _weights(model, calls, x, int(batch_size)) if calls else ({}, frozenset())
    importance = None
    if y is not None:
        importance = field_importance(
            model, x, y, repeats=repeats, seed=seed, group=group, batch_size=batch_size
        )
    return Inside(layers, per_row, importance)


def _weights(model: keras.Model, calls: list[Call], x: Any, batch_size: int) -> tuple:
    """Arrays by layer and word, and which of them have a row for every row of `x`."""
    given = {
        str(id(leaf)): leaf
        for call in calls
        for leaf in keras.tree.flatten((call.arguments, call.keywords))
        if isinstance(leaf, keras.KerasTensor)
    }
    cut = part_of(model, given, f"{model.name}_inside")
    x = _arrays(cut, x)
    if not len(next(iter(x.values()))):
        raise ValueError(f"{_OWNER}: x has no row.")
    forward = tf.function(lambda batch: cut(batch, training=False), autograph=False)
    batches: list[dict] = []
    per_row: frozenset[tuple[str, str]] = frozenset()
    for start in range(0, len(next(iter(x.values()))), batch_size):
        batch = {name: tf.constant(array[start : start + batch_size]) for name, array in x.items()}
        values = {name: _single(value) for name, value in forward(batch).items()}
        if not batches:
            per_row = _per_row(calls, given, values)
        batches.append(_explained(calls, values))
    layers: dict[str, dict[str, np.ndarray]] = {call.name: {} for call in calls}
    for key in batches[0]:
        parts = [arrays[key] for arrays in batches]
        layers[key[0]][key[1]] = np.concatenate(parts) if key in per_row else parts[0]
    return layers, per_row


def _arrays(cut: keras.Model, x: Any) -> dict[str, np.ndarray]:
    """The inputs of a cut as clean arrays."""
    names = [tensor.name for tensor in cut.inputs]
    for name in names:
        if name not in x:
            raise ValueError(f"{_OWNER}: the input {name!r} is missing in x, which has {list(x)}.")
    x = {name: x[name] for name in names}
    if isinstance(cut, RecModel):
        return cut._check_arrays(_OWNER, x)
    return {name: np.asarray(values) for name, values in x.items()}


def _single(value: Any) -> Any:
    """Floats as float32, so that `explain` computes in it under any policy."""
    return tf.cast(value, tf.float32) if value.dtype.is_floating else value


def _explained(calls: list[Call], values: dict[str, Any]) -> dict[tuple[str, str], np.ndarray]:
    def fill(leaf):
        return values[str(id(leaf))] if isinstance(leaf, keras.KerasTensor) else leaf

    found = {}
    for call in calls:
        arguments, keywords = keras.tree.map_structure(fill, (call.arguments, call.keywords))
        for word, array in call.layer.explain(*arguments, **keywords).items():
            array = keras.ops.cast(array, "float32")
            found[call.name, word] = keras.ops.convert_to_numpy(array)
    return found


def _per_row(calls: list[Call], given: dict, values: dict) -> frozenset[tuple[str, str]]:
    """Those arrays that have one row more where the batch has one row more."""
    one, two = (
        _explained(calls, {
            name: tf.repeat(value[:1], rows, axis=0) if given[name].shape[0] is None else value
            for name, value in values.items()
        })
        for rows in (1, 2)
    )  # fmt: skip
    return frozenset(key for key in one if one[key].shape != two[key].shape)
