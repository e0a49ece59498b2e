"""The ranking task's chart: attention over one user's history."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from deeprec_tf.cli.demo.ranking.recommend import Attention
from deeprec_tf.figure_style import FAINT, INK, heat_map, plain, save

_LONGEST_TITLE = 42


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
