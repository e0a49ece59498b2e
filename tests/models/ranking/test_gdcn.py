import numpy as np
import pytest

from deeprec_tf.models import GDCN, DCNv2
from tests.layers.contract import randomize
from tests.models.crosses import COLUMNS, FLAT, flat_of, probability, weights_of
from tests.reference.core import mlp, sigmoid
from tests.reference.cross import gated_cross, information_gates


@pytest.mark.parametrize("structure", ["parallel", "stacked"])
def test_numbers(structure):
    model = GDCN(COLUMNS, cross_num=2, structure=structure, hidden_units=(4,))
    randomize(model, scale=0.4)
    w, x0 = weights_of(model), flat_of(model)
    x = x0
    for i in range(2):
        x = gated_cross(
            x0, x, w[f"cross_{i}/kernel"].T, w[f"cross_{i}/bias"], w[f"cross_{i}/gate"].T
        )
    tower = [(w["tower/dense_0/kernel"], w["tower/dense_0/bias"], None)]
    stacked = structure == "stacked"
    deep = mlp(x if stacked else x0, tower, "relu")
    branches = deep if stacked else np.concatenate([x, deep], axis=1)
    logit = branches @ w["branches_logit/kernel"][:, 0] + w["probability/bias"][0]
    np.testing.assert_allclose(probability(model), [sigmoid(v) for v in logit], atol=1e-5)


def test_open_gates_halve_the_crosses_of_dcn_v2():
    """σ(0) = 1/2: without gate weights it is DCN-V2 with half its matrices and biases."""
    gated = GDCN(COLUMNS, cross_num=2, hidden_units=(4,))
    matrix = DCNv2(COLUMNS, cross_num=2, hidden_units=(4,))
    randomize(gated, scale=0.4)
    for i in range(2):
        gated.get_layer(f"cross_{i}").gate.assign(np.zeros((FLAT, FLAT)))
    by_path = {weight.path: weight.numpy() for weight in gated.weights}
    for weight in matrix.weights:
        half = 0.5 if weight.path.startswith("cross_") else 1
        weight.assign(half * by_path[weight.path])
    np.testing.assert_allclose(probability(gated), probability(matrix), atol=1e-5)


def test_explain_gives_a_gate_an_element_and_layer():
    model = GDCN(COLUMNS, cross_num=2, hidden_units=())
    randomize(model, scale=0.4)
    x0 = flat_of(model).astype("float32")
    for i in range(2):
        gates = model.get_layer(f"cross_{i}").explain(x0, x0)["gates"]
        assert gates.shape == (6, FLAT)
        wanted = information_gates(x0, weights_of(model)[f"cross_{i}/gate"].T)
        np.testing.assert_allclose(gates, wanted, atol=1e-5)


def test_without_cross_layers_it_is_a_tower():
    model = GDCN(COLUMNS, cross_num=0, structure="stacked", hidden_units=(4,))
    randomize(model)
    w = weights_of(model)
    tower = [(w["tower/dense_0/kernel"], w["tower/dense_0/bias"], None)]
    logit = mlp(flat_of(model), tower, "relu") @ w["branches_logit/kernel"][:, 0]
    wanted = [sigmoid(value + w["probability/bias"][0]) for value in logit]
    np.testing.assert_allclose(probability(model), wanted, atol=1e-5)


def test_errors():
    with pytest.raises(ValueError, match="GDCN: cross_num must be 0 or more, got -2"):
        GDCN(COLUMNS, cross_num=-2)
    with pytest.raises(ValueError, match="GDCN: structure must be 'parallel' or 'stacked'"):
        GDCN(COLUMNS, structure="wide")
