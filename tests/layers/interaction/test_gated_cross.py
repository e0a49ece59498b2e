import numpy as np

from deeprec_tf.layers import GatedCross, MatrixCross
from tests.layers.contract import check_half_precision, check_layer, randomize
from tests.reference.cross import gated_cross, information_gates

GENERATOR = np.random.default_rng(0)
X0 = GENERATOR.normal(size=(3, 5)).astype("float32")
X = GENERATOR.normal(size=(3, 5)).astype("float32")


def built():
    layer = GatedCross()
    layer.build(X0.shape, X.shape)
    return layer, randomize(layer)


def test_numbers():
    layer, w = built()
    got = check_layer(layer, X0, X, time_axes=())
    wanted = gated_cross(X0, X, w["kernel"].T, w["bias"], w["gate"].T)
    np.testing.assert_allclose(got, wanted, atol=1e-5)
    explained = layer.explain(X0, X)
    assert list(explained) == ["gates"]
    np.testing.assert_allclose(explained["gates"], information_gates(X, w["gate"].T), atol=1e-6)


def test_half_precision():
    check_half_precision(GatedCross(), 0.3 * X0, 0.3 * X)


def test_with_open_gates_it_is_the_matrix_form():
    layer, w = built()
    layer.gate.assign(np.full((5, 5), 100.0))
    matrix = MatrixCross()
    matrix.build(X0.shape, X.shape)
    matrix.set_weights([w["kernel"], w["bias"]])
    positive = np.abs(X) + 0.1
    np.testing.assert_allclose(layer(X0, positive), matrix(X0, positive), atol=1e-5)


def test_with_shut_gates_it_is_the_identity():
    layer, _ = built()
    layer.gate.assign(np.full((5, 5), -100.0))
    positive = np.abs(X) + 0.1
    np.testing.assert_allclose(layer(X0, positive), positive, atol=1e-6)


def test_gate_and_matrix_are_drawn_apart():
    layer = GatedCross()
    layer.build(X0.shape, X.shape)
    assert not np.any(layer.kernel.numpy() == layer.gate.numpy())
