"""Draws a model's graph with matplotlib: boxes from inputs to output, arrows between them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras

from deeprec_tf.cli.graph_boxes import Box, boxes_of
from deeprec_tf.cli.graph_layout import Place, lay_out
from deeprec_tf.figure_style import INK, plain, save

_FILL = {
    "lookup": "#dbe9f6",
    "mask": "#eeeeee",
    "attention": "#fde3c8",
    "recurrent": "#d5efd8",
    "interaction": "#e8ddf3",
    "tower": "#fbf2c4",
    "output": "#f8d4d4",
    "plain": "#ffffff",
}
_WORDS = {
    "lookup": "embeddings",
    "attention": "attention",
    "recurrent": "recurrence",
    "interaction": "interaction",
    "tower": "dense layers",
    "output": "output and loss",
    "mask": "mask",
}
_LETTER = 0.082  # inches a letter of the box's text takes
_LINE = 0.165  # inches a line takes
_GAP = 0.3
_LAYER_GAP = 0.42


def draw_model(model: keras.Model, path: Path) -> Path:
    """Writes the figure as PNG."""
    from matplotlib.figure import Figure

    boxes = boxes_of(model)
    layout = lay_out(boxes, [_width(box) for box in boxes], _GAP)
    heights = [
        max([_height(place.box) for place in layer if place.box is not None], default=0.4)
        for layer in layout.layers
    ]
    left = min(place.x - place.width / 2 for layer in layout.layers for place in layer) - 0.2
    right = max(place.x + place.width / 2 for layer in layout.layers for place in layer) + 0.2
    tops = [sum(heights[:k]) + _LAYER_GAP * k for k in range(len(heights))]
    bottom = tops[-1] + heights[-1]
    centers = [top + height / 2 for top, height in zip(tops, heights, strict=True)]

    figure = Figure(figsize=(right - left, bottom + 0.75))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(left, right), ylim=(bottom + 0.15, -0.6))
    axes.axis("off")
    for way in layout.arrows:
        _draw_arrow(axes, way, tops, heights, centers)
    for layer in layout.layers:
        for place in layer:
            if place.box is not None:
                _draw_box(axes, place, centers[place.layer])
    _draw_legend(axes, boxes)
    return save(figure, path)


def _width(box: Box) -> float:
    return 0.3 + _LETTER * max(len(line) for line in box.lines)


def _height(box: Box) -> float:
    return 0.16 + _LINE * len(box.lines)


def _draw_box(axes: Any, place: Place, center: float) -> None:
    from matplotlib.patches import FancyBboxPatch

    box = place.box
    if box is None:
        return
    width, height = place.width, _height(box)
    axes.add_patch(
        FancyBboxPatch(
            (place.x - width / 2, center - height / 2), width, height,
            boxstyle="round,pad=0,rounding_size=0.07", facecolor=_FILL[box.kind],
            edgecolor="#5b6770", linewidth=0.9, zorder=3,
        )
    )
    for k, line in enumerate(box.lines):
        y = center - height / 2 + 0.08 + _LINE * (k + 0.5)
        weight, size = ("bold", 9.0) if k == 0 else ("normal", 8.0)
        style = "italic" if k > 1 else "normal"
        axes.text(
            place.x, y, plain(line), ha="center", va="center", fontsize=size, weight=weight,
            style=style, color=INK, zorder=4,
        )


def _draw_arrow(
    axes: Any, way: list[Place], tops: list[float], heights: list[float], centers: list[float]
) -> None:
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path as Curve

    start, end = way[0], way[-1]
    mask = start.box is not None and start.box.kind == "mask"
    x0, y0 = _port(start, way[1].x), centers[start.layer] + _half(start)
    points, codes = [(x0, y0)], [Curve.MOVETO]
    for place in way[1:]:
        last = place is end
        x = _port(place, points[-1][0]) if last else place.x
        y = centers[place.layer] - _half(place) if last else tops[place.layer]
        middle = 0.5 * (points[-1][1] + y)
        points += [(points[-1][0], middle), (x, middle), (x, y)]
        codes += [Curve.CURVE4] * 3
        if not last:  # straight past the boxes of the layer
            points.append((x, tops[place.layer] + heights[place.layer]))
            codes.append(Curve.LINETO)
    axes.add_patch(
        FancyArrowPatch(
            path=Curve(points, codes), arrowstyle="-|>", mutation_scale=9,
            linewidth=0.8 if mask else 1.1, linestyle=(0, (3, 3)) if mask else "solid",
            color="#b4bac0" if mask else "#6b7780", zorder=1 if mask else 2,
        )
    )


def _half(place: Place) -> float:
    return 0.0 if place.box is None else _height(place.box) / 2


def _port(place: Place, towards: float) -> float:
    """Where an arrow meets a box: drawn a little to the side it comes from."""
    reach = 0.35 * place.width
    return place.x + max(-reach, min(reach, 0.35 * (towards - place.x)))


def _draw_legend(axes: Any, boxes: list[Box]) -> None:
    from matplotlib.patches import Patch

    kinds = [kind for kind in _WORDS if any(box.kind == kind for box in boxes)]
    handles = [
        Patch(facecolor=_FILL[kind], edgecolor="#5b6770", label=_WORDS[kind]) for kind in kinds
    ]
    axes.legend(
        handles=handles, loc="upper center", ncols=len(handles), fontsize=8, frameon=False,
        handlelength=1.2, labelcolor=INK,
    )
