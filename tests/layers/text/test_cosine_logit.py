import numpy as np
import pytest
import tensorflow as tf

from deeprec_tf.layers import CosineLogit, UnitLength
from tests.layers.contract import check_half_precision, check_layer
from tests.reference.text import cosine

GENERATOR = np.random.default_rng(0)
USER, ITEM = GENERATOR.normal(size=(2, 4, 6)).astype("float32")


def test_gain_times_cosine():
    unit = UnitLength()
    got = check_layer(CosineLogit(3.0), unit(USER).numpy(), unit(ITEM).numpy())
    wanted = [[3 * cosine(u, v)] for u, v in zip(USER, ITEM, strict=True)]
    np.testing.assert_allclose(got, wanted, atol=1e-6)


def test_the_gain_is_learned_and_stays_positive():
    layer = CosineLogit(2.0)
    layer(USER, ITEM)
    (weight,) = layer.trainable_weights
    np.testing.assert_allclose(np.exp(weight), 2.0, rtol=1e-6)
    weight.assign(-7.0)  # however far a step goes
    u = UnitLength()(USER)
    assert np.all(layer(u, u).numpy() > 0)


def test_half_precision():
    check_half_precision(CosineLogit(), USER, ITEM)
    check_half_precision(UnitLength(), USER)


def test_gain_must_be_positive():
    with pytest.raises(ValueError, match="initial_gain must be positive, got 0"):
        CosineLogit(0)


def test_unit_length():
    got = check_layer(UnitLength(), USER)
    np.testing.assert_allclose(np.linalg.norm(got, axis=1), np.ones(4), atol=1e-6)
    np.testing.assert_allclose(got, [u / np.sqrt(sum(u * u)) for u in USER], atol=1e-6)


def test_zeros_stay_zeros_and_have_a_finite_gradient():
    x = tf.zeros((1, 3))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = UnitLength()(x)
    assert np.all(y.numpy() == 0) and np.isfinite(tape.gradient(y, x)).all()
