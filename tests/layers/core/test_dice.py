import numpy as np
import pytest
import tensorflow as tf

from deeprec_tf.layers import Dice
from deeprec_tf.layers.core._kernels import batch_dice
from tests.layers.contract import check_half_precision, check_layer, randomize
from tests.layers.fast_forms import check_fast_form, training_results
from tests.reference import core

X = np.random.default_rng(0).normal(2, 3, size=(6, 4)).astype("float32")
STEPS = np.random.default_rng(1).normal(1, 2, size=(3, 4, 2)).astype("float32")
MASK = np.array([[True, True, False, False], [False] * 4, [True] * 4])


@pytest.fixture
def layer():
    layer = Dice()
    layer.build((None, 4))
    randomize(layer)
    return layer


def test_contract(layer):
    check_layer(layer, X)
    check_half_precision(layer, X)


def test_inference_reads_the_moving_averages(layer):
    alpha, mean, variance = (weight.numpy().astype("float64") for weight in layer.weights)
    np.testing.assert_allclose(layer(X), core.dice(X, alpha, mean, variance), atol=1e-5)


def test_training_reads_the_batch_and_moves_the_averages(layer):
    alpha, mean, variance = (weight.numpy().astype("float64") for weight in layer.weights)
    batch_mean, batch_variance = core.moments(X.astype("float64"), [True] * len(X))
    got = layer(X, training=True)
    np.testing.assert_allclose(got, core.dice(X, alpha, batch_mean, batch_variance), atol=1e-5)
    np.testing.assert_allclose(layer.moving_mean, 0.99 * mean + 0.01 * batch_mean, atol=1e-5)
    np.testing.assert_allclose(
        layer.moving_variance, 0.99 * variance + 0.01 * batch_variance, atol=1e-5
    )


def test_statistics_skip_padding():
    layer = Dice(momentum=0.0)
    layer.build((None, None, 2))
    randomize(layer)
    alpha = layer.alpha.numpy().astype("float64")
    flat, real = STEPS.reshape(-1, 2).astype("float64"), MASK.reshape(-1)
    mean, variance = core.moments(flat, real)
    got = layer(STEPS, mask=MASK, training=True).numpy().reshape(-1, 2)
    np.testing.assert_allclose(
        got[real], core.dice(flat, alpha, mean, variance)[real], atol=1e-5
    )
    np.testing.assert_allclose(layer.moving_mean, mean, atol=1e-6)
    noisy = np.where(MASK[..., None], STEPS, 1e3).astype("float32")
    again = layer(noisy, mask=MASK, training=True).numpy().reshape(-1, 2)
    np.testing.assert_allclose(again[real], got[real], atol=1e-5)


def test_a_batch_of_padding_moves_nothing():
    layer = Dice(momentum=0.5)
    layer.build((None, None, 2))
    randomize(layer)
    before = [weight.numpy() for weight in layer.weights]
    got = layer(STEPS, mask=np.zeros_like(MASK), training=True)
    assert np.isfinite(got).all()
    for weight, old in zip(layer.weights, before, strict=True):
        np.testing.assert_array_equal(weight, old)


def test_gradient_flows_through_the_statistics():
    """d/dx of Σ f(x) in training, by finite differences of the twin."""
    layer = Dice()
    layer.build((None, 4))
    layer.alpha.assign([0.2, -0.1, 0.5, 0.0])
    alpha, x = layer.alpha.numpy().astype("float64"), X.astype("float64")
    weights = np.random.default_rng(2).normal(size=X.shape)

    def value(at):
        return np.sum(weights * core.dice(at, alpha, *core.moments(at, [True] * len(at))))

    variable = tf.Variable(X)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(variable, training=True) * weights.astype("float32"))
    got = tape.gradient(loss, variable).numpy()
    for at in [(0, 0), (3, 1), (5, 3)]:
        step = np.zeros_like(x)
        step[at] = 1e-5
        wanted = (value(x + step) - value(x - step)) / 2e-5
        assert got[at] == pytest.approx(wanted, abs=1e-3)


def test_alpha_one_is_the_identity():
    layer = Dice()
    layer.build((None, 4))
    layer.alpha.assign(np.ones(4))
    np.testing.assert_allclose(layer(X, training=True), X, rtol=1e-6)


@pytest.mark.parametrize("mask", [None, np.zeros((0, 2), bool)])
def test_a_replica_without_rows_leaves_the_averages_as_they_are(mask, layer):
    """The last batch of an epoch may hold fewer rows than there are replicas."""
    before = [weight.numpy() for weight in layer.weights]
    layer(np.zeros((0, 4) if mask is None else (0, 2, 4), "float32"), mask=mask, training=True)
    for weight, was in zip(layer.weights, before, strict=True):
        np.testing.assert_array_equal(weight, was)


@pytest.mark.parametrize("x", [STEPS, STEPS[:1], STEPS[:1, :2], X[:5]])
def test_kernel_equals_the_readable_form(x):
    layer = Dice()
    layer.build(x.shape)
    randomize(layer)
    # Over two rows z is a difference of equal numbers times up to 1e4.
    check_fast_form(layer, x, tolerance=1e-5 if x.shape[:2] != (1, 2) else 1e-3)


def test_masked_statistics_in_a_graph():
    layer = Dice()
    layer.build(STEPS.shape)
    randomize(layer)
    check_fast_form(layer, STEPS, MASK)


def test_kernel_under_mixed_precision():
    layer = Dice(dtype="mixed_bfloat16")
    layer.build(STEPS.shape)
    randomize(layer)
    got = check_fast_form(layer, STEPS, tolerance=0.02)
    assert np.isfinite(got["output"]).all()


def test_kernel_without_rows_moves_nothing(layer):
    got = training_results(layer, (X[:0],), "graph")
    assert got["output"].shape == (0, 4) and np.all(got["gradient 1"] == 0)
    for weight in layer.non_trainable_weights:
        np.testing.assert_array_equal(got[weight.path], weight)


def test_kernel_gradients_by_finite_differences():
    alpha = np.array([0.2, -0.1, 0.5, 0.0])
    pattern = np.random.default_rng(2).normal(size=X.shape)

    @tf.function(autograph=False)
    def gradients(values, alpha):
        with tf.GradientTape() as tape:
            tape.watch([values, alpha])
            outputs, *_ = batch_dice(values, alpha, 1e-8)
            total = tf.reduce_sum(outputs * tf.constant(pattern, tf.float32))
        return tape.gradient(total, [values, alpha])

    def value(x, alpha):
        return np.sum(pattern * core.dice(x, alpha, *core.moments(x, [True] * len(x))))

    of_values, of_alpha = gradients(tf.constant(X), tf.constant(alpha, tf.float32))
    x = X.astype("float64")
    for at in np.ndindex(*X.shape):
        step = np.zeros_like(x)
        step[at] = 1e-5
        wanted = (value(x + step, alpha) - value(x - step, alpha)) / 2e-5
        assert of_values[at].numpy() == pytest.approx(wanted, abs=2e-5)
    for i in range(4):
        step = np.zeros(4)
        step[i] = 1e-5
        wanted = (value(x, alpha + step) - value(x, alpha - step)) / 2e-5
        assert of_alpha[i].numpy() == pytest.approx(wanted, abs=2e-5)
