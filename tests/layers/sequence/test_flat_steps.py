import numpy as np

from deeprec_tf.layers import FlatSteps
from tests.layers.contract import check_half_precision, check_layer

SEQUENCE = np.random.default_rng(0).normal(size=(3, 3, 2)).astype("float32")
MASK = np.arange(3) < np.array([[3], [0], [1]])


def test_numbers():
    got = check_layer(FlatSteps(4), SEQUENCE, MASK)
    assert got[0].tolist() == [*SEQUENCE[0].ravel().tolist(), 0, 0]
    assert got[1].tolist() == [0] * 8
    assert got[2].tolist() == [*SEQUENCE[2, 0].tolist(), *[0] * 6]


def test_padding_has_no_influence():
    longer = np.concatenate([SEQUENCE, np.full((3, 1, 2), np.nan, "float32")], axis=1)
    mask = np.pad(MASK, ((0, 0), (0, 1)))
    np.testing.assert_array_equal(FlatSteps(4)(longer, mask), FlatSteps(4)(SEQUENCE, MASK))


def test_more_steps_than_room():
    assert FlatSteps(2)(SEQUENCE, MASK).numpy()[0].tolist() == SEQUENCE[0, :2].ravel().tolist()


def test_half_precision():
    check_half_precision(FlatSteps(4), SEQUENCE, MASK)
