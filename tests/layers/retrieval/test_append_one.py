import numpy as np
import pytest

from deeprec_tf.layers import AppendOne
from tests.layers.contract import check_half_precision, check_layer

VECTORS = np.random.default_rng(0).normal(size=(3, 4, 2)).astype("float32")


@pytest.mark.parametrize("vectors", [VECTORS, VECTORS[:, 0]])
def test_an_inner_product_with_a_bias(vectors):
    got = check_layer(AppendOne(), vectors, time_axes=(1,) if vectors.ndim == 3 else ())
    item, bias = np.array([0.5, -2.0]), 0.25
    np.testing.assert_allclose(got @ [*item, bias], vectors @ item + bias, atol=1e-6)
    check_half_precision(AppendOne(), vectors)
