import numpy as np

from deeprec_tf.layers import OuterProduct
from tests.layers.contract import check_half_precision, check_layer
from tests.reference.pairs import outer_product

FIELDS = np.random.default_rng(0).normal(size=(4, 5, 3)).astype("float32")


def test_numbers():
    got = check_layer(OuterProduct(), FIELDS, time_axes=())
    np.testing.assert_allclose(got, outer_product(FIELDS.astype("float64")), atol=1e-5)
    check_half_precision(OuterProduct(), 0.3 * FIELDS)


def test_it_is_the_outer_product_of_the_sum_of_fields():
    total = FIELDS.sum(axis=1)
    wanted = np.stack([np.outer(row, row).ravel() for row in total])
    np.testing.assert_allclose(OuterProduct()(FIELDS), wanted, atol=1e-5)
