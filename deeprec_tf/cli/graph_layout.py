"""Where the boxes of a graph stand: layers from top to bottom, few crossings, straight arrows.

The steps are those of Sugiyama's method: long arrows get a place in every layer they pass, the
layers are ordered by the mean place of their neighbors, and places are pulled together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from deeprec_tf.cli.graph_boxes import Box

_ORDER_SWEEPS = 24
_PULL_SWEEPS = 400
_NEAR = 0.05  # inches


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
    for sweep in range(_ORDER_SWEEPS):
        down = sweep % 2 == 0
        for layer in layers if down else reversed(layers):
            _order(layer, down)
            _spread(layer, gap)
    for sweep in range(_PULL_SWEEPS):
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
    """Moves each place towards its neighbors above and below, as near as the order allows.

    With the places' least distances taken off, "in order" means "not falling": the nearest such
    numbers are found by joining places that collide and giving them their common mean.
    """
    offsets = [0.0]
    for left, right in zip(layer, layer[1:], strict=False):
        offsets.append(offsets[-1] + 0.5 * (left.width + right.width) + gap)
    joined: list[list[float]] = []  # mean, weight, number of places
    for place, offset in zip(layer, offsets, strict=True):
        wanted, weight = _middle_of_neighbors(place)
        joined.append([wanted - offset, weight, 1])
        while len(joined) > 1 and joined[-2][0] > joined[-1][0]:
            mean, weight, count = joined.pop()
            other = joined[-1]
            other[0] = (other[0] * other[1] + mean * weight) / (other[1] + weight)
            other[1] += weight
            other[2] += count
    means = [mean for mean, _, count in joined for _ in range(int(count))]
    for place, offset, mean in zip(layer, offsets, means, strict=True):
        place.x = mean + offset


def _middle_of_neighbors(place: Place) -> tuple[float, float]:
    """Their mean and its weight; near ones weigh more, so arrows bend sharply, not slope."""
    others = place.above + place.below
    weights = [_pull_of(place, other) / (_NEAR + abs(place.x - other.x)) for other in others]
    if not others:
        return place.x, 1.0
    total = sum(weights)
    return sum(w * other.x for w, other in zip(weights, others, strict=True)) / total, total


def _pull_of(place: Place, other: Place) -> int:
    """The points of a long arrow pull at each other most, so that it runs straight."""
    return (1, 3, 8)[(place.box is None) + (other.box is None)]
