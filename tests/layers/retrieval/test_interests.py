"""LabelAwareAttention and UsedInterests."""

import numpy as np
import pytest

from deeprec_tf.layers import LabelAwareAttention, UsedInterests
from tests.layers.contract import check_half_precision, check_layer
from tests.reference import interests as twin

GENERATOR = np.random.default_rng(0)
INTERESTS = GENERATOR.normal(size=(5, 3, 4)).astype("float32")
INTERESTS[1, 2] = INTERESTS[2, 1:] = INTERESTS[3] = 0.0  # not in use
TARGET = GENERATOR.normal(size=(5, 4)).astype("float32")
TARGET[2] = -INTERESTS[2, 0]  # so that the only interest has a negative score


@pytest.mark.parametrize("power", [0.0, 1.0, 2.5, 2, "hard"])
def test_label_aware_attention(power):
    layer = LabelAwareAttention(power)
    got = check_layer(layer, INTERESTS, TARGET, time_axes=())
    for row in range(5):
        wanted = twin.label_aware(INTERESTS[row].astype("float64"), TARGET[row], power)
        np.testing.assert_allclose(got[row], wanted, rtol=1e-4, atol=1e-6)
    weights = np.asarray(layer.explain(INTERESTS, TARGET)["weights"])
    np.testing.assert_allclose(np.einsum("bk,bkd->bd", weights, INTERESTS), got, atol=1e-5)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, rtol=1e-5)
    assert not weights[1, 2] and not weights[2, 1:].any()


def test_a_large_power_takes_the_best_interest():
    soft, hard = LabelAwareAttention(1e4), LabelAwareAttention("hard")
    np.testing.assert_allclose(soft(INTERESTS, TARGET), hard(INTERESTS, TARGET), atol=1e-5)


def test_used_interests():
    values = GENERATOR.normal(size=(5, 3, 2)).astype("float32")
    got = check_layer(UsedInterests(), values, INTERESTS, time_axes=())
    wanted = values.copy()
    wanted[1, 2] = wanted[2, 1:] = 0.0  # row 3 has no interest at all: all of them stay
    np.testing.assert_array_equal(got, wanted)


def test_half_precision():
    check_half_precision(LabelAwareAttention(), INTERESTS, TARGET)
    check_half_precision(UsedInterests(), INTERESTS, INTERESTS)


@pytest.mark.parametrize("power", [-1.0, "soft"])
def test_errors(power):
    with pytest.raises(ValueError, match="power must be at least 0 or 'hard'"):
        LabelAwareAttention(power)
