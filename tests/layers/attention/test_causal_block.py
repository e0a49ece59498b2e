import numpy as np
import pytest
import tensorflow as tf

from deeprec_tf.layers import CausalBlock, LearnedPositions
from tests.layers.contract import check_half_precision, check_layer, randomize
from tests.reference.recall import causal_block

X = np.random.default_rng(0).normal(size=(3, 5, 4)).astype("float32")
LENGTHS = (5, 0, 2)
MASK = np.arange(5) < np.array(LENGTHS)[:, None]


@pytest.mark.parametrize("original", [False, True])
def test_numbers(original):
    layer = CausalBlock(2, original=original)
    check_layer(layer, X, MASK)
    weights = randomize(layer)
    for got in (layer(X, MASK), tf.function(lambda: layer(X, MASK, training=True))()):
        for row, length in enumerate(LENGTHS):
            wanted = causal_block(X[row].astype("float64"), length, weights, 2, original)
            np.testing.assert_allclose(got[row, :length], wanted, atol=2e-5)
    check_half_precision(CausalBlock(2, original=original), X, MASK)


@pytest.mark.parametrize("original", [False, True])
def test_a_later_step_moves_no_earlier_one(original):
    layer = CausalBlock(2, original=original)
    before = np.asarray(layer(X, MASK))
    changed = X.copy()
    changed[:, 3:] += 1.0
    after = np.asarray(layer(changed, MASK))
    np.testing.assert_array_equal(after[:, :3], before[:, :3])
    assert np.abs(after[0, 3:] - before[0, 3:]).min() > 0


def test_packed_steps_have_the_gradients_of_the_padded_form():
    layer = CausalBlock(2)
    layer(X, MASK)
    randomize(layer)
    weights = np.where(MASK, 1.0, 0.0)[..., None].astype("float32")

    def gradients(training):
        with tf.GradientTape() as tape:
            x = tf.constant(X)
            tape.watch(x)
            loss = tf.reduce_sum(tf.sin(layer(x, MASK, training=training)) * weights)
        return tape.gradient(loss, [x, *[w.value for w in layer.trainable_weights]])

    padded, packed = gradients(False), tf.function(lambda: gradients(True))()
    for got, wanted in zip(packed, padded, strict=True):
        np.testing.assert_allclose(got, wanted, atol=2e-5)


def test_weights_by_explain():
    layer = CausalBlock(2)
    weights = np.asarray(layer.explain(X, MASK)["weights"]) if layer(X, MASK) is not None else None
    assert weights.shape == (3, 2, 5, 5)
    np.testing.assert_allclose(weights.sum(axis=-1), 1.0, rtol=1e-5)
    assert not np.triu(weights[0, 0], 1).any(), "a step looks ahead"


def test_one_step_and_bad_heads():
    assert np.isfinite(CausalBlock(2)(X[:, :1], MASK[:, :1])).all()
    with pytest.raises(ValueError, match="cannot be split into 3 heads"):
        CausalBlock(3)(X, MASK)


def test_learned_positions():
    layer = LearnedPositions(7, scale=2.0)
    check_layer(layer, X, MASK)
    table = randomize(layer)["positions"]
    wanted = np.where(MASK[..., None], X * 2.0 + table[:5], 0.0)
    np.testing.assert_allclose(layer(X, MASK), wanted, rtol=1e-5)
    check_half_precision(LearnedPositions(7), X, MASK)


def test_learned_positions_from_another_place_on():
    layer = LearnedPositions(7)
    layer(X, MASK)
    table = randomize(layer)["positions"]
    first = np.array([2, 0, 6])
    check_layer(LearnedPositions(7), X[:, :1], MASK[:, :1], first)
    got = layer(X, np.ones_like(MASK), first)
    for row in range(3):
        at = np.minimum(first[row] + np.arange(5), 6)
        np.testing.assert_allclose(got[row], X[row] + table[at], rtol=1e-5)
