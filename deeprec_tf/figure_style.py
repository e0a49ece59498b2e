"""What the pictures of demo and evaluation share: colors, fonts, heat maps, saving."""

from __future__ import annotations

from pathlib import Path
from typing import Any

INK = "#22303c"
FAINT = "#8a949d"
COLORS = ("#2f6fb2", "#d9772b", "#3b9a57", "#8a5fb0", "#b3413f", "#6b7780")
DPI = 130
_MOST_GRID_LINES = 60  # more would hide the cells


def plain(text: str) -> str:
    """Text that matplotlib draws as it is: "$" starts no formula."""
    return text.replace("$", r"\$")


def tidy(axes: Any) -> None:
    """Takes away what a chart can do without."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(FAINT)
    axes.tick_params(colors=INK, labelsize=9)
    axes.grid(axis="y", color="#e6e9ec", linewidth=0.8)
    axes.set_axisbelow(True)


def save(figure: Any, path: Path) -> Path:
    """Writes a figure as PNG."""
    figure.savefig(path, dpi=DPI, facecolor="white", bbox_inches="tight", pad_inches=0.15)
    return path


def heat_map(axes: Any, values: Any) -> None:
    """Numbers from white to blue where none is negative; else around 0, red to blue."""
    reach = max(abs(float(values.min())), abs(float(values.max()))) or 1.0
    signed = float(values.min()) < 0
    image = axes.imshow(
        values, cmap="RdBu" if signed else "Blues", vmin=-reach if signed else 0, vmax=reach,
        aspect="auto", interpolation="nearest",
    )
    for axis, count in ((axes.xaxis, values.shape[1]), (axes.yaxis, values.shape[0])):
        axis.set_ticks([k - 0.5 for k in range(count + 1)], minor=True)
    if max(values.shape) <= _MOST_GRID_LINES:
        axes.grid(which="minor", color="white", linewidth=1.2)
    axes.tick_params(which="minor", length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    bar = axes.figure.colorbar(image, ax=axes, location="bottom", shrink=0.75, aspect=28, pad=0.015)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8, colors=INK)
