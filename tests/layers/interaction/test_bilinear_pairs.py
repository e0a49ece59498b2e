import numpy as np
import pytest

from deeprec_tf.layers import BilinearPairs
from tests.layers.contract import check_half_precision, check_layer, randomize
from tests.reference.pairs import bilinear, hadamard_pairs, pairs_by_halves

FIELDS = np.random.default_rng(0).normal(size=(4, 5, 3)).astype("float32")
# Which of the stacked matrices a pair (i, j), the p-th, is given.
MATRIX = {
    "field_all": lambda i, j, p: 0,
    "field_each": lambda i, j, p: i,
    "field_interaction": lambda i, j, p: p,
}
COUNT = {"field_all": 1, "field_each": 4, "field_interaction": 10}


def built(bilinear_type):
    layer = BilinearPairs(bilinear_type)
    layer.build(FIELDS.shape)
    return layer, randomize(layer)["kernel"]


@pytest.mark.parametrize("bilinear_type", MATRIX)
def test_numbers(bilinear_type):
    layer, kernel = built(bilinear_type)
    assert kernel.shape == (COUNT[bilinear_type], 3, 3)
    got = check_layer(layer, FIELDS, time_axes=())
    chosen = MATRIX[bilinear_type]
    wanted = bilinear(FIELDS.astype("float64"), lambda *pair: kernel[chosen(*pair)])
    np.testing.assert_allclose(got, wanted, atol=1e-5)
    check_half_precision(layer, 0.3 * FIELDS)


@pytest.mark.parametrize("bilinear_type", MATRIX)
@pytest.mark.parametrize("count", [2, 3, 4])
def test_few_fields(bilinear_type, count):
    layer = BilinearPairs(bilinear_type)
    layer.build((None, count, 3))
    kernel, chosen = randomize(layer)["kernel"], MATRIX[bilinear_type]
    wanted = bilinear(FIELDS[:, :count], lambda *pair: kernel[chosen(*pair)])
    got = layer(FIELDS[:, :count])
    assert got.shape == layer.compute_output_shape((4, count, 3))
    np.testing.assert_allclose(got, wanted, atol=1e-5)


@pytest.mark.parametrize("bilinear_type", MATRIX)
def test_identity_matrices_give_plain_hadamard_pairs(bilinear_type):
    layer, kernel = built(bilinear_type)
    layer.kernel.assign(np.broadcast_to(np.eye(3), kernel.shape))
    wanted = hadamard_pairs(FIELDS.astype("float64"), pairs_by_halves)
    np.testing.assert_allclose(layer(FIELDS), wanted, atol=1e-5)


@pytest.mark.parametrize("bilinear_type", MATRIX)
def test_matrices_start_as_large_whatever_their_number(bilinear_type):
    layer = BilinearPairs(bilinear_type)
    layer.build((None, 9, 64))
    # Glorot's variance for a matrix of 64 by 64.
    np.testing.assert_allclose(np.var(layer.kernel), 2 / (64 + 64), rtol=0.1)


@pytest.mark.parametrize("short", ["all", "each", "interaction"])
def test_short_names(short):
    layer = BilinearPairs(short)
    assert layer.bilinear_type == f"field_{short}"
    assert layer.get_config()["bilinear_type"] == f"field_{short}"


def test_errors():
    with pytest.raises(ValueError, match="bilinear_type must be one of .*field_each.*got 'both'"):
        BilinearPairs("both")
    with pytest.raises(ValueError, match="pairs need two fields or more, got 1"):
        BilinearPairs()(FIELDS[:, :1])
