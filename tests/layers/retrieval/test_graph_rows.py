import numpy as np
import pytest
import tensorflow as tf

from deeprec_tf.layers import GraphPenalty, GraphRows, PropagatedEmbedding
from tests.layers.contract import check_layer
from tests.reference import graph as twin

GENERATOR = np.random.default_rng(0)
TABLE = GENERATOR.normal(size=(6, 3)).astype("float32")
VECTORS = GENERATOR.normal(size=(6, 3)).astype("float32")


IDS = {"row": np.array([4, 1, 4]), "row_and_draw": np.array([[4, 1], [0, 4], [5, 5]])}


@pytest.mark.parametrize("ids", IDS.values(), ids=IDS)
def test_rows(ids):
    got = check_layer(GraphRows(), TABLE, ids, time_axes=())
    np.testing.assert_array_equal(got, TABLE[ids])


@pytest.mark.parametrize("ids", IDS.values(), ids=IDS)
def test_the_penalty_is_a_share_of_each_row_of_the_batch(ids):
    layer = GraphPenalty(0.2)
    np.testing.assert_array_equal(layer(VECTORS, TABLE, ids), VECTORS)
    (loss,) = layer.losses
    wanted = 0.2 * ids.size / len(ids) * twin.penalty(TABLE[ids.reshape(-1)].astype("float64"))
    assert float(loss) == pytest.approx(wanted, rel=1e-5)
    check_layer(GraphPenalty(0.2), VECTORS, TABLE, ids, time_axes=())


@pytest.mark.parametrize("jit", [False, True])
def test_gradients_are_dense_sums_over_the_repeats(jit):
    ids, rows, penalty = IDS["row"], GraphRows(), GraphPenalty(0.2)

    @tf.function(jit_compile=jit)
    def gradients(table, before):
        with tf.GradientTape() as tape:
            tape.watch([table, before])
            total = tf.reduce_sum(penalty(rows(table, ids), before, ids))
            total += tf.add_n(penalty.losses)
        return tape.gradient(total, [table, before])

    of_table, of_before = gradients(tf.constant(VECTORS), tf.constant(TABLE))
    counts = np.bincount(ids, minlength=6)[:, None]
    assert isinstance(of_before, tf.Tensor)
    np.testing.assert_allclose(of_table, np.repeat(counts, 3, axis=1))
    np.testing.assert_allclose(of_before, 0.2 / 3 * counts * TABLE, rtol=1e-5)


def test_no_rows_are_fine():
    layer = GraphPenalty(0.2)
    layer(VECTORS[:0], TABLE, np.zeros(0, "int32"))
    assert float(layer.losses[0]) == 0.0


def test_the_table_is_read_before_and_behind_the_propagation():
    layer = PropagatedEmbedding(6, 3, pretrained=TABLE)
    ids = np.array([[2, 0]])
    assert not np.any(layer(ids)), "nothing was propagated yet"
    layer.propagated.assign(VECTORS)
    check_layer(layer, ids)
    np.testing.assert_array_equal(layer(ids), VECTORS[ids])
    np.testing.assert_array_equal(layer(ids, whole=True), TABLE)
    assert [weight.name for weight in layer.trainable_weights] == ["embeddings"]


def test_errors():
    with pytest.raises(ValueError, match="l2 must be at least 0, got -1"):
        GraphPenalty(-1)
