import numpy as np
import pytest

from deeprec_tf.layers import BilinearFusion
from tests.layers.contract import check_half_precision, check_layer, randomize
from tests.reference.interaction_rest import bilinear_fusion

GENERATOR = np.random.default_rng(0)
FIRST = GENERATOR.normal(size=(4, 6)).astype("float32")
SECOND = GENERATOR.normal(size=(4, 4)).astype("float32")


def built(num_heads):
    layer = BilinearFusion(num_heads)
    layer.build(FIRST.shape, SECOND.shape)
    return layer, randomize(layer)


@pytest.mark.parametrize("num_heads", [1, 2])
def test_numbers(num_heads):
    layer, w = built(num_heads)
    assert w["bilinear"].shape == (num_heads, 6 // num_heads, 4 // num_heads)
    wanted = bilinear_fusion(
        FIRST, SECOND, w["first_kernel"][:, 0], w["second_kernel"][:, 0], w["bilinear"]
    )
    got = check_layer(layer, FIRST, SECOND, time_axes=())
    np.testing.assert_allclose(got, wanted, atol=1e-4)


def test_half_precision():
    check_half_precision(BilinearFusion(2), 0.3 * FIRST, 0.3 * SECOND)


def test_heads_are_one_head_with_blocks_on_the_diagonal():
    heads, w = built(2)
    one, _ = built(1)
    full = np.zeros((1, 6, 4))
    full[0, :3, :2], full[0, 3:, 2:] = w["bilinear"]
    one.set_weights([w["first_kernel"], w["second_kernel"], full])
    np.testing.assert_allclose(heads(FIRST, SECOND), one(FIRST, SECOND), atol=1e-5)


def test_widths_must_be_divisible():
    message = r"widths 6 and 4 must be divisible by num_heads=3\. Change"
    with pytest.raises(ValueError, match=message):
        BilinearFusion(3)(FIRST, SECOND)
    with pytest.raises(ValueError, match="num_heads must be 1 or more, got 0"):
        BilinearFusion(0)
