"""Walks over the graph of a functional model, by layer names."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import keras

from deeprec_tf.features import FeatureColumn
from deeprec_tf.layers.core.prediction import PredictionLayer

_KEEP_NUMBERS = ("Cast", "ExpandDims", "Reshape")  # operations without a dtype policy


def parents_of(tensor: Any) -> list[Any]:
    """The tensors that a symbolic tensor was computed from."""
    history = tensor._keras_history
    node = history.operation._inbound_nodes[history.node_index]
    return list(node.input_tensors)


def part_before(layer: Any) -> keras.Model:
    """The part of a graph from its inputs to what a layer that is used once is given."""
    (node,) = layer._inbound_nodes
    return keras.Model(inputs_of(node.input_tensors), list(node.input_tensors))


def layers_of(tensors: Iterable[Any], kind: type) -> list[Any]:
    """The layers of a kind that symbolic tensors were computed by, each once."""
    layers = [tensor._keras_history.operation for tensor in _ancestors(tensors)]
    return list(dict.fromkeys(layer for layer in layers if isinstance(layer, kind)))


def inputs_of(tensors: Iterable[Any]) -> list[Any]:
    """The Input tensors that symbolic tensors depend on, in order of discovery."""
    return [tensor for tensor in _ancestors(tensors) if _is_input(tensor)]


def refuse_taken_names(owner: str, tensors: Iterable[Any]) -> None:
    """Raises ValueError where an input, so a column, is named like a layer, or layers alike."""
    found = list(_ancestors(tensors))
    layers = {t._keras_history.operation.name for t in found if not _is_input(t)}
    for tensor in found:
        if _is_input(tensor) and tensor.name in layers:
            raise ValueError(
                f"{owner}: the column {tensor.name!r} is named like the layer {tensor.name!r} of "
                "the model, its output or a part of it. Rename the column."
            )
    parts: dict[str, Any] = {}
    for tensor in found:
        part = tensor._keras_history.operation
        if parts.setdefault(part.name, part) is not part:
            raise ValueError(
                f"{owner}: two parts of the model are named {part.name!r}. Rename the task or the "
                "column, or its embedding_name (a table's layer is 'embedding_' and its name)."
            )


def _is_input(tensor: Any) -> bool:
    return isinstance(tensor._keras_history.operation, keras.layers.InputLayer)


def _ancestors(tensors: Iterable[Any]) -> Iterator[Any]:
    """The tensors and all they were computed from, each once, in order of discovery."""
    seen: set[int] = set()
    stack = list(tensors)[::-1]
    while stack:
        tensor = stack.pop()
        if id(tensor) not in seen:
            seen.add(id(tensor))
            yield tensor
            stack.extend(parents_of(tensor)[::-1])


def joint_output(model: keras.Model, name: str) -> Any:
    """Output of the layer of this name.

    Raises:
        ValueError: the model has no such layer, or applies it more than once.
    """
    try:
        layer = model.get_layer(name)
    except ValueError as error:
        raise ValueError(
            f"{model.name}: there is no joint {name!r}; layers are named by the builders."
        ) from error
    known = {id(node) for nodes in model._nodes_by_depth.values() for node in nodes}
    nodes = [node for node in layer._inbound_nodes if id(node) in known]
    if len(nodes) != 1:
        raise ValueError(
            f"{model.name}: the joint {name!r} is applied {len(nodes)} times, not once."
        )
    return nodes[0].output_tensors[0]


class Call(NamedTuple):
    """One use of a layer in a graph.

    Attributes:
        layer: the layer.
        name: the layer's name; with a number behind it where the graph uses the layer repeatedly.
        arguments: what it is given by position, symbolic tensors among it.
        keywords: what it is given by name.
    """

    layer: Any
    name: str
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]


def explainable_calls(model: keras.Model) -> list[Call]:
    """The uses of layers that have `explain`, in the order in which the graph runs.

    `explain` takes what the layer's `call` takes, without `training`, and gives a dict of what the
    layer weighs its inputs by: attention weights, gates.
    """
    depths = model._nodes_by_depth
    nodes: dict[str, list[Any]] = {}
    for depth in sorted(depths, reverse=True):
        for node in depths[depth]:
            if callable(getattr(node.operation, "explain", None)):
                nodes.setdefault(node.operation.name, []).append(node)
    return [
        Call(
            node.operation,
            name if len(uses) == 1 else f"{name}_{place}",
            tuple(node.arguments.args),
            _without_training(node),
        )
        for name, uses in nodes.items()
        for place, node in enumerate(uses, 1)
    ]


def prediction_outputs(model: keras.Model) -> dict[str, Any]:
    """The predictions of a model, before any training-only layer.

    A model without prediction layers, such as a tower that was cut out, predicts what it gives, if
    its outputs have names.

    Returns:
        Dict from the name of each prediction layer to its output, or the model's own dict.

    Raises:
        ValueError: the model has neither a prediction layer nor a dict of outputs.
    """
    names = [layer.name for layer in model.layers if isinstance(layer, PredictionLayer)]
    if names:
        return {name: joint_output(model, name) for name in names}
    if isinstance(model.output, Mapping):
        return dict(model.output)
    raise ValueError(
        f"{model.name}: there is no PredictionLayer to cut the model at. Build it with a "
        "builder of deeprec_tf.models, or give it a dict of outputs: "
        "keras.Model(inputs, {'score': output})."
    )


def inference_outputs(model: keras.Model) -> dict[str, Any]:
    """What a model answers when it serves: what it generates, or else what it predicts.

    A layer that has `serve` generates: given what the graph calls the layer with first, `serve`
    returns the answers by name, which are no part of the graph that is trained.

    Raises:
        ValueError: from `prediction_outputs`.
    """
    for layer in model.layers:
        if callable(getattr(layer, "serve", None)):
            node = layer._inbound_nodes[0]
            return layer.serve(*node.arguments.args, **_without_training(node))
    return prediction_outputs(model)


class InputFacts(NamedTuple):
    """What a graph asks of its inputs, by their names.

    Attributes:
        left_aligned: in which it counts at what place a step stands.
        shares: whose numbers must lie in 0..1.
        float16: whose numbers a layer that computes in float16 reads as they are.
        in_step: groups of sequences whose steps go side by side, so that all must have as many.
    """

    left_aligned: frozenset[str]
    shares: frozenset[str]
    float16: frozenset[str]
    in_step: tuple[tuple[str, ...], ...]


def input_facts(model: keras.Model) -> InputFacts:
    """What the layers of a graph ask of its inputs.

    A layer that has `left_aligned` or `shares` gives, of what the graph calls the layer with, the
    tensor whose padding has to stand at the end or whose numbers must lie in 0..1, or None. One
    with a true `side_by_side` takes sequences of one number of steps.
    """
    return InputFacts(
        left_aligned=frozenset(_inputs_that_layers_name(model, "left_aligned")),
        shares=frozenset(_inputs_that_layers_name(model, "shares")),
        float16=frozenset(_inputs_of_float16(model)),
        in_step=tuple(_inputs_in_step(model)),
    )


def _inputs_that_layers_name(model: keras.Model, method: str) -> set[str]:
    names: set[str] = set()
    for layer in model.layers:
        if callable(getattr(layer, method, None)):
            for node in layer._inbound_nodes:
                called = node.arguments.args, _without_training(node)
                tensor = getattr(layer, method)(*called[0], **called[1])
                names |= {found.name for found in inputs_of([] if tensor is None else [tensor])}
    return names


def _inputs_in_step(model: keras.Model) -> list[tuple[str, ...]]:
    groups: dict[str, list[str]] = {}  # by name of an input; those of a group share the list
    for layer in model.layers:
        is_join = getattr(layer, "axis", None) == -1 and isinstance(layer, keras.layers.Concatenate)
        is_join |= isinstance(layer, keras.layers.Add | keras.layers.Multiply)
        if not is_join and not getattr(layer, "side_by_side", False):
            continue
        for node in layer._inbound_nodes:
            if is_join and len(node.input_tensors[0].shape) < 3:
                continue  # one behind the other
            together: list[list[str]] = []
            for tensor in filter(_is_sequence, node.input_tensors):
                names = [one.name for one in inputs_of([tensor]) if _is_sequence(one)]
                if names and (len(names) == 1 or set(names) <= set(groups.get(names[0], ()))):
                    together.append(groups.get(names[0], names))
            merged = list(dict.fromkeys(name for names in together for name in names))
            if len(merged) > 1:
                groups |= dict.fromkeys(merged, merged)
    return [tuple(names) for name, names in groups.items() if name == names[0]]


def _is_sequence(tensor: Any) -> bool:
    return len(tensor.shape) > 1 and tensor.shape[1] is None


def _inputs_of_float16(model: keras.Model) -> set[str]:
    names: set[str] = set()
    for layer in model.layers:
        if layer.compute_dtype != "float16" or not layer.autocast or not layer._inbound_nodes:
            continue
        stack = [t for node in layer._inbound_nodes for t in node.input_tensors]
        stack = [tensor for tensor in stack if "float" in tensor.dtype]
        while stack:
            tensor = stack.pop()
            if _is_input(tensor):
                names.add(tensor.name)
            elif type(tensor._keras_history.operation).__name__ in _KEEP_NUMBERS:
                stack.extend(parents_of(tensor))
    return names


def _without_training(node: Any) -> dict[str, Any]:
    return {key: value for key, value in node.arguments.kwargs.items() if key != "training"}


def columns_of_inputs(
    feature_columns: Iterable[FeatureColumn], names: Iterable[str]
) -> list[FeatureColumn]:
    """The columns whose inputs are left in a part of a graph.

    Args:
        feature_columns: the columns of the whole model.
        names: names of the inputs that are left.

    Returns:
        The columns in their order, without those length and weight inputs that are gone.
    """
    names = set(names)
    kept = []
    for column in feature_columns:
        if column.name not in names:
            continue
        gone = [
            label
            for label in ("length_name", "weight_name")
            if getattr(column, label, None) is not None and getattr(column, label) not in names
        ]
        cleared: dict[str, Any] = dict.fromkeys(gone)
        kept.append(dataclasses.replace(column, **cleared) if gone else column)
    return kept
