import numpy as np

from deeprec_tf.layers import FM, BiInteraction
from tests.layers.contract import check_half_precision, check_layer
from tests.reference.pairs import bi_interaction

FIELDS = np.random.default_rng(0).normal(size=(4, 5, 3)).astype("float32")


def test_numbers():
    got = check_layer(BiInteraction(), FIELDS, time_axes=())
    np.testing.assert_allclose(got, bi_interaction(FIELDS.astype("float64")), atol=1e-5)
    check_half_precision(BiInteraction(), 0.3 * FIELDS)


def test_its_sum_is_the_factorization_machine():
    total = np.asarray(BiInteraction()(FIELDS)).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(total, FM()(FIELDS), atol=1e-5)


def test_one_field_has_no_pair():
    np.testing.assert_allclose(BiInteraction()(FIELDS[:, :1]), np.zeros((4, 3)), atol=1e-6)
