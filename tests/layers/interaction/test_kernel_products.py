import numpy as np
import pytest

from deeprec_tf.layers import KernelProducts
from tests.layers.contract import check_half_precision, check_layer, randomize
from tests.reference.pairs import bilinear, hadamard_pairs, pairs_by_halves

FIELDS = np.random.default_rng(0).normal(size=(4, 5, 3)).astype("float32")


def test_numbers():
    layer = KernelProducts()
    layer.build(FIELDS.shape)
    (kernel,) = randomize(layer).values()
    got = check_layer(layer, FIELDS, time_axes=())
    wanted = bilinear(FIELDS.astype("float64"), lambda i, j, p: kernel[p]).sum(axis=2)
    np.testing.assert_allclose(got, wanted, atol=1e-5)
    check_half_precision(layer, 0.3 * FIELDS)


def test_identities_give_the_inner_products():
    layer = KernelProducts()
    layer.build(FIELDS.shape)
    layer.pairs.kernel.assign(np.broadcast_to(np.eye(3), (10, 3, 3)))
    wanted = hadamard_pairs(FIELDS.astype("float64"), pairs_by_halves).sum(axis=2)
    np.testing.assert_allclose(layer(FIELDS), wanted, atol=1e-5)


def test_one_field_has_no_pair():
    with pytest.raises(ValueError, match="pairs need two fields or more, got 1"):
        KernelProducts()(FIELDS[:, :1])
