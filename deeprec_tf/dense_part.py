"""One training step with its dense part compiled by XLA, and the tables' rows left outside.

XLA is the better compiler for everything behind the embedding look-ups, and the worse one for the
gathers, the sums of repeated rows and the scatters around them. So the step is cut there: rows are
gathered in TensorFlow's graph, handed to a compiled function that gives loss and gradients, and the
gradients of the rows go to the optimizer as `tf.IndexedSlices`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from deeprec_tf.layers.core.table_embedding import TableEmbedding, rows_handed_in
from deeprec_tf.optimizers.rows import dense_gradient
from deeprec_tf.task_gradients import balanced_pass

_FUNCTIONS = (
    "activation", "activity_regularizer", "kernel_regularizer", "bias_regularizer", "loss",
)
_OWN = ("keras", __name__.split(".")[0])


class Pass(NamedTuple):
    """What a pass forward and back gives.

    Attributes:
        y_pred: the model's outputs.
        loss: scalar, before any loss scale.
        gradients: one a trainable weight; None where the loss does not depend on it.
    """

    y_pred: Any
    loss: tf.Tensor
    gradients: list[Any]


class _Lookup(NamedTuple):
    layer: TableEmbedding
    ids: Any


def forward_and_back(model: Any, x: Any, y: Any, sample_weight: Any) -> Pass:
    """Loss and gradients of a batch in one graph."""
    return _pass(model, x, y, sample_weight, ())


def _pass(model: Any, x: Any, y: Any, sample_weight: Any, rows: Any) -> Pass:
    """The same; its gradients begin with those of the rows, which it watches."""
    if model.loss_balance is not None:
        return Pass(*balanced_pass(model, x, y, sample_weight, rows))
    with tf.GradientTape() as tape:
        tape.watch(rows)
        y_pred = model(x, training=True)
        loss = model._compute_loss(
            x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=True
        )
        scaled = model.optimizer.scale_loss(loss)
    return Pass(y_pred, loss, tape.gradient(scaled, [*rows, *model.trainable_weights]))


def can_compile(model: Any) -> bool:
    """Whether `jit_compile="auto"` means a compiled dense part here.

    On the CPU, without a strategy, for models whose inputs have one shape and whose look-ups stand
    in the graph. Histories have no fixed length: layers work on the real steps only there. Layers
    and losses of the user's own may hold what XLA refuses, so they are left in one graph.
    """
    return (
        tf.inside_function()
        and not model.jit_compile
        and not tf.distribute.has_strategy()
        and not tf.config.list_logical_devices("GPU")
        and not any(None in tensor.shape[1:] for tensor in model.inputs)
        and _is_known(type(model).compute_loss)
        and getattr(model.loss_balance, "reads", "losses") == "losses"
        and not any(map(_reads_whole_table, _nodes(model)))
        and all(map(_may_be_compiled, model._flatten_layers(include_self=False)))
        and not any(map(_holds_tables, model.layers))
        and all(map(_is_known, keras.tree.flatten(model.loss)))
        and bool(_lookups(model))
    )


def _may_be_compiled(layer: Any) -> bool:
    """Whether all of a layer is Keras's or ours, and none of it a function of the user's."""
    parts = [layer, *(getattr(layer, name, None) for name in _FUNCTIONS)]
    return (
        layer.supports_jit
        and getattr(layer, "gains_from_xla", True)  # what says no is slower compiled
        # XLA has no fast products of bfloat16 on a CPU; TensorFlow's take half of float32's time.
        and layer.compute_dtype != "bfloat16"
        # XLA draws three times as slowly on a CPU as TensorFlow does; and ids drawn outside and
        # inside the compiled part would differ.
        and not layer._seed_generators
        and not isinstance(layer, keras.layers.Lambda)
        and all(map(_is_known, parts))
    )


def _holds_tables(layer: Any) -> bool:
    """Whether a layer, or a model in the graph, has tables inside: its look-ups are no nodes."""
    inside = layer._flatten_layers(include_self=False)
    return any(isinstance(part, TableEmbedding) for part in inside)


def _is_known(thing: Any) -> bool:
    """Whether Keras or this package has written a layer or a loss (or it is a Keras name)."""
    module = getattr(thing, "__module__", None) or type(thing).__module__
    return thing is None or isinstance(thing, str) or module.split(".")[0] in _OWN


def _nodes(model: Any) -> list[Any]:
    """The nodes of a graph in the order in which they run."""
    nodes = model._nodes_by_depth
    return [node for depth in sorted(nodes, reverse=True) for node in nodes[depth]]


def _lookups(model: Any) -> list[_Lookup]:
    """The look-ups of a graph in the order in which they run."""
    return [
        _Lookup(node.operation, node.input_tensors[0])
        for node in _nodes(model)
        if isinstance(node.operation, TableEmbedding)
    ]


def _reads_whole_table(node: Any) -> bool:
    """Whether a node takes a table as it is: then its rows cannot be handed in."""
    return isinstance(node.operation, TableEmbedding) and node.arguments.kwargs.get("whole", False)


def compiled_forward_and_back(
    model: Any, x: Any, y: Any, sample_weight: Any, first_rows: tf.Variable
) -> Pass:
    """Loss and gradients of a batch, the dense part compiled.

    Batches of another size than the first, such as a last, smaller one, are not worth a compilation
    of their own and run as they are.

    Args:
        model: a functional model whose look-ups stand in its graph.
        x: dict of tensors by input name.
        y: labels.
        sample_weight: weights, or None.
        first_rows: int64 scalar, the size of the batches to compile for; 0 before the first.
    """
    lookups = _lookups(model)
    inputs = {tensor.name: tensor for tensor in model.inputs}
    number = keras.Model(inputs, [lookup.ids for lookup in lookups])
    ids = tf.nest.flatten(number({name: x[name] for name in inputs}))
    rows = [
        tf.cast(lookup.layer.gather(i), lookup.layer.compute_dtype)
        for lookup, i in zip(lookups, ids, strict=True)
    ]
    used: list[bool] = []

    def dense(rows: Any, x: Any, y: Any, sample_weight: Any) -> Any:
        by_layer: dict[int, list[Any]] = {}
        for lookup, tensor in zip(lookups, rows, strict=True):
            by_layer.setdefault(id(lookup.layer), []).append(tensor)
        with rows_handed_in(by_layer):
            done = _pass(model, x, y, sample_weight, rows)
        used[:] = [gradient is not None for gradient in done.gradients]
        return done._replace(gradients=[g for g in done.gradients if g is not None])

    compiled = tf.function(dense, jit_compile=True, autograph=False)
    size = tf.shape(rows[0], out_type=tf.int64)[0]
    first = tf.where(tf.equal(first_rows, 0), size, first_rows)
    first_rows.assign(first)
    done = tf.cond(
        tf.equal(size, first),
        lambda: compiled(rows, x, y, sample_weight),
        lambda: dense(rows, x, y, sample_weight),
    )
    left = iter(done.gradients)
    gradients = [next(left) if is_used else None for is_used in used]
    of_weights = dict(
        zip(map(id, model.trainable_weights), gradients[len(rows) :], strict=True)
    )
    for key, slices in _slices(lookups, ids, gradients).items():
        of_weights[key] = _sum(slices, of_weights[key])
    return done._replace(gradients=list(of_weights.values()))


def _slices(lookups: Any, ids: Any, gradients: Any) -> dict[int, tf.IndexedSlices]:
    """The gradient of every table that is trained, by the id of its variable."""
    parts: dict[int, tuple[Any, list, list]] = {}
    for lookup, i, gradient in zip(lookups, ids, gradients, strict=False):
        table = lookup.layer.embeddings
        if table.trainable and gradient is not None:
            _, values, indices = parts.setdefault(id(table), (table, [], []))
            gradient = tf.cast(gradient, table.dtype)
            values.append(tf.reshape(gradient, (-1, table.shape[-1])))
            indices.append(tf.reshape(i, (-1,)))
    return {
        key: tf.IndexedSlices(
            values[0] if len(values) == 1 else tf.concat(values, 0),
            indices[0] if len(indices) == 1 else tf.concat(indices, 0),
            tf.constant(list(table.shape)),
        )
        for key, (table, values, indices) in parts.items()
    }


def _sum(slices: tf.IndexedSlices, other: Any) -> Any:
    """The gradient of the look-ups and, where the table is used otherwise too, that one."""
    if other is None:
        return slices
    return dense_gradient(slices, int(slices.dense_shape[0])) + tf.convert_to_tensor(other)
