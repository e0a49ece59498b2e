import numpy as np

from deeprec_tf.layers import MatrixCross, VectorCross
from tests.layers.contract import check_half_precision, check_layer, randomize
from tests.reference.cross import matrix_cross

GENERATOR = np.random.default_rng(0)
X0 = GENERATOR.normal(size=(3, 5)).astype("float32")
X = GENERATOR.normal(size=(3, 5)).astype("float32")


def test_numbers():
    layer = MatrixCross()
    layer.build(X0.shape, X.shape)
    w = randomize(layer)
    got = check_layer(layer, X0, X, time_axes=())
    np.testing.assert_allclose(got, matrix_cross(X0, X, w["kernel"].T, w["bias"]), atol=1e-5)


def test_half_precision():
    check_half_precision(MatrixCross(), 0.3 * X0, 0.3 * X)


def test_rank_one_matrix_with_matching_bias_is_the_vector_form():
    """W = 1·wᵀ; the vector form's b is x_0 ∘ b here, which one row of x_0 can match."""
    matrix, vector = MatrixCross(), VectorCross()
    for layer in (matrix, vector):
        layer.build(X0.shape, X.shape)
    w = randomize(vector)
    kernel = w["kernel"] @ np.ones((1, 5))  # transposed, as the layer keeps it
    matrix.set_weights([kernel, w["bias"] / X0[0]])
    np.testing.assert_allclose(matrix(X0[:1], X[:1]), vector(X0[:1], X[:1]), atol=1e-5)
    matrix.set_weights([kernel, np.zeros(5)])
    vector.set_weights([w["kernel"], np.zeros(5)])
    np.testing.assert_allclose(matrix(X0, X), vector(X0, X), atol=1e-5)


def test_without_weights_it_is_the_identity():
    layer = MatrixCross()
    layer.build(X0.shape, X.shape)
    layer.set_weights([np.zeros(weight.shape) for weight in layer.weights])
    np.testing.assert_array_equal(layer(X0, X), X)
