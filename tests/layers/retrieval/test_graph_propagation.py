import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from deeprec_tf.layers import GraphPropagation, PropagatedEmbedding
from deeprec_tf.layers.retrieval._graph_kernels import neighbor_sum
from tests.reference import graph as twin

GENERATOR = np.random.default_rng(0)
EDGES = np.unique(GENERATOR.integers((0, 1), (5, 6), size=(14, 2)), axis=0)  # user 5, item 0: none
USERS = GENERATOR.normal(size=(6, 3)).astype("float32")
ITEMS = GENERATOR.normal(size=(7, 3)).astype("float32")


def layer_of(num_layers=3):
    return GraphPropagation(len(EDGES), num_layers, edges=EDGES)


@pytest.mark.parametrize("num_layers", [0, 1, 3])
def test_numbers(num_layers):
    layer = layer_of(num_layers)
    wanted = twin.propagated(
        USERS.astype("float64"), ITEMS.astype("float64"), EDGES, num_layers
    )
    for jit in (False, True):
        traced = tf.function(layer, jit_compile=jit)
        for call in (layer, traced):
            found = call(tf.constant(USERS), tf.constant(ITEMS))
            for got, right in zip(found, wanted, strict=True):
                np.testing.assert_allclose(got, right, rtol=1e-5, atol=1e-6)


def test_equals_a_product_with_the_dense_normalized_matrix():
    adjacency = np.zeros((13, 13))
    adjacency[EDGES[:, 0], 6 + EDGES[:, 1]] = adjacency[6 + EDGES[:, 1], EDGES[:, 0]] = 1.0
    degrees = adjacency.sum(axis=1)
    scale = np.divide(1.0, np.sqrt(degrees), out=np.zeros(13), where=degrees > 0)
    matrix = scale[:, None] * adjacency * scale
    powers = [np.linalg.matrix_power(matrix, k) for k in range(4)]
    wanted = sum(powers) / 4 @ np.concatenate([USERS, ITEMS])
    np.testing.assert_allclose(
        np.concatenate(layer_of()(USERS, ITEMS)), wanted, rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("jit", [False, True])
def test_the_gradient_is_that_of_the_differences(jit):
    layer = layer_of(2)
    factors = [GENERATOR.normal(size=table.shape) for table in (USERS, ITEMS)]

    @tf.function(jit_compile=jit)
    def gradients(users, items):
        with tf.GradientTape() as tape:
            tape.watch([users, items])
            parts = [
                tf.reduce_sum(tf.cast(out, "float32") * factor.astype("float32"))
                for out, factor in zip(layer(users, items), factors, strict=True)
            ]
            total = tf.add_n(parts)
        return tape.gradient(total, [users, items])

    def total(users, items):
        return sum(
            (out * factor).sum()
            for out, factor in zip(twin.propagated(users, items, EDGES, 2), factors, strict=True)
        )

    got = gradients(tf.constant(USERS), tf.constant(ITEMS))
    tables = [USERS.astype("float64"), ITEMS.astype("float64")]
    for side, table in enumerate(tables):
        for row in range(len(table)):
            moved = [[t.copy() for t in tables] for _ in range(2)]
            moved[0][side][row, 1] += 1e-3
            moved[1][side][row, 1] -= 1e-3
            wanted = (total(*moved[0]) - total(*moved[1])) / 2e-3
            assert float(got[side][row, 1]) == pytest.approx(wanted, rel=1e-3, abs=1e-5)


def test_the_kernel_is_a_gather_and_a_sum():
    order = np.lexsort((EDGES[:, 1], EDGES[:, 0]))
    nodes, neighbors = EDGES[order].T.astype("int32")
    wanted = ops.segment_sum(ops.take(ITEMS, neighbors, axis=0), nodes, num_segments=6)
    for jit in (False, True):
        kernel = tf.function(lambda: neighbor_sum(ITEMS, neighbors, nodes, 6), jit_compile=jit)
        np.testing.assert_allclose(kernel(), wanted, rtol=1e-5, atol=1e-6)


def test_rows_without_an_edge_keep_their_share():
    users, items = layer_of()(USERS, ITEMS)
    np.testing.assert_allclose(users[5], USERS[5] / 4, rtol=1e-6)
    np.testing.assert_allclose(items[0], ITEMS[0] / 4, rtol=1e-6)


def test_the_configuration_has_no_edges_and_the_weights_have():
    layer = layer_of()
    wanted = layer(USERS, ITEMS)
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert copy.get_config() == layer.get_config() and "edges" not in layer.get_config()
    copy.set_weights(layer.get_weights())
    for got, right in zip(copy(USERS, ITEMS), wanted, strict=True):
        np.testing.assert_array_equal(got, right)
    assert not layer.trainable_weights


def test_shapes_are_known_and_half_precision_is_not_for_tables():
    layer = GraphPropagation(len(EDGES), edges=EDGES, dtype="mixed_bfloat16")
    symbols = [keras.Input(batch_shape=table.shape) for table in (USERS, ITEMS)]
    assert [(t.shape, t.dtype) for t in layer(*symbols)] == [
        ((6, 3), "float32"), ((7, 3), "float32"),
    ]  # fmt: skip


def test_settling_follows_either_table_and_does_nothing_else(monkeypatch):
    tables = [PropagatedEmbedding(len(t), 3, pretrained=t) for t in (USERS, ITEMS)]
    for table in tables:
        table.build((None,))
    layer, calls = layer_of(), []
    layer.build(USERS.shape, ITEMS.shape)
    whole = layer.call
    monkeypatch.setattr(layer, "call", lambda *x: calls.append(1) or whole(*x))

    def check():
        before = [table.embeddings.numpy().astype("float64") for table in tables]
        wanted = twin.propagated(*before, EDGES, 3)
        for table, right in zip(tables, wanted, strict=True):
            np.testing.assert_allclose(table.propagated.numpy(), right, rtol=1e-5, atol=1e-6)

    for _ in range(2):
        layer.settle(tables, [table(None, whole=True) for table in tables])
        check()
    assert len(calls) == 1
    tables[1].embeddings.assign_add(tf.eye(7, 3))
    layer.settle(tables, [table(None, whole=True) for table in tables])
    check()
    tables[0].propagated.assign(tf.zeros((6, 3)))
    layer.settle(tables, [table(None, whole=True) for table in tables])
    check()
    assert len(calls) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_layers": -1}, "num_layers must be a whole number and at least 0, got -1"),
        ({"edges": EDGES[:2]}, r"edges must have the shape \(num_edges, 2\) = \(\d+, 2\)"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        GraphPropagation(len(EDGES), **arguments)
