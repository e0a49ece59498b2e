import numpy as np
import pytest

from deeprec_tf.layers import SelfAttentiveInterests
from tests.layers.contract import check_half_precision, check_layer, randomize
from tests.reference import interests as twin

GENERATOR = np.random.default_rng(0)
LENGTHS = np.array([5, 0, 1, 3])
MASK = np.arange(5) < LENGTHS[:, None]
KEYS = GENERATOR.normal(size=(4, 5, 3)).astype("float32")
VALUES = GENERATOR.normal(size=(4, 5, 2)).astype("float32")


def test_numbers():
    layer = SelfAttentiveInterests(3, 6)
    layer.build(KEYS.shape, VALUES.shape)
    weights = randomize(layer)
    got = check_layer(layer, KEYS, VALUES, MASK)
    for row, length in enumerate(LENGTHS):
        wanted = twin.self_attentive(
            KEYS[row, :length].astype("float64"), VALUES[row, :length].astype("float64"),
            weights["inner"], weights["outer"],
        )
        np.testing.assert_allclose(got[row], wanted, rtol=1e-4, atol=1e-6)
    shares = np.asarray(layer.explain(KEYS, VALUES, MASK)["weights"])
    np.testing.assert_allclose(shares.sum(axis=1), np.where(LENGTHS[:, None] > 0, 1, [0] * 3),
                               rtol=1e-5)  # fmt: skip
    assert not shares[~MASK].any()


def test_shares_multiply_the_scores():
    layer = SelfAttentiveInterests(3, 6)
    layer.build(KEYS.shape, VALUES.shape)
    weights = randomize(layer)
    shares = GENERATOR.uniform(size=(4, 5, 3)).astype("float32")
    got = check_layer(layer, KEYS, VALUES, MASK, shares)
    for row, length in enumerate(LENGTHS):
        wanted = twin.self_attentive(
            KEYS[row, :length].astype("float64"), VALUES[row, :length].astype("float64"),
            weights["inner"], weights["outer"], shares[row],
        )
        np.testing.assert_allclose(got[row], wanted, rtol=1e-4, atol=1e-6)


def test_padding_has_no_effect():
    layer = SelfAttentiveInterests(2, 4)
    wanted = np.asarray(layer(KEYS, VALUES, MASK))
    noise = np.where(MASK[..., None], 0, 9.0).astype("float32")
    np.testing.assert_allclose(layer(KEYS + noise, VALUES + noise, MASK), wanted, rtol=1e-5)


def test_half_precision():
    check_half_precision(SelfAttentiveInterests(2, 4), KEYS, VALUES, MASK)


@pytest.mark.parametrize("numbers", [(0, 4), (2, 0)])
def test_errors(numbers):
    with pytest.raises(ValueError, match="must be at least 1, got 0"):
        SelfAttentiveInterests(*numbers)
