"""The methods of loss balancing on numbers worked out by hand and by the reference."""

import itertools

import numpy as np
import pytest

from deeprec_tf.layers import (
    DynamicWeightAverage,
    GradNorm,
    LossBalance,
    MetaBalance,
    PCGrad,
    UncertaintyWeighting,
)
from tests.reference import multitask as reference

TASKS = ("click", "price")
KINDS = ("binary", "regression")
LOSSES = np.array([0.5, 2.0], "float32")
BOTH = np.ones(2, "float32")
PAIR = {"tasks": TASKS, "task_types": KINDS}


def built(method, *arguments, **options):
    layer = method(*arguments, **{**PAIR, **options})
    layer.build({})
    return layer


def test_fixed_is_the_sum():
    layer = built(LossBalance)
    assert float(layer.total(LOSSES)) == 2.5
    answers = {"click": np.ones((2, 1), "float32")}
    assert np.array_equal(layer(answers)["click"], answers["click"])


def test_uncertainty():
    layer = built(UncertaintyWeighting)
    assert float(layer.total(LOSSES)) == 0.5 + 1.0  # regression counts half
    layer.log_variances.assign([-1.0, 0.5])
    wanted = np.exp(1.0) * 0.5 - 0.5 + 0.5 * np.exp(-0.5) * 2.0 + 0.25
    np.testing.assert_allclose(layer.total(LOSSES), wanted, rtol=1e-6)


def test_uncertainty_of_an_absent_task_stays_finite():
    import tensorflow as tf

    layer = built(UncertaintyWeighting)
    layer.log_variances.assign([0.5, -200.0])  # exp(200) is infinite
    with tf.GradientTape() as tape:
        total = layer.total(np.array([0.5, 0.0], "float32"), np.array([1.0, 0.0], "float32"))
    np.testing.assert_allclose(total, np.exp(-0.5) * 0.5 + 0.25, rtol=1e-6)
    gradient = tape.gradient(total, layer.log_variances.value)
    np.testing.assert_allclose(gradient, [0.5 - np.exp(-0.5) * 0.5, 0.0], rtol=1e-5)


def test_uncertainty_settles_where_the_variance_is_the_loss():
    """Classification: s = log 2L; below 0 for a small loss, which a clamp would forbid."""
    import tensorflow as tf

    layer = built(UncertaintyWeighting)
    losses = tf.constant([0.1, 3.0])
    for _ in range(400):
        with tf.GradientTape() as tape:
            total = layer.total(losses)
        (gradient,) = tape.gradient(total, [layer.log_variances.value])
        layer.log_variances.assign_sub(0.2 * gradient)
    np.testing.assert_allclose(layer.log_variances, np.log([0.2, 3.0]), atol=1e-3)
    assert layer.log_variances.numpy()[0] < 0


def test_dynamic_weight_average():
    layer = built(DynamicWeightAverage, 2.0)
    epochs = [[[1.0, 4.0], [3.0, 2.0]], [[1.0, 2.0]], [[0.5, 1.9]]]
    for epoch in epochs:
        layer.begin_epoch()
        np.testing.assert_allclose(np.sum(layer.task_weights), 2.0, rtol=1e-6)
        for losses in epoch:
            layer.observe(np.array(losses, "float32"), BOTH)
        if epoch is not epochs[-1]:
            np.testing.assert_array_equal(layer.task_weights, [1, 1])  # two epochs are needed
    wanted = reference.dynamic_weights([1.0, 2.0], [2.0, 3.0], 2.0)
    np.testing.assert_allclose(layer.task_weights, wanted, rtol=1e-6)
    np.testing.assert_allclose(layer.total(LOSSES), wanted @ LOSSES, rtol=1e-6)
    assert layer.task_weights.numpy()[1] > layer.task_weights.numpy()[0]  # falls more slowly


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.5])
def test_grad_norm(alpha):
    layer = built(GradNorm, alpha, learning_rate=0.1)
    first, norms = np.array([1.0, 2.0], "float32"), np.array([3.0, 0.5], "float32")
    layer.first_losses.assign(first)
    gradient = reference.grad_norm_gradient([1.0, 1.0], norms, LOSSES, first, alpha)
    layer.observe(LOSSES, BOTH, norms)
    wanted = reference.first_adam_step([1.0, 1.0], gradient, 0.1)
    np.testing.assert_allclose(layer.task_weights, wanted, rtol=1e-5)
    np.testing.assert_allclose(layer.total(LOSSES), wanted @ LOSSES, rtol=1e-5)


def test_grad_norm_has_a_target_for_each_task():
    """One target for all, the mean of the ratios, would pull both weights to equal norms."""
    layer = built(GradNorm, 1.0, learning_rate=0.01)
    layer.first_losses.assign([1.0, 1.0])
    for _ in range(500):  # task 1 has fallen to a third of task 0's share
        layer.observe(np.array([0.9, 0.3], "float32"), BOTH, np.array([1.0, 1.0], "float32"))
    np.testing.assert_allclose(layer.task_weights, [1.5, 0.5], atol=0.03)


def test_grad_norm_first_losses_and_absent_tasks():
    layer = built(GradNorm)
    alone = np.array([1.0, 0.0], "float32")
    layer.observe(np.array([0.7, 0.0], "float32"), alone, alone)
    np.testing.assert_allclose(layer.first_losses, [0.7, 0.0])
    np.testing.assert_array_equal(layer.task_weights, [1, 1])  # one task has no one to be fair to
    layer.observe(LOSSES, BOTH, np.array([1.0, 1.0], "float32"))
    np.testing.assert_allclose(layer.first_losses, [0.7, 2.0])
    assert np.isfinite(layer.task_weights).all()


@pytest.mark.parametrize("mode", ["both", "shrink", "enlarge"])
def test_meta_balance(mode):
    layer = built(MetaBalance, 0.7, beta=0.9, mode=mode, num_weights=2)
    averages = np.zeros((2, 2))
    for norms in ([[1.0, 4.0], [2.0, 0.5]], [[2.0, 1.0], [3.0, 0.7]]):
        products = np.array([np.diag(np.square(row)) for row in norms], "float32")
        got = layer.coefficients(products, [True, True])
        for p, row in enumerate(norms):
            averages[p], wanted = reference.meta_balance(averages[p], row, 0.7, 0.9, mode)
            np.testing.assert_allclose(got[p], wanted, rtol=1e-5)
    np.testing.assert_allclose(layer.norms, averages, rtol=1e-5)


def test_meta_balance_leaves_what_one_task_trains():
    layer = built(MetaBalance, 1.0, num_weights=2)
    products = np.array([np.diag([0.0, 4.0]), np.diag([9.0, 0.0])], "float32")
    np.testing.assert_array_equal(layer.coefficients(products, [False, False]), np.ones((2, 2)))


def test_meta_balance_without_labels_or_with_an_overflow_stays_where_it_is():
    layer = built(MetaBalance, 1.0, num_weights=1)
    full = np.diag([1.0, 4.0])[None].astype("float32")
    before = layer.coefficients(full, [True])
    for broken in (np.diag([1.0, 0.0]), np.diag([np.inf, 4.0]), np.full((2, 2), np.nan)):
        layer.coefficients(broken[None].astype("float32"), [True])
        np.testing.assert_allclose(layer.norms, [[1.0, 2.0]])
    np.testing.assert_allclose(layer.coefficients(full, [True]), before)


@pytest.mark.parametrize("method", [GradNorm, DynamicWeightAverage])
def test_a_step_that_is_not_finite_leaves_no_trace(method):
    layer = built(method)
    layer.observe(LOSSES, BOTH, BOTH)
    before = [weight.numpy() for weight in layer.weights]
    for losses, norms in (([np.inf, 1], [1, 1]), ([1, 1], [np.inf, np.nan]), ([np.nan, 1], [1, 1])):
        if method is DynamicWeightAverage and np.isfinite(losses).all():
            continue  # it reads no norms
        layer.observe(np.array(losses, "float32"), BOTH, np.array(norms, "float32"))
        for old, weight in zip(before, layer.weights, strict=True):
            np.testing.assert_array_equal(old, weight)


def test_dynamic_weights_count_the_steps_with_labels():
    layer = built(DynamicWeightAverage)
    alone = np.array([1.0, 0.0], "float32")
    for losses, present in (([1.0, 4.0], BOTH), ([3.0, 0.0], alone)):
        layer.observe(np.array(losses, "float32"), present)
    layer.begin_epoch()
    np.testing.assert_allclose(layer.last, [2.0, 4.0])
    layer.observe(np.array([1.0, 0.0], "float32"), alone)  # an epoch without the second task
    layer.begin_epoch()
    wanted = reference.dynamic_weights([1.0, 1.0], [2.0, 1.0], 2.0)  # it counts as not falling
    np.testing.assert_allclose(layer.task_weights, wanted, rtol=1e-6)


def test_uncertainty_of_a_task_that_is_not_there():
    layer = built(UncertaintyWeighting)
    layer.log_variances.assign([0.4, -3.0])
    losses, present = np.array([0.5, 0.0], "float32"), np.array([1.0, 0.0], "float32")
    wanted = np.exp(-0.4) * 0.5 + 0.2
    np.testing.assert_allclose(layer.total(losses, present), wanted, rtol=1e-6)


def test_pcgrad_of_two():
    generator = np.random.default_rng(0)
    for _ in range(5):
        a, b = generator.normal(size=(2, 6))
        gram = np.array([[[a @ a, a @ b], [a @ b, b @ b]]], "float32")
        got = np.asarray(built(PCGrad).coefficients(gram, [True]))[0]
        wanted = reference.pcgrad([a, b], [[1], [0]])
        np.testing.assert_allclose(got[0] * a + got[1] * b, wanted, atol=1e-5)


def test_pcgrad_of_three_is_one_of_its_orders():
    generator = np.random.default_rng(3)
    gradients = generator.normal(size=(3, 4))
    gradients[1] -= 1.5 * gradients[0]
    gram = (gradients @ gradients.T)[None].astype("float32")
    layer = PCGrad(tasks=("a", "b", "c"), seed=4)
    others = [[1, 2], [0, 2], [0, 1]]
    orders = list(itertools.product(*(list(itertools.permutations(o)) for o in others)))
    wanted = [reference.pcgrad(list(gradients), order) for order in orders]
    seen = set()
    for _ in range(20):
        got = np.asarray(layer.coefficients(gram, [True]))[0] @ gradients
        distances = [np.abs(got - w).max() for w in wanted]
        assert min(distances) < 1e-5
        seen.add(int(np.argmin(distances)))
    assert len(seen) > 1, "the order is always the same"


def test_pcgrad_counts_shared_weights_alone():
    layer = built(PCGrad)
    products = np.array([[[1, -1], [-1, 1]], [[100, 0], [0, 0]]], "float32")
    got = np.asarray(layer.coefficients(products, [True, False]))
    np.testing.assert_allclose(got[1], [1, 1])
    np.testing.assert_allclose(got[0], [2, 2])  # each loses all of its part; both add the other's


def test_config():
    for layer in (
        built(GradNorm, 0.3, learning_rate=0.1), built(MetaBalance, 0.2, beta=0.5, mode="shrink"),
        built(DynamicWeightAverage, 3.0), built(PCGrad, seed=3), built(UncertaintyWeighting),
    ):
        copy = type(layer).from_config(layer.get_config())
        assert copy.get_config() == layer.get_config()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GradNorm(alpha=-1.0), "alpha must be at least 0"),
        (lambda: GradNorm(learning_rate=-1.0), "learning_rate must be at least 0"),
        (lambda: MetaBalance(1.5), r"relax must be in \[0, 1\]"),
        (lambda: MetaBalance(beta=1.0), r"beta must be in \[0, 1\)"),
        (lambda: MetaBalance(mode="none"), "mode must be one of"),
        (lambda: DynamicWeightAverage(0.0), "temperature must be above 0"),
        (lambda: LossBalance(weights=[1.0, -1.0]), "weights must be finite and at least 0"),
        (lambda: LossBalance(weights=[np.nan]), "weights must be finite and at least 0"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()
