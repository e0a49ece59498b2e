import keras
import numpy as np
import pytest

from deeprec_tf.layers import RegulationGate
from tests.layers.contract import check_half_precision, check_layer, randomize
from tests.reference.cross import regulate, regulation_gates

GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(4, 6)).astype("float32")  # 3 fields of width 2
FIELDS = 3


def built(gate_type="FGU", **options):
    layer = RegulationGate(FIELDS, gate_type, **options)
    layer.build(X.shape)
    return layer, randomize(layer)


def gates_of(layer):
    return np.asarray(layer.explain(X)["gates"])


@pytest.mark.parametrize("scale", [False, True])
@pytest.mark.parametrize(("gate_type", "temperature"), [("FGU", 1.0), ("FGU", 0.3), ("BGU", 2.0)])
def test_numbers(gate_type, temperature, scale):
    layer, w = built(gate_type, temperature=temperature, scale=scale)
    gates = regulation_gates(w["logits"], temperature, scale)
    got = check_layer(layer, X, time_axes=())
    np.testing.assert_allclose(got, regulate(X, gates, FIELDS), atol=1e-5)
    assert list(layer.explain(X)) == ["gates"]
    shape = (3,) if gate_type == "FGU" else (3, 2)
    np.testing.assert_allclose(gates_of(layer), gates.reshape(shape), atol=1e-6)


def test_half_precision():
    check_half_precision(RegulationGate(FIELDS, "BGU", scale=True), X)


@pytest.mark.parametrize(
    ("gate_type", "scale", "total"),
    [("FGU", False, 1), ("FGU", True, 3), ("BGU", False, 1), ("BGU", True, 6)],
)
def test_gates_sum_to_one_over_the_fields_or_to_their_number(gate_type, scale, total):
    layer, _ = built(gate_type, scale=scale)
    assert gates_of(layer).sum() == pytest.approx(total, abs=1e-5)


@pytest.mark.parametrize("gate_type", ["FGU", "BGU"])
def test_softmax_runs_over_the_fields_and_not_over_one_gate(gate_type):
    """Over an axis of size 1 every gate would be 1 and the layer would do nothing."""
    layer, _ = built(gate_type)
    gates = gates_of(layer)
    assert len(np.unique(gates)) == gates.size
    assert np.all(gates < 1)


@pytest.mark.parametrize("gate_type", ["FGU", "BGU"])
def test_gates_change_under_training(gate_type):
    layer = RegulationGate(FIELDS, gate_type)
    model = keras.Sequential([keras.Input((6,)), layer, keras.layers.Dense(1)])
    before = gates_of(layer)
    np.testing.assert_allclose(before, before.flat[0])
    model.compile(keras.optimizers.Adam(0.1), "mse")
    for _ in range(5):
        model.train_on_batch(X, X[:, :1])
    after = gates_of(layer)
    assert after[0].max() > before.max() + 0.01, "the field that the label is made of gains"
    assert after.sum() == pytest.approx(1, abs=1e-5)


def test_temperature_and_not_its_inverse_survives_a_round_trip():
    layer, _ = built(temperature=0.25)
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert copy.temperature == 0.25
    copy.set_weights(layer.get_weights())
    np.testing.assert_array_equal(gates_of(copy), gates_of(layer))


@pytest.mark.parametrize("gate_type", ["FGU", "BGU"])
def test_high_temperature_makes_the_gates_equal_and_a_low_one_chooses(gate_type):
    equal, w = built(gate_type, temperature=1e6)
    np.testing.assert_allclose(gates_of(equal), 1 / w["logits"].size, atol=1e-5)
    chosen, w = built(gate_type, temperature=1e-3)
    wanted = (w["logits"] == w["logits"].max()).astype("float32")
    np.testing.assert_allclose(gates_of(chosen).ravel(), wanted.ravel(), atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((3, "field"), {}, "gate_type must be one of .*FGU.*got 'field'"),
        ((3,), {"temperature": 0}, "temperature must be above 0, got 0"),
        ((4,), {}, "4 fields do not divide the width 6"),
        ((1,), {}, "softmax over 1 field is always 1"),
    ],
)
def test_errors(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        RegulationGate(*arguments, **options)(X)
