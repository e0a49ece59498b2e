"""What the demo's pictures share: colors, fonts, saving."""

from __future__ import annotations

from pathlib import Path
from typing import Any

INK = "#22303c"
FAINT = "#8a949d"
COLORS = ("#2f6fb2", "#d9772b", "#3b9a57", "#8a5fb0", "#b3413f", "#6b7780")
DPI = 130


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
