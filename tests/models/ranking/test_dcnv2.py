import numpy as np
import pytest

from deeprec_tf.models import DCN, DCNv2
from tests.layers.contract import randomize
from tests.models.crosses import COLUMNS, FLAT, LABELS, X, flat_of, probability, weights_of
from tests.reference.core import mlp, sigmoid
from tests.reference.cross import expert_gates, matrix_cross, mixture_cross


def crossed(model, form, layers=2, activation="softmax"):
    w, x0 = weights_of(model), flat_of(model)
    x = x0
    for i in range(layers):
        own = {path.partition("/")[2]: v for path, v in w.items() if path.startswith(f"cross_{i}/")}
        if form == "matrix":
            x = matrix_cross(x0, x, own["kernel"].T, own["bias"])
            continue
        experts = [
            (own["down"][:, k].T, own["middle"][k].T, own["up"][k].T)
            for k in range(len(own["up"]))
        ]
        gates = expert_gates(x, own["gate"].T, activation)
        x = mixture_cross(x0, x, experts, own["bias"], gates)
    return x


def wanted_of(model, x, structure):
    w = weights_of(model)
    tower = [(w["tower/dense_0/kernel"], w["tower/dense_0/bias"], None)]
    if structure == "stacked":
        branches = mlp(x, tower, "relu")
    else:
        branches = np.concatenate([x, mlp(flat_of(model), tower, "relu")], axis=1)
    logit = branches @ w["branches_logit/kernel"][:, 0] + w["probability/bias"][0]
    return [sigmoid(value) for value in logit]


@pytest.mark.parametrize("structure", ["parallel", "stacked"])
@pytest.mark.parametrize(
    ("form", "activation"), [("matrix", "softmax"), ("mix", "softmax"), ("mix", "sigmoid")]
)
def test_numbers(form, activation, structure):
    model = DCNv2(
        COLUMNS, cross_num=2, cross_parameterization=form, low_rank=2, num_experts=3,
        gate_activation=activation, structure=structure, hidden_units=(4,),
    )
    randomize(model, scale=0.3)
    x = crossed(model, form, activation=activation)
    np.testing.assert_allclose(probability(model), wanted_of(model, x, structure), atol=1e-5)


def test_every_layer_of_the_mixture_has_a_gate_of_its_own():
    """Several libraries share one gate among the layers."""
    model = DCNv2(COLUMNS, cross_num=3, cross_parameterization="mix", hidden_units=())
    gates = [model.get_layer(f"cross_{i}").gate for i in range(3)]
    assert [gate.path for gate in gates] == [f"cross_{i}/gate" for i in range(3)]
    assert len({id(gate) for gate in gates}) == 3
    assert not np.any(gates[0].numpy() == gates[1].numpy())
    before = [gate.numpy() for gate in gates]
    model.train_on_batch(X, LABELS)
    for old, gate in zip(before, gates, strict=True):
        assert np.any(old != gate.numpy()), f"{gate.path} does not train"


def test_explain_gives_the_experts_weights():
    model = DCNv2(
        COLUMNS, cross_num=2, cross_parameterization="mix", num_experts=3, hidden_units=()
    )
    randomize(model, scale=0.3)
    x0 = flat_of(model).astype("float32")
    gates = model.get_layer("cross_0").explain(x0, x0)["gates"]
    wanted = expert_gates(x0, weights_of(model)["cross_0/gate"].T, "softmax")
    assert gates.shape == (6, 3)
    np.testing.assert_allclose(gates, wanted, atol=1e-5)


def test_vector_form_is_the_first_dcn():
    second = DCNv2(COLUMNS, cross_num=2, cross_parameterization="vector", hidden_units=(4,))
    first = DCN(COLUMNS, cross_num=2, hidden_units=(4,))
    randomize(second)
    first.set_weights(second.get_weights())
    np.testing.assert_array_equal(probability(second), probability(first))


def test_rank_one_matrices_without_bias_are_the_vector_form():
    matrix = DCNv2(COLUMNS, cross_num=2, hidden_units=(4,))
    vector = DCN(COLUMNS, cross_num=2, hidden_units=(4,))
    randomize(vector, scale=0.4)
    for i in range(2):
        vector.get_layer(f"cross_{i}").bias.assign(np.zeros(FLAT))
    for weight in matrix.weights:
        source = next(other for other in vector.weights if other.path == weight.path)
        value = source.numpy()
        weight.assign(value @ np.ones((1, FLAT)) if value.shape != weight.shape else value)
    np.testing.assert_allclose(probability(matrix), probability(vector), atol=1e-5)


@pytest.mark.parametrize("form", ["vector", "matrix", "mix"])
def test_without_cross_layers_all_forms_are_one(form):
    model = DCNv2(
        COLUMNS, cross_num=0, cross_parameterization=form, structure="stacked", hidden_units=(4,)
    )
    randomize(model)
    wanted = wanted_of(model, flat_of(model), "stacked")
    np.testing.assert_allclose(probability(model), wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cross_num": -1}, "DCNv2: cross_num must be 0 or more, got -1"),
        ({"cross_parameterization": "low_rank"}, "cross_parameterization must be one of .*'mix'"),
        ({"structure": "both"}, "structure must be 'parallel' or 'stacked', got 'both'"),
        ({"cross_parameterization": "mix", "low_rank": 0}, "low_rank must be a positive integer"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        DCNv2(COLUMNS, **options)
