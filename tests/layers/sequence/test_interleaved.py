import numpy as np

from deeprec_tf.layers import Interleaved
from tests.layers.contract import check_layer

X = np.random.default_rng(0).normal(size=(2, 3, 4)).astype("float32")


def test_steps_alternate():
    got = check_layer(Interleaved(), X, -X)
    assert got.shape == (2, 6, 4)
    np.testing.assert_array_equal(got[:, ::2], X)
    np.testing.assert_array_equal(got[:, 1::2], -X)
    mask = np.array([[True, True, False], [False] * 3])
    got = Interleaved()(mask, mask)
    assert np.asarray(got).tolist() == [[True] * 4 + [False] * 2, [False] * 6]
