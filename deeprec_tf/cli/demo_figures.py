"""The demo's charts: training curves, and attention over one user's history."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from deeprec_tf.cli.demo_models import TrainedModel
from deeprec_tf.cli.demo_recommend import Attention
from deeprec_tf.figure_style import COLORS, FAINT, INK, heat_map, plain, save, tidy

_LONGEST_TITLE = 42
_CURVES = (
    ("loss", "training loss", "auxiliary loss counted"),
    ("val_log_loss", "validation log loss", "lower is better"),
    ("val_auc", "validation AUC", "higher is better"),
)


def draw_curves(trained: Sequence[TrainedModel], path: Path) -> Path:
    """Loss and validation metrics by epoch; a ring marks the epoch whose weights were kept."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(11.5, 3.4), layout="constrained")
    for axes, (key, title, note) in zip(figure.subplots(1, len(_CURVES)), _CURVES, strict=True):
        for one, color in zip(trained, _colors(len(trained)), strict=True):
            values = one.history[key]
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
    axes.legend(frameon=False, fontsize=9, labelcolor=INK, loc="lower right")
    return save(figure, path)


def draw_attention(attention: Attention, path: Path) -> Path:
    """A row a watched title, a column a target, a block of columns a model."""
    from matplotlib.figure import Figure

    steps, targets = len(attention.history), len(attention.targets)
    blocks = len(attention.weights)
    figure = Figure(figsize=(3.9 + 3.4 * blocks, 2.6 + 0.235 * steps), layout="constrained")
    all_axes = np.atleast_1d(figure.subplots(1, blocks, sharey=True))
    for axes, (name, weights) in zip(all_axes, attention.weights.items(), strict=True):
        heat_map(axes, weights.T)
        axes.set_xlabel(name, fontsize=11, weight="bold", color=INK)
        axes.set_xticks(range(targets), [""] * targets)
        for k, (title, genre) in enumerate(
            zip(attention.targets, attention.target_genres, strict=True)
        ):
            axes.text(
                k, -0.75, plain(f"{_short(title, 36)}\n{genre}"), rotation=38, ha="left",
                va="bottom", fontsize=8, color=INK, linespacing=1.1,
            )
        axes.set_yticks(
            range(steps),
            [
                plain(f"{_short(title, _LONGEST_TITLE)}  ·  {genre}")
                for title, genre in zip(attention.history, attention.genres, strict=True)
            ],
            fontsize=8.5, color=INK,
        )
        axes.tick_params(length=0)
    all_axes[0].set_ylabel("watched, oldest first", color=FAINT, fontsize=9)
    return save(figure, path)


def _short(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"


def _colors(count: int) -> list[str]:
    return [COLORS[k % len(COLORS)] for k in range(count)]
