import numpy as np

from deeprec_tf.layers import FM
from tests.layers.contract import check_half_precision, check_layer
from tests.reference.interaction import fm

FIELDS = np.random.default_rng(0).normal(size=(4, 5, 3)).astype("float32")


def test_numbers():
    got = check_layer(FM(), FIELDS, time_axes=())
    np.testing.assert_allclose(got, fm(FIELDS.astype("float64")), atol=1e-5)
    check_half_precision(FM(), 0.3 * FIELDS)


def test_one_field_has_no_pair():
    np.testing.assert_allclose(FM()(FIELDS[:, :1]), np.zeros((4, 1)), atol=1e-6)
