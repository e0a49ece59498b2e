import numpy as np
import pytest

from deeprec_tf.layers import MaskBlock
from tests.layers.contract import check_half_precision, check_layer, randomize
from tests.reference.interaction_rest import instance_mask, layer_norm, mask_block

GENERATOR = np.random.default_rng(0)
HIDDEN = GENERATOR.normal(size=(4, 5)).astype("float32")
FLAT = GENERATOR.normal(size=(4, 7)).astype("float32")


def built(units=3, **options):
    layer = MaskBlock(units, **options)
    layer.build(HIDDEN.shape, FLAT.shape)
    return layer


def mask_of(w):
    pairs = [(w[f"{name}/kernel"], w[f"{name}/bias"]) for name in ("mask_hidden", "mask_output")]
    return instance_mask(FLAT.astype("float64"), *pairs)


def test_numbers():
    layer = built(reduction_ratio=2)
    w = randomize(layer)
    assert w["mask_hidden/kernel"].shape == (7, 10)
    wanted = mask_block(
        HIDDEN.astype("float64"), mask_of(w), w["dense/kernel"], w["norm/gamma"], w["norm/beta"]
    )
    np.testing.assert_allclose(
        check_layer(layer, HIDDEN, FLAT, time_axes=(), tolerance=1e-4), wanted, atol=1e-4
    )


def test_explain_gives_the_masks():
    layer = built(reduction_ratio=0.6)
    w = randomize(layer)
    got = layer.explain(HIDDEN, FLAT)
    assert list(got) == ["masks"]
    np.testing.assert_allclose(got["masks"], mask_of(w), atol=1e-5)


def test_half_precision():
    check_half_precision(built(8), HIDDEN, FLAT)


def test_a_mask_of_ones_leaves_a_plain_block():
    layer = built()
    w = randomize(layer)
    layer.mask_output.kernel.assign(np.zeros((10, 5)))
    layer.mask_output.bias.assign(np.ones(5))
    rows = HIDDEN.astype("float64") @ w["dense/kernel"]
    wanted = [layer_norm(row, w["norm/gamma"], w["norm/beta"]) for row in rows]
    np.testing.assert_allclose(layer(HIDDEN, FLAT), np.maximum(wanted, 0), atol=1e-4)


def test_dropout_in_training_only():
    layer = built(64, dropout=0.5)
    calm = np.asarray(layer(HIDDEN, FLAT))
    np.testing.assert_array_equal(layer(HIDDEN, FLAT), calm)
    dropped = np.asarray(layer(HIDDEN, FLAT, training=True))
    assert 0.3 < np.mean(dropped[calm > 0] == 0) < 0.7


@pytest.mark.parametrize(
    ("arguments", "options"), [((0,), {}), ((3,), {"reduction_ratio": 0})]
)
def test_errors(arguments, options):
    with pytest.raises(ValueError, match="units must be 1 or more and reduction_ratio positive"):
        MaskBlock(*arguments, **options)
