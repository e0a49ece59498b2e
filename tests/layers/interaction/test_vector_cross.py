import numpy as np

from deeprec_tf.layers import VectorCross
from tests.layers.contract import check_half_precision, check_layer, randomize
from tests.reference.cross import vector_cross

GENERATOR = np.random.default_rng(0)
X0 = GENERATOR.normal(size=(3, 5)).astype("float32")
X = GENERATOR.normal(size=(3, 5)).astype("float32")


def test_numbers():
    layer = VectorCross()
    layer.build(X0.shape, X.shape)
    w = randomize(layer)
    got = check_layer(layer, X0, X, time_axes=())
    np.testing.assert_allclose(
        got, vector_cross(X0, X, w["kernel"][:, 0], w["bias"]), atol=1e-5
    )


def test_half_precision():
    check_half_precision(VectorCross(), 0.3 * X0, 0.3 * X)


def test_without_weights_it_is_the_identity():
    layer = VectorCross()
    layer.build(X0.shape, X.shape)
    layer.set_weights([np.zeros(weight.shape) for weight in layer.weights])
    np.testing.assert_array_equal(layer(X0, X), X)
