"""The pictures that all of the demo's tasks draw: training curves and the models' graphs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deeprec_tf.cli.demo.training import TrainedModel
from deeprec_tf.cli.model_figure import draw_model
from deeprec_tf.figure_style import COLORS, FAINT, INK, plain, save, tidy


def draw_curves(
    trained: Sequence[TrainedModel], curves: Sequence[tuple[str, str, str]], path: Path
) -> Path:
    """A panel a metric; a ring marks the epoch whose weights were kept.

    Args:
        trained: the models; a metric that one lacks is left out for it.
        curves: name of a metric, its title and a note, for each panel.
        path: the PNG file.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(11.5, 3.4), layout="constrained")
    panels = figure.subplots(1, len(curves))
    for axes, (key, title, note) in zip(panels, curves, strict=True):
        for place, one in enumerate(trained):
            values, color = one.history.get(key), COLORS[place % len(COLORS)]
            if values is None:
                continue
            epochs = range(1, len(values) + 1)
            axes.plot(epochs, values, color=color, marker="o", markersize=5, label=one.name)
            axes.plot(
                one.best_epoch, values[one.best_epoch - 1], marker="o", markersize=12,
                markerfacecolor="none", markeredgecolor=color, markeredgewidth=1.6,
            )
        tidy(axes)
        axes.set_title(title, loc="left", fontsize=11, weight="bold", color=INK)
        axes.set_title(note, loc="right", fontsize=8.5, color=FAINT)
        axes.set_xlabel("epoch", color=INK, fontsize=9)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.margins(x=0.12, y=0.2)
    known: dict[str, Any] = {}  # a model may be missing in a panel
    for axes in panels:
        known |= {line.get_label(): line for line in axes.get_legend_handles_labels()[0]}
    panels[-1].legend(
        handles=list(known.values()), frameon=False, fontsize=9, labelcolor=INK, loc="best"
    )
    return save(figure, path)


def draw_bars(
    scores: Mapping[str, Mapping[str, float]], metrics: Mapping[str, str], path: Path
) -> Path:
    """A panel a metric, in it a bar a model.

    Args:
        scores: metrics by model.
        metrics: by its title the name of each metric that is drawn.
        path: the PNG file.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.5, 1.2 + 0.3 * len(scores)), layout="constrained")
    panels = figure.subplots(1, len(metrics), sharey=True, squeeze=False)[0]
    for axes, (title, key) in zip(panels, metrics.items(), strict=True):
        known = [(place, one[key]) for place, one in enumerate(scores.values()) if key in one]
        bars = axes.barh(*zip(*known, strict=True), color=COLORS[0], height=0.62)
        axes.bar_label(bars, fmt="%.3f", padding=3, fontsize=8.5, color=INK)
        tidy(axes)
        axes.grid(axis="y", visible=False)
        axes.set_title(title, loc="left", fontsize=11, weight="bold", color=INK)
        axes.margins(x=0.16)
    panels[0].set_yticks(range(len(scores)), [plain(name) for name in scores])
    panels[0].invert_yaxis()
    return save(figure, path)


def draw_graphs(trained: Sequence[TrainedModel], folder: Path) -> list[tuple[str, Path]]:
    """The graph of each model, as `model_<name>.png`: names and pictures."""
    return [
        (one.name, draw_model(one.model, folder / f"model_{one.name.lower()}.png"))
        for one in trained
    ]
