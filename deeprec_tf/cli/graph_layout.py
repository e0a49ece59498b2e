"""Where the boxes of a graph stand: layers from top to bottom, few crossings, straight arrows.

The steps are those of Sugiyama's method: long arrows get a place in every layer they pass, the
layers are ordered by the mean place of their neighbors, and places are pulled together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from deeprec_tf.cli.graph_boxes import Box

_SWEEPS = 24


@dataclass(eq=False)
class Place:
    """A box, or a point that an arrow passes; x in inches, y its layer from the top.

    Attributes:
        box: None for a point.
        layer: number of the layer.
        width: room it takes.
        x: center.
        above: places that arrows come from.
        below: places that arrows go to.
    """

    box: Box | None
    layer: int
    width: float
    x: float = 0.0
    above: list[Place] = field(default_factory=list)
    below: list[Place] = field(default_factory=list)


@dataclass(frozen=True)
class Layout:
    """Places by layer, and each arrow as the places it passes, from box to box."""

    layers: list[list[Place]]
    arrows: list[list[Place]]


def lay_out(boxes: Sequence[Box], widths: Sequence[float], gap: float) -> Layout:
    """Places boxes and arrows.

    Args:
        boxes: as `boxes_of` gives them.
        widths: width of each box.
        gap: least room between neighbors of a layer.
    """
    layers: list[list[Place]] = [[] for _ in range(1 + max(box.depth for box in boxes))]
    places: dict[int, Place] = {}
    arrows = []
    for box, width in zip(boxes, widths, strict=True):
        places[id(box)] = Place(box, box.depth, width)
        layers[box.depth].append(places[id(box)])
    for box in boxes:
        for parent in box.parents:
            arrows.append(_arrow(places[id(parent)], places[id(box)], layers, gap))
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        for layer in layers if down else reversed(layers):
            _order(layer, down)
            _spread(layer, gap)
    for sweep in range(2 * _SWEEPS):
        for layer in layers if sweep % 2 else reversed(layers):
            _pull(layer, gap)
    return Layout(layers, arrows)


def _arrow(start: Place, end: Place, layers: list[list[Place]], gap: float) -> list[Place]:
    way = [start]
    for layer in range(start.layer + 1, end.layer):
        way.append(Place(None, layer, gap))
        layers[layer].append(way[-1])
    way.append(end)
    for upper, lower in zip(way, way[1:], strict=False):
        upper.below.append(lower)
        lower.above.append(upper)
    return way


def _order(layer: list[Place], down: bool) -> None:
    def wanted(place: Place) -> float:
        others = place.above if down else place.below
        return sum(other.x for other in others) / len(others) if others else place.x

    layer.sort(key=wanted)


def _spread(layer: list[Place], gap: float) -> None:
    """Side by side around 0, in their order."""
    x = -0.5 * (sum(place.width for place in layer) + gap * (len(layer) - 1))
    for place in layer:
        place.x = x + 0.5 * place.width
        x += place.width + gap


def _pull(layer: list[Place], gap: float) -> None:
    """Each place towards its neighbors above and below, as far as the order leaves room."""
    wanted = []
    for place in layer:
        others = place.above + place.below
        wanted.append(sum(other.x for other in others) / len(others) if others else place.x)
    from_left, from_right = list(wanted), list(wanted)
    for k in range(1, len(layer)):
        room = 0.5 * (layer[k - 1].width + layer[k].width) + gap
        from_left[k] = max(from_left[k], from_left[k - 1] + room)
    for k in range(len(layer) - 2, -1, -1):
        room = 0.5 * (layer[k + 1].width + layer[k].width) + gap
        from_right[k] = min(from_right[k], from_right[k + 1] - room)
    for place, left, right in zip(layer, from_left, from_right, strict=True):
        place.x = 0.5 * (left + right)
