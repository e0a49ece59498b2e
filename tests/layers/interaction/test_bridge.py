import numpy as np
import pytest

from deeprec_tf.layers import Bridge
from tests.layers.contract import check_half_precision, check_layer, randomize
from tests.reference.cross import bridge_weights, concatenation_bridge

GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(3, 4)).astype("float32")
H = GENERATOR.normal(size=(3, 4)).astype("float32")


def built(bridge_type, **options):
    layer = Bridge(bridge_type, **options)
    layer.build(X.shape, H.shape)
    return layer, randomize(layer)


def test_numbers_of_the_bridges_without_weights():
    layer, w = built("pointwise_addition")
    np.testing.assert_allclose(check_layer(layer, X, H, time_axes=()), X + H, atol=1e-6)
    assert not w and layer.explain(X, H) == {}
    layer, w = built("hadamard_product")
    np.testing.assert_allclose(check_layer(layer, X, H, time_axes=()), X * H, atol=1e-6)
    assert not w and layer.explain(X, H) == {}


def test_numbers_of_the_concatenation():
    layer, w = built("concatenation")
    wanted = concatenation_bridge(X, H, w["joint/kernel"].T, w["joint/bias"])
    np.testing.assert_allclose(check_layer(layer, X, H, time_axes=()), wanted, atol=1e-5)


@pytest.mark.parametrize(("given", "units"), [(None, 4), (3, 3)])
def test_numbers_of_the_attention(given, units):
    layer, w = built("attention_pooling", attention_units=given)
    nets = [
        (w[f"{b}_hidden/kernel"].T, w[f"{b}_hidden/bias"], w[f"{b}_score/kernel"][:, 0])
        for b in ("cross", "deep")
    ]
    assert nets[0][0].shape == (units, 4)
    weights = bridge_weights(X, H, *nets)
    wanted = weights[:, :1] * X + weights[:, 1:] * H
    np.testing.assert_allclose(check_layer(layer, X, H, time_axes=()), wanted, atol=1e-5)
    np.testing.assert_allclose(layer.explain(X, H)["weights"], weights, atol=1e-6)


@pytest.mark.parametrize("bridge_type", ["concatenation", "attention_pooling"])
def test_half_precision(bridge_type):
    check_half_precision(Bridge(bridge_type), X, H)


def test_attention_has_a_network_for_each_branch():
    layer, _ = built("attention_pooling")
    kernels = [hidden.kernel.numpy() for hidden, _ in layer.networks]
    assert len(kernels) == 2 and not np.any(kernels[0] == kernels[1])
    assert len(layer.trainable_weights) == 6
    there, back = layer.explain(X, H)["weights"], layer.explain(H, X)["weights"]
    assert np.max(np.abs(there - np.asarray(back)[:, ::-1])) > 0.01, (
        "one network for both would weigh the branches alike when they change places"
    )


def test_attention_weights_sum_to_one_over_the_branches():
    """A softmax over one score alone would weigh both branches 1."""
    layer, _ = built("attention_pooling")
    weights = np.asarray(layer.explain(X, H)["weights"])
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-6)
    assert np.all((weights > 0) & (weights < 1))


def test_errors():
    with pytest.raises(ValueError, match="bridge_type must be one of .*concatenation.*got 'sum'"):
        Bridge("sum")
    with pytest.raises(ValueError, match="must be of one width, got 4 and 2"):
        Bridge()(X, H[:, :2])
