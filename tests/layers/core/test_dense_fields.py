import numpy as np
import pytest

from deeprec_tf.layers import DenseFields
from tests.layers.contract import check_half_precision, check_layer, randomize
from tests.reference.core import dense_fields

NUMBERS = np.random.default_rng(0).normal(size=(3, 2)).astype("float32")


def test_numbers():
    layer = DenseFields(4)
    layer.build(NUMBERS.shape)
    vectors = randomize(layer)["vectors"]
    got = check_layer(layer, NUMBERS, time_axes=())
    np.testing.assert_allclose(got, dense_fields(NUMBERS, vectors), atol=1e-6)
    check_half_precision(layer, NUMBERS)


def test_zero_gives_the_zero_vector():
    assert not np.any(DenseFields(4)(np.zeros((2, 3), "float32")))


def test_errors():
    with pytest.raises(ValueError, match="embedding_dim must be a positive integer, got 0"):
        DenseFields(0)
