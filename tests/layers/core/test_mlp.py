import json

import numpy as np
import pytest

from deeprec_tf.layers import MLP, PReLU, activation_layer
from tests.layers.contract import check_half_precision, check_layer, randomize
from tests.reference import core

X = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")


@pytest.mark.parametrize("activation", ["relu", "sigmoid", "dice", "prelu"])
def test_contract(activation):
    layer = MLP((4, 2), activation=activation, dropout=(0.5, 0.0), batch_norm=True)
    check_layer(layer, X)
    check_half_precision(layer, X)


@pytest.mark.parametrize("activation", ["relu", "sigmoid", "tanh"])
def test_numbers(activation):
    layer = MLP((4, 2), activation=activation)
    layer.build(X.shape)
    w = randomize(layer)
    layers = [(w[f"dense_{i}/kernel"], w[f"dense_{i}/bias"], None) for i in range(2)]
    np.testing.assert_allclose(layer(X), core.mlp(X, layers, activation), atol=1e-5)


def test_numbers_with_batch_normalization():
    layer = MLP((4,), activation="relu", batch_norm=True)
    layer.build(X.shape)
    w = randomize(layer)
    norm = [w[f"norm_0/{name}"] for name in ("gamma", "beta", "moving_mean", "moving_variance")]
    layers = [(w["dense_0/kernel"], None, (*norm, 1e-5))]
    np.testing.assert_allclose(layer(X), core.mlp(X, layers, "relu"), atol=1e-5)


def test_no_layer_is_the_identity():
    np.testing.assert_array_equal(MLP(())(X), X)


def test_mask_reaches_dice():
    """Statistics of a masked step would move the others' outputs."""
    layer = MLP((3,), activation="dice")
    steps = np.random.default_rng(1).normal(size=(2, 3, 4)).astype("float32")
    mask = np.array([[True, True, False], [True, False, False]])
    got = layer(steps, mask=mask, training=True).numpy()
    steps[~mask] = 50
    np.testing.assert_allclose(layer(steps, mask=mask, training=True).numpy()[mask], got[mask],
                               atol=1e-5)  # fmt: skip


def test_dropout_only_in_training():
    layer = MLP((50,), dropout=0.5)
    np.testing.assert_array_equal(layer(X), layer(X, training=False))
    dropped = layer(X, training=True).numpy()
    kept = dropped != 0
    assert 0.1 < kept.mean() < np.mean(layer(X).numpy() != 0)
    np.testing.assert_allclose(dropped[kept], 2 * layer(X).numpy()[kept], rtol=1e-5)


def test_l2_counts_kernels_only():
    layer = MLP((4,), l2=0.1)
    layer(X)
    layer.blocks[0][0].bias.assign(np.full(4, 7.0))
    layer(X)
    kernel = layer.blocks[0][0].kernel.numpy()
    assert float(sum(layer.losses)) == pytest.approx(0.1 * np.sum(kernel**2), rel=1e-5)


@pytest.mark.parametrize("dropout", [1.0, -0.1, (0.1,), (0.1, 0.2, 0.3)])
def test_bad_dropout(dropout):
    with pytest.raises(ValueError, match="dropout must be one number"):
        MLP((4, 4), dropout=dropout)


def test_unknown_activation():
    with pytest.raises(ValueError, match="activation 'dicee' is unknown"):
        MLP((4,), activation="dicee")


def test_prelu():
    layer = PReLU()
    check_layer(layer, X)
    np.testing.assert_allclose(layer(X), core.prelu(X, [0.25] * 3), atol=1e-6)
    alpha = randomize(layer)["alpha"]
    np.testing.assert_allclose(layer(X), core.prelu(X, alpha), atol=1e-6)


def test_prelu_has_an_open_time_axis():
    layer = activation_layer("prelu")
    layer.build((None, None, 4))
    assert layer.alpha.shape == (4,)


@pytest.mark.parametrize("hidden_units", [64, None, "64", (0,), (4, -1), (4.0,), (True,), ((4,),)])
def test_bad_widths(hidden_units):
    wanted = r"tower: hidden_units must be a list of positive widths such as \(64,\), got"
    with pytest.raises(ValueError, match=wanted):
        MLP(hidden_units, name="tower")


@pytest.mark.parametrize("dropout", [None, (0.1, None), (0.1, "0.1")])
def test_dropout_that_is_no_number(dropout):
    with pytest.raises(ValueError, match="dropout must be one number"):
        MLP((4, 4), dropout=dropout)


@pytest.mark.parametrize("dropout", [np.float32(0.25), np.float16(0.25), np.array([0.25, 0.5])])
def test_numpy_scalars_are_numbers(dropout):
    config = MLP(np.array([4, 2]), dropout=dropout, name="tower").get_config()
    assert json.loads(json.dumps({n: config[n] for n in ("hidden_units", "dropout")})) == {
        "hidden_units": [4, 2], "dropout": np.asarray(dropout).tolist()
    }  # fmt: skip
