import numpy as np
import pytest

from deeprec_tf.evaluation import look_inside
from deeprec_tf.models import MMOE, MMoE, SharedBottom
from tests.layers.contract import randomize
from tests.models.crosses import COLUMNS, X, flat_of, weights_of
from tests.reference.core import sigmoid
from tests.reference.multitask import expert_gate, tower

SIZES = {"expert_units": (4, 3), "task_hidden_units": (2,)}


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_numbers(activation):
    model = MMoE(COLUMNS, num_experts=3, gate_activation=activation, **SIZES)
    randomize(model)
    w, flat = weights_of(model), flat_of(model)
    experts = [tower(w, f"expert_{e}", flat) for e in range(3)]
    got = model.predict(dict(X), verbose=0)
    for task in ("ctr", "cvr"):
        _, mixed = expert_gate(flat, experts, w[f"{task}_gate/logits/kernel"], activation)
        logit = tower(w, f"{task}_tower", mixed) @ w[f"{task}_logit/kernel"] + w[f"{task}/bias"]
        np.testing.assert_allclose(got[task][:, 0], [sigmoid(v) for v in logit[:, 0]], atol=1e-5)


def test_one_expert_is_shared_bottom():
    mixture = MMoE(COLUMNS, num_experts=1, **SIZES)
    bottom = SharedBottom(COLUMNS, hidden_units=(4, 3), task_hidden_units=(2,))
    randomize(mixture)
    given = {weight.path.replace("expert_0", "bottom"): weight for weight in mixture.weights}
    assert set(given) == {weight.path for weight in bottom.weights}
    for weight in bottom.weights:
        weight.assign(given[weight.path])
    one, other = (model.predict(dict(X), verbose=0) for model in (mixture, bottom))
    for task in one:
        np.testing.assert_array_equal(one[task], other[task])


def test_gates_can_be_looked_at():
    model = MMoE(COLUMNS, num_experts=3, **SIZES)
    layers = look_inside(model, X).layers
    assert set(layers) == {"ctr_gate", "cvr_gate"}
    np.testing.assert_allclose(layers["ctr_gate"]["gates"].sum(axis=1), 1.0, atol=1e-6)


def test_alias():
    assert MMOE is MMoE


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_experts": 0}, "num_experts must be at least 1, got 0"),
        ({"gate_activation": "relu"}, "activation must be one of"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        MMoE(COLUMNS, **options)
