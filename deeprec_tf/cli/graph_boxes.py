"""A model's graph as boxes and arrows, boiled down to what one wants to see of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import keras

from deeprec_tf.layers.core.fused_embedding import FusedEmbedding
from deeprec_tf.layers.core.masking import PaddingMask
from deeprec_tf.layers.core.mlp import MLP
from deeprec_tf.layers.core.prediction import PredictionLayer
from deeprec_tf.layers.core.row_numbers import RowNumbers, RowPart
from deeprec_tf.layers.core.table_embedding import TableEmbedding

_KINDS = ("lookup", "mask", "attention", "recurrent", "interaction", "tower", "output", "plain")
_MOST_NAMES = 4  # of inputs in a box


@dataclass
class Box:
    """One step of the graph.

    Attributes:
        title: the layer's name.
        kind: one of lookup, mask, attention, recurrent, interaction, tower, output, plain; says
            the color.
        detail: class and output shape.
        reads: names of the inputs it reads.
        parents: boxes it reads.
        depth: longest way from the top.
    """

    title: str
    kind: str
    detail: str
    reads: list[str] = field(default_factory=list)
    parents: list[Box] = field(default_factory=list)
    depth: int = 0

    @property
    def lines(self) -> list[str]:
        """What is written in the box."""
        names = self.reads
        if len(names) > _MOST_NAMES:
            names = [*names[: _MOST_NAMES - 1], f"and {len(names) - _MOST_NAMES + 1} more"]
        return [self.title, self.detail, *names]


def boxes_of(model: keras.Model) -> list[Box]:
    """The boxes of a functional model, each after its parents.

    Inputs are written into the boxes that read them, and the look-ups that one concatenation
    gathers become one box: they are most of the graph and tell the least.
    """
    nodes = [node for depth in sorted(model._nodes_by_depth, reverse=True)
             for node in model._nodes_by_depth[depth]]
    users: dict[int, int] = {}
    for node in nodes:
        for parent in node.parent_nodes:
            users[id(parent)] = users.get(id(parent), 0) + 1
    gathered = {
        id(parent)
        for node in nodes
        if _gathers(node)
        for parent in node.parent_nodes
        if users[id(parent)] == 1
    }
    boxes: dict[int, Box] = {}
    for node in nodes:
        if node.is_input or id(node) in gathered:
            continue
        if _cuts_rows(node):
            boxes[id(node)] = boxes[id(node.parent_nodes[0])]
            continue
        box = _box(node)
        for parent in node.parent_nodes:
            if id(parent) in gathered:
                box.reads += [grand.operation.name for grand in parent.parent_nodes]
            elif isinstance(parent.operation, RowNumbers):
                box.reads += boxes[id(parent)].reads
                box.parents += boxes[id(parent)].parents
            elif parent.is_input:
                box.reads.append(parent.operation.name)
            elif boxes[id(parent)] not in box.parents:
                box.parents.append(boxes[id(parent)])
        box.depth = 1 + max((parent.depth for parent in box.parents), default=-1)
        boxes[id(node)] = box
    shown = {
        id(boxes[id(node)]): boxes[id(node)] for node in nodes
        if id(node) in boxes and not isinstance(node.operation, RowNumbers)
    }
    _lower(list(shown.values()))
    return list(shown.values())


def _cuts_rows(node: Any) -> bool:
    """Whether the node only gives the rows of a look-up another shape, or a part of them."""
    return (
        isinstance(node.operation, RowPart | keras.layers.Reshape)
        and isinstance(node.parent_nodes[0].operation, TableEmbedding | RowPart)
    )


def _gathers(node: Any) -> bool:
    return isinstance(node.operation, keras.layers.Concatenate) and all(
        isinstance(parent.operation, TableEmbedding) for parent in node.parent_nodes
    )


def _box(node: Any) -> Box:
    layer = node.operation
    shape = _shape(node.output_tensors[0].shape)
    if _gathers(node):
        return Box("embeddings", "lookup", f"{len(node.parent_nodes)} tables → {shape}")
    if isinstance(layer, FusedEmbedding):
        return Box("embeddings", "lookup", f"{len(layer.tables)} tables in one → {shape}")
    name = re.sub(r"_\d+$", "", layer.name)  # Keras numbers a second layer of one name
    title = "concat" if isinstance(layer, keras.layers.Concatenate) else name
    return Box(title, _kind(layer), f"{type(layer).__name__} → {shape}")


def _kind(layer: Any) -> str:
    """By class, else by the folder of the package that the layer stands in."""
    if isinstance(layer, TableEmbedding):
        return "lookup"
    if isinstance(layer, PaddingMask):
        return "mask"
    if isinstance(layer, MLP | keras.layers.Dense):
        return "tower"
    folder = type(layer).__module__.split(".")[-2]
    if isinstance(layer, PredictionLayer) or "loss" in type(layer).__name__.lower():
        return "output"
    return folder if folder in _KINDS else "plain"


def _shape(shape: tuple[int | None, ...]) -> str:
    """(None, None, 32) as (B, T, 32)."""
    letters = iter("BT")
    return "(" + ", ".join(next(letters, "·") if n is None else str(n) for n in shape) + ")"


def _lower(boxes: list[Box]) -> None:
    """Moves each box down to just above the first box that reads it: shorter arrows."""
    for box in reversed(boxes):
        below = [other.depth for other in boxes if box in other.parents]
        if below:
            box.depth = max(box.depth, min(below) - 1)
