import keras
import numpy as np
import pytest

from deeprec_tf.layers import ExpertGate
from tests.layers.contract import randomize
from tests.reference.multitask import expert_gate

GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(4, 5)).astype("float32")
EXPERTS = [GENERATOR.normal(size=(4, 3)).astype("float32") for _ in range(3)]


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_numbers(activation):
    layer = ExpertGate(activation)
    layer(X, EXPERTS)
    w = randomize(layer)
    gates, mixed = expert_gate(X, EXPERTS, w["logits/kernel"], activation)
    np.testing.assert_allclose(layer(X, EXPERTS), mixed, atol=1e-5)
    explained = layer.explain(X, EXPERTS)["gates"]
    np.testing.assert_allclose(explained, gates, atol=1e-6)
    if activation == "softmax":
        np.testing.assert_allclose(np.sum(explained, axis=1), 1.0, atol=1e-6)


def test_hidden_layer():
    layer = ExpertGate(hidden_units=(6,))
    layer(X, EXPERTS)
    w = randomize(layer)
    hidden = np.maximum(X @ w["hidden/dense_0/kernel"] + w["hidden/dense_0/bias"], 0)
    _, mixed = expert_gate(hidden, EXPERTS, w["logits/kernel"])
    np.testing.assert_allclose(layer(X, EXPERTS), mixed, atol=1e-5)


def test_one_expert_has_no_gate_to_train():
    layer = ExpertGate()
    np.testing.assert_array_equal(layer(X, EXPERTS[:1]), EXPERTS[0])
    assert not layer.weights
    np.testing.assert_array_equal(layer.explain(X, EXPERTS[:1])["gates"], np.ones((4, 1)))


def test_config_shape_and_half_precision():
    layer = ExpertGate("sigmoid", hidden_units=(2,), dtype="mixed_bfloat16")
    copy = ExpertGate.from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()
    symbols = [keras.Input((3,)) for _ in EXPERTS]
    assert copy(keras.Input((5,)), symbols).shape == (None, 3)
    assert copy(X, EXPERTS).dtype == "bfloat16"
    assert copy.logits.kernel.dtype == "float32"


def test_errors():
    with pytest.raises(ValueError, match="activation must be one of .*, got 'relu'"):
        ExpertGate("relu")
