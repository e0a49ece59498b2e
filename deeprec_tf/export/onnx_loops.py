"""Weights of recurrences as constants of their loops, in an ONNX graph."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def fix_loop_constants(model: Any) -> None:
    """Puts constants that loops only carry along into the loops' bodies; changes the model.

    tf2onnx hands the weights of a recurrence from step to step as states of its Loop. onnxruntime
    then copies them in every step, can't lay them out for its products, and leaves them out of
    quantization.

    Args:
        model: an `onnx.ModelProto`.
    """
    graph = model.graph
    constants = {constant.name: constant for constant in graph.initializer}
    for node in graph.node:
        if node.op_type != "Loop":
            continue
        (body,) = (attribute.g for attribute in node.attribute if attribute.name == "body")
        # A Loop reads (count, condition, *states), its body (step, condition, *states) and gives
        # (condition, *states, *stacked); the Loop gives (*states, *stacked).
        for k in reversed(range(len(node.input) - 2)):
            outside, inside = node.input[k + 2], body.input[k + 2].name
            carried = body.output[k + 1].name == inside
            if not carried or outside not in constants or _is_read(graph, node.output[k]):
                continue
            weight = body.initializer.add()
            weight.CopyFrom(constants[outside])
            weight.name = inside
            del body.input[k + 2], body.output[k + 1], node.input[k + 2], node.output[k]
    for place in reversed(range(len(graph.initializer))):
        if not _is_read(graph, graph.initializer[place].name):
            del graph.initializer[place]


def _is_read(graph: Any, name: str) -> bool:
    """Whether a node, of a body too, reads a value, or the graph answers with it."""
    outputs = {output.name for output in graph.output}
    return name in outputs or any(name in node.input for node in _nodes(graph))


def _nodes(graph: Any) -> Iterator[Any]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _nodes(attribute.g)
