import numpy as np
import pytest

from deeprec_tf.layers import InnerProducts
from tests.layers.contract import check_half_precision, check_layer
from tests.reference.interaction import fm
from tests.reference.interaction_rest import inner_products

FIELDS = np.random.default_rng(0).normal(size=(4, 5, 3)).astype("float32")


def test_numbers():
    got = check_layer(InnerProducts(), FIELDS, time_axes=())
    np.testing.assert_allclose(got, inner_products(FIELDS.astype("float64")), atol=1e-5)
    check_half_precision(InnerProducts(), 0.3 * FIELDS)


def test_their_sum_is_the_factorization_machine():
    total = np.asarray(InnerProducts()(FIELDS)).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(total, fm(FIELDS.astype("float64")), atol=1e-5)


def test_one_field_has_no_pair():
    with pytest.raises(ValueError, match="pairs need two fields or more, got 1"):
        InnerProducts()(FIELDS[:, :1])
