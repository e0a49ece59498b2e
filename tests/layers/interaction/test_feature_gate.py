import numpy as np
import pytest

from deeprec_tf.layers import FeatureGate
from tests.layers.contract import check_half_precision, check_layer, randomize
from tests.reference.interaction_rest import feature_gates

GENERATOR = np.random.default_rng(0)
FLAT = GENERATOR.normal(size=(4, 5)).astype("float32")
CONTEXT = GENERATOR.normal(size=(4, 3)).astype("float32")


def built(with_context=True, **options):
    layer = FeatureGate(**options)
    layer.build(FLAT.shape, *([CONTEXT.shape] if with_context else []))
    return layer, randomize(layer)


def gates_of(w, context):
    hidden = [
        (w[f"hidden/dense_{i}/kernel"], w[f"hidden/dense_{i}/bias"])
        for i in range(2) if f"hidden/dense_{i}/kernel" in w
    ]  # fmt: skip
    return feature_gates(context, hidden, (w["gate/kernel"], w["gate/bias"]))


@pytest.mark.parametrize("hidden_units", [(), (6,), (6, 4)])
def test_numbers(hidden_units):
    layer, w = built(hidden_units=hidden_units)
    gates = gates_of(w, CONTEXT.astype("float64"))
    got = check_layer(layer, FLAT, CONTEXT, time_axes=())
    np.testing.assert_allclose(got, FLAT * gates, atol=1e-5)
    explained = layer.explain(FLAT, CONTEXT)
    assert list(explained) == ["gates"]
    np.testing.assert_allclose(explained["gates"], gates, atol=1e-5)


def test_a_learned_vector_gives_all_rows_the_same_gates():
    layer, w = built(with_context=False, hidden_units=(6,), context_units=3)
    gates = gates_of(w, w["context"])
    got = check_layer(layer, FLAT, time_axes=())
    np.testing.assert_allclose(got, FLAT * gates, atol=1e-5)
    explained = layer.explain(FLAT)["gates"]
    assert explained.shape == (5,), "a parameter has no batch axis"
    np.testing.assert_allclose(explained, gates[0], atol=1e-5)


def test_an_undecided_net_leaves_the_features_as_they_are():
    layer, _ = built()
    layer.gate.kernel.assign(np.zeros((64, 5)))
    layer.gate.bias.assign(np.zeros(5))
    np.testing.assert_allclose(layer(FLAT, CONTEXT), FLAT, rtol=1e-6)


def test_half_precision():
    check_half_precision(FeatureGate((6,)), FLAT, CONTEXT)
    check_half_precision(FeatureGate((6,)), FLAT)
