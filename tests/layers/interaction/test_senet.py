import numpy as np
import pytest

from deeprec_tf.layers import SENET
from tests.layers.contract import check_half_precision, check_layer, randomize
from tests.reference.pairs import senet

FIELDS = np.random.default_rng(0).normal(size=(4, 6, 3)).astype("float32")


def built(ratio=3):
    layer = SENET(ratio)
    layer.build(FIELDS.shape)
    return layer, randomize(layer)


def test_numbers():
    layer, w = built()
    got = check_layer(layer, FIELDS, time_axes=())
    weights, scaled = senet(FIELDS.astype("float64"), w["squeeze_kernel"], w["excite_kernel"])
    np.testing.assert_allclose(got, scaled, atol=1e-5)
    explained = layer.explain(FIELDS)
    assert explained.keys() == {"weights"}
    np.testing.assert_allclose(explained["weights"], weights, atol=1e-5)
    assert np.ptp(weights, axis=0).max() > 0.01, "the importance depends on the row"


def test_half_precision():
    check_half_precision(SENET(), 0.3 * FIELDS)


def test_excitation_of_ones_leaves_the_fields_as_they_are():
    layer, _ = built()
    one = FIELDS - FIELDS.mean(axis=2, keepdims=True) + 1  # the mean of each field is 1
    layer.squeeze_kernel.assign(np.full((6, 2), 1 / 6))
    layer.excite_kernel.assign(np.full((2, 6), 1 / 2))
    np.testing.assert_allclose(layer(one), one, atol=1e-5)


@pytest.mark.parametrize(("ratio", "units"), [(3, 2), (1, 6), (4, 1), (100, 1)])
def test_bottleneck_has_at_least_one_unit(ratio, units):
    layer, _ = built(ratio)
    assert layer.squeeze_kernel.shape == (6, units) and layer.excite_kernel.shape == (units, 6)


def test_errors():
    with pytest.raises(ValueError, match="reduction_ratio must be at least 1, got 0"):
        SENET(0)
