"""Pictures of what a model looks at: heat maps of weights, bars of importance."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from deeprec_tf.figure_style import COLORS, FAINT, INK, heat_map, plain, save, tidy

if TYPE_CHECKING:
    from deeprec_tf.evaluation.look_inside import Inside

_COLUMNS = 3
_MOST_BARS = 30
_LONGEST = 48


def draw_inside(inside: Inside, path: str | Path | None, rows: int) -> Any:
    """A panel for each array, and one for the importance."""
    if rows < 1:
        raise ValueError(f"Inside.plot: rows must be at least 1, got {rows}.")
    panels = [
        (name, word, array) for name, arrays in inside.layers.items()
        for word, array in arrays.items()
    ]
    importance = inside.importance
    count = len(panels) + (importance is not None)
    down = -(-count // _COLUMNS)
    across = -(-count // down)
    figure = _figure((5.2 * across, 4.2 * down))
    all_axes = np.atleast_1d(figure.subplots(down, across)).ravel()
    for axes, (name, word, array) in zip(all_axes, panels, strict=False):
        values, labels, note = _matrix(array, (name, word) in inside.per_row, rows)
        heat_map(axes, values)
        axes.set_title(plain(f"{name}: {word}"), loc="left", fontsize=11, weight="bold", color=INK)
        axes.set_title(note, loc="right", fontsize=8.5, color=FAINT)
        axes.set_ylabel(labels, color=FAINT, fontsize=9)
        for axis, length in ((axes.xaxis, values.shape[1]), (axes.yaxis, values.shape[0])):
            axis.set_ticks(range(0, length, -(-length // 20)))
        axes.tick_params(length=0, labelsize=8, colors=INK)
    if importance is not None:
        _bars(all_axes[len(panels)], importance, str(importance.columns[0]))
    for axes in all_axes[count:]:
        axes.set_visible(False)
    return _saved(figure, path)


def draw_importance(importance: pd.DataFrame, label: str, path: str | Path | None) -> Any:
    """One panel of bars."""
    figure = _figure((7.0, 1.3 + 0.32 * min(len(importance), _MOST_BARS)))
    _bars(figure.subplots(), importance, label)
    return _saved(figure, path)


def draw_usage(usage: pd.DataFrame, path: str | Path | None) -> Any:
    """A bar a gate, cut into its experts."""
    figure = _figure((7.0, 1.6 + 0.4 * len(usage)))
    axes = figure.subplots()
    left = np.zeros(len(usage))
    for place, expert in enumerate(usage.columns):
        widths = usage[expert].fillna(0).to_numpy("float64")
        color = COLORS[place % len(COLORS)]
        axes.barh(range(len(usage)), widths, left=left, color=color, height=0.62,
                  edgecolor="white", label=f"expert {expert}")  # fmt: skip
        left += widths
    tidy(axes)
    axes.grid(axis="y", visible=False)
    axes.set_yticks(range(len(usage)), [plain(str(name)) for name in usage.index])
    axes.invert_yaxis()
    axes.set_title("mean weight of each expert", loc="left", fontsize=11, weight="bold", color=INK)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=6, frameon=False, fontsize=8)
    return _saved(figure, path)


def _matrix(array: np.ndarray, per_row: bool, rows: int) -> tuple[np.ndarray, str, str]:
    """What is drawn of an array: the matrix, what its rows are, and a note."""
    if per_row and array.ndim > 2:
        means = "mean over rows" + (" and heads" if array.ndim > 3 else "")
        return array.mean(axis=tuple(range(array.ndim - 2))), "", means
    if per_row:
        return np.reshape(array, (len(array), -1))[:rows], "row", f"{min(len(array), rows)} rows"
    if array.ndim > 2:
        return array.mean(axis=tuple(range(array.ndim - 2))), "", "the same for all rows, mean"
    return np.atleast_2d(array), "", "the same for all rows"


def _bars(axes: Any, importance: pd.DataFrame, label: str) -> None:
    shown = importance.sort_values(label, kind="stable").tail(_MOST_BARS)
    spread = shown[f"{label}_std"].fillna(0.0)
    names = [plain(_short(str(name))) for name in shown.index]
    axes.barh(
        range(len(shown)), shown[label], xerr=spread, color=COLORS[0], height=0.62,
        error_kw={"ecolor": INK, "elinewidth": 1.2},
    )
    tidy(axes)
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", color="#e6e9ec", linewidth=0.8)
    axes.set_yticks(range(len(shown)), names)
    axes.axvline(0, color=FAINT, linewidth=0.8)
    title = label.replace("_", " ").replace("auc", "AUC").replace("gAUC", "GAUC")
    axes.set_title(title, loc="left", fontsize=11, weight="bold", color=INK)
    axes.set_title("where the column is shuffled", loc="right", fontsize=8.5, color=FAINT)


def _short(text: str) -> str:
    """The names of columns in step, the first and how many more."""
    first, *more = text.split(" + ")
    text = f"{first} (+{len(more)})" if len(text) > _LONGEST and more else text
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _figure(size: tuple[float, float]) -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            "plot: matplotlib is not installed. Run: pip install matplotlib"
        ) from error
    return Figure(figsize=size, layout="constrained")


def _saved(figure: Any, path: str | Path | None) -> Any:
    if path is not None:
        save(figure, Path(path))
    return figure
