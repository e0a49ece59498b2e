import keras
import numpy as np
import pytest

from deeprec_tf import SparseFeat
from deeprec_tf.models import DCN, EDCN
from tests.layers.contract import randomize
from tests.models.crosses import COLUMNS, FIELDS, LABELS, PRICE, X, flat_of, probability, weights_of
from tests.reference.core import dense_fields, mlp, sigmoid
from tests.reference.cross import (
    bridge_weights,
    concatenation_bridge,
    regulate,
    regulation_gates,
    vector_cross,
)

F, D = 5, 3  # three categories and two numbers
BRIDGES = ("pointwise_addition", "hadamard_product", "concatenation", "attention_pooling")


def fields_of(model):
    """(B, F·D), numbers as fields behind the categories."""
    vectors = weights_of(model)["number_fields/vectors"]
    numbers = dense_fields(X["price"].astype("float64"), vectors).reshape(6, -1)
    return np.concatenate([flat_of(model)[:, :9], numbers], axis=1)


def reference(model, layers, bridge_type, gated=True, temperature=1.0, scale=False):
    """The last cross, deep and bridge vector, from the equations."""
    w, y, x0 = weights_of(model), fields_of(model), None
    for i in range(layers):
        c, d = y, y
        if gated:
            c, d = (
                regulate(y, regulation_gates(w[f"{b}_gate_{i}/logits"], temperature, scale), F)
                for b in ("cross", "deep")
            )
        x0 = c if x0 is None else x0
        x = vector_cross(x0, c, w[f"cross_{i}/kernel"][:, 0], w[f"cross_{i}/bias"])
        deep = [(w[f"deep_{i}/dense_0/kernel"], w[f"deep_{i}/dense_0/bias"], None)]
        h = mlp(d, deep, "relu")
        if bridge_type == "pointwise_addition":
            y = x + h
        elif bridge_type == "hadamard_product":
            y = x * h
        elif bridge_type == "concatenation":
            y = concatenation_bridge(
                x, h, w[f"bridge_{i}/joint/kernel"].T, w[f"bridge_{i}/joint/bias"]
            )
        else:
            nets = [
                tuple(
                    w[f"bridge_{i}/{branch}_{part}"].T
                    for part in ("hidden/kernel", "hidden/bias", "score/kernel")
                )
                for branch in ("cross", "deep")
            ]
            weights = bridge_weights(x, h, *((m, b, p[0]) for m, b, p in nets))
            y = weights[:, :1] * x + weights[:, 1:] * h
    return np.concatenate([x, h, y], axis=1)


def squashed(logit, model):
    bias = weights_of(model)["probability/bias"][0]
    return [sigmoid(value + bias) for value in logit]


@pytest.mark.parametrize("bridge_type", BRIDGES)
@pytest.mark.parametrize(
    ("gate_type", "temperature", "scale"), [("FGU", 5.0, True), ("BGU", 0.5, False)]
)
def test_numbers(bridge_type, gate_type, temperature, scale):
    model = EDCN(
        COLUMNS, cross_num=2, gate_type=gate_type, bridge_type=bridge_type,
        temperature=temperature, gate_scale=scale,
    )
    randomize(model, scale=0.5)
    vectors = reference(model, 2, bridge_type, temperature=temperature, scale=scale)
    logit = vectors @ weights_of(model)["branches_logit/kernel"][:, 0]
    np.testing.assert_allclose(probability(model), squashed(logit, model), atol=1e-5)


def test_numbers_without_gates_and_with_a_tower():
    model = EDCN(COLUMNS, cross_num=3, gate_type=None, hidden_units=(4,))
    assert not [layer.name for layer in model.layers if "gate" in layer.name]
    randomize(model, scale=0.5)
    w = weights_of(model)
    tower = [(w["tower/dense_0/kernel"], w["tower/dense_0/bias"], None)]
    hidden = mlp(reference(model, 3, "concatenation", gated=False), tower, "relu")
    logit = hidden @ w["branches_logit/kernel"][:, 0]
    np.testing.assert_allclose(probability(model), squashed(logit, model), atol=1e-5)


def test_without_gates_one_layer_has_dcns_cross_branch():
    """The bridge of the only layer feeds nothing but the output, so the branches are DCN's."""
    model = EDCN(FIELDS, cross_num=1, gate_type=None, bridge_type="pointwise_addition")
    dcn = DCN(FIELDS, cross_num=1, hidden_units=(9,))
    randomize(model, scale=0.5)
    w = weights_of(model)
    kernel = w["branches_logit/kernel"].reshape(3, 9)  # on x, h and x + h
    weights = {
        **w, "tower/dense_0/kernel": w["deep_0/dense_0/kernel"],
        "tower/dense_0/bias": w["deep_0/dense_0/bias"],
        "branches_logit/kernel": (kernel[:2] + kernel[2]).reshape(18, 1),
    }
    for weight in dcn.weights:
        weight.assign(weights[weight.path])
    np.testing.assert_allclose(probability(model), probability(dcn), atol=1e-5)


def test_numbers_are_fields_and_have_gates():
    model = EDCN(COLUMNS, cross_num=1)
    assert model.get_layer("cross_gate_0").explain(None)["gates"].shape == (F,)


@pytest.mark.parametrize("gate_type", ["FGU", "BGU"])
@pytest.mark.parametrize("scale", [False, True])
def test_gates_sum_to_one_over_fields_and_change_under_training(gate_type, scale):
    model = EDCN(COLUMNS, cross_num=2, gate_type=gate_type, gate_scale=scale,
                 optimizer=keras.optimizers.Adam(0.05))  # fmt: skip
    gates = [layer for layer in model.layers if "_gate_" in layer.name]
    assert len(gates) == 4, "a gate for each layer and branch"
    count = F if gate_type == "FGU" else F * D
    for _ in range(5):
        model.train_on_batch(X, LABELS)
    values = [np.asarray(gate.explain(None)["gates"]) for gate in gates]
    for gate in values:
        assert gate.sum() == pytest.approx(count if scale else 1, abs=1e-4)
        assert np.ptp(gate) > 0.01 * gate.mean(), "still equal, as at the start"
    assert np.max(np.abs(values[0] - values[1])) > 1e-4, "each branch has gates of its own"


def test_temperature_survives_saving(tmp_path):
    """A config that kept 1/τ would turn it upside down."""
    model = EDCN(COLUMNS, cross_num=1, temperature=0.2)
    randomize(model, scale=0.5)
    model.save(tmp_path / "edcn.keras")
    loaded = keras.saving.load_model(tmp_path / "edcn.keras")
    assert loaded.get_layer("deep_gate_0").temperature == 0.2
    np.testing.assert_array_equal(probability(loaded), probability(model))


def test_hadamard_products_of_products_need_batch_normalization():
    """Three of them multiply eight small factors: the plain form cannot leave its start."""
    losses = {}
    for batch_norm in (False, True):
        keras.utils.set_random_seed(0)
        model = EDCN(
            COLUMNS, bridge_type="hadamard_product", batch_norm=batch_norm, metrics=[],
            optimizer=keras.optimizers.Adam(0.01),
        )
        for _ in range(30):
            model.reset_metrics()
            loss = model.train_on_batch(X, LABELS)
        losses[batch_norm] = float(loss)
    assert losses[True] < 0.3 < losses[False]


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        (COLUMNS, {"cross_num": 0}, "EDCN: cross_num must be 1 or more, got 0"),
        (COLUMNS, {"gate_type": "field"}, "gate_type must be one of .*FGU.*got 'field'"),
        (COLUMNS, {"bridge_type": "sum"}, "bridge_type must be one of .*concatenation.*got 'sum'"),
        (COLUMNS, {"temperature": 0.0}, "temperature must be above 0"),
        ([PRICE], {}, "EDCN: interactions need at least one SparseFeat"),
        (FIELDS[:1], {}, "softmax over 1 field is always 1"),
        ([FIELDS[0], SparseFeat("item", 4, embedding_dim=5)], {}, "need one embedding_dim"),
    ],
)
def test_errors(columns, options, message):
    with pytest.raises(ValueError, match=message):
        EDCN(columns, **options)
