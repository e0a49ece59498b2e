import numpy as np
import pytest

from deeprec_tf.layers import SessionInterest
from tests.layers.contract import check_half_precision, check_layer, randomize
from tests.reference.transformer import session_interest

GENERATOR = np.random.default_rng(0)
SESSIONS = GENERATOR.normal(size=(2, 3, 4, 6)).astype("float32")
MASK = np.arange(4) < np.array([[[4], [1], [0]], [[2], [3], [4]]])


def built():
    layer = SessionInterest(2)
    layer.build(SESSIONS.shape)
    return layer, randomize(layer)


def test_numbers():
    layer, w = built()
    block = {name.removeprefix("block/"): value for name, value in w.items()}
    got = check_layer(layer, SESSIONS, MASK)
    np.testing.assert_allclose(got, session_interest(SESSIONS, MASK, block, 2), atol=1e-4)
    assert np.all(got[0, 2] == 0), "no items, no interest"


def test_sessions_do_not_see_each_other():
    layer, _ = built()
    other = SESSIONS.copy()
    other[:, 1] += 1
    got, wanted = layer(other, MASK).numpy(), layer(SESSIONS, MASK).numpy()
    np.testing.assert_allclose(got[:, [0, 2]], wanted[:, [0, 2]], atol=1e-6)
    assert np.abs(got[:, 1] - wanted[:, 1]).max() > 1e-3


def test_padding_has_no_influence():
    layer, _ = built()
    noisy = np.where(MASK[..., None], SESSIONS, 99).astype("float32")
    np.testing.assert_allclose(layer(noisy, MASK), layer(SESSIONS, MASK), atol=1e-5)


def test_explain_gives_the_weights_of_each_session():
    weights = built()[0].explain(SESSIONS, MASK)["weights"].numpy()
    assert weights.shape == (2, 3, 2, 4, 4)
    np.testing.assert_allclose(weights.sum(-1)[MASK.any(-1)], 1, atol=1e-5)
    assert np.all(weights[0, 1, ..., 1:] == 0) and np.all(weights[0, 2] == 0)


def test_half_precision():
    check_half_precision(SessionInterest(2), SESSIONS, MASK)


def test_the_width_must_be_a_multiple_of_the_heads():
    with pytest.raises(ValueError, match="a width of 6 cannot be split into 4 heads"):
        SessionInterest(4).build(SESSIONS.shape)
