import numpy as np
import pytest

from deeprec_tf.layers import SessionBias
from tests.layers.contract import check_half_precision, check_layer, randomize
from tests.reference.transformer import session_bias

SESSIONS = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype("float32")


@pytest.mark.parametrize("max_sessions", [3, 6])
def test_numbers(max_sessions):
    layer = SessionBias(max_sessions)
    layer.build(SESSIONS.shape)
    w = randomize(layer)
    got = check_layer(layer, SESSIONS)
    wanted = session_bias(SESSIONS, w["session"], w["place"], w["unit"])
    np.testing.assert_allclose(got, wanted, atol=1e-5)


def test_half_precision():
    check_half_precision(SessionBias(3), SESSIONS)
