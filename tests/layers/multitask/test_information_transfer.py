import numpy as np

from deeprec_tf.layers import InformationTransfer
from tests.layers.contract import check_half_precision, check_layer, randomize
from tests.reference.multitask import information_transfer

GENERATOR = np.random.default_rng(0)
P = GENERATOR.normal(size=(5, 4)).astype("float32")
Q = GENERATOR.normal(size=(5, 4)).astype("float32")


def test_numbers():
    layer = InformationTransfer()
    layer(P, Q)
    h1, h2, h3 = np.split(randomize(layer)["projection/kernel"], 3, axis=1)
    wanted, weights = information_transfer(P, Q, h1, h2, h3)
    np.testing.assert_allclose(check_layer(layer, P, Q, time_axes=()), wanted, atol=1e-5)
    explained = layer.explain(P, Q)["weights"]
    np.testing.assert_allclose(explained, weights, atol=1e-5)
    np.testing.assert_allclose(np.sum(explained, axis=1), 1.0, atol=1e-6)


def test_half_precision():
    check_half_precision(InformationTransfer(), P, Q)


def test_each_map_starts_as_a_matrix_of_its_own():
    layer = InformationTransfer()
    layer.build((None, 60), (None, 60))
    limit = np.sqrt(6 / 120)
    assert 0.9 * limit < np.max(np.abs(layer.projection.kernel)) <= limit
