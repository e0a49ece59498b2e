import numpy as np
import pytest

from deeprec_tf.models import PLE, MMoE
from tests.layers.contract import randomize
from tests.models.crosses import COLUMNS, X, flat_of, weights_of
from tests.reference.core import sigmoid
from tests.reference.multitask import expert_gate, tower

TASKS = ("ctr", "cvr")
SIZES = {"expert_units": (4,), "task_hidden_units": (2,)}


def states_of(model, levels, own, shared):
    """The paper's equations, level by level."""
    w, flat = weights_of(model), flat_of(model)
    states, common = {task: flat for task in TASKS}, flat

    def mixed(gate, x, experts):
        path = f"{gate}/logits/kernel"
        return expert_gate(x, experts, w[path])[1] if path in w else experts[0]

    for level in range(levels):
        at = f"level_{level}"
        of_task = {
            task: [tower(w, f"{at}_{task}_expert_{e}", states[task]) for e in range(own)]
            for task in TASKS
        }
        of_all = [tower(w, f"{at}_shared_expert_{e}", common) for e in range(shared)]
        if level < levels - 1:
            everything = [*of_task["ctr"], *of_task["cvr"], *of_all]
            common = mixed(f"{at}_shared_gate", common, everything)
        states = {
            task: mixed(f"{at}_{task}_gate", states[task], [*of_task[task], *of_all])
            for task in TASKS
        }
    return w, states


@pytest.mark.parametrize(("levels", "own", "shared"), [(1, 1, 1), (2, 2, 1), (3, 1, 2), (2, 0, 2)])
def test_numbers(levels, own, shared):
    model = PLE(COLUMNS, num_layers=levels, num_experts=own, num_shared_experts=shared, **SIZES)
    randomize(model)
    w, states = states_of(model, levels, own, shared)
    got = model.predict(dict(X), verbose=0)
    for task in TASKS:
        x = tower(w, f"{task}_tower", states[task])
        logit = x @ w[f"{task}_logit/kernel"] + w[f"{task}/bias"]
        np.testing.assert_allclose(got[task][:, 0], [sigmoid(v) for v in logit[:, 0]], atol=1e-5)


def test_without_experts_of_the_tasks_it_is_mmoe():
    model = PLE(COLUMNS, num_layers=1, num_experts=0, num_shared_experts=3, **SIZES)
    mixture = MMoE(COLUMNS, num_experts=3, **SIZES)
    randomize(model)
    given = {
        weight.path.replace("level_0_", "").replace("shared_expert", "expert"): weight
        for weight in model.weights
    }
    assert set(given) == {weight.path for weight in mixture.weights}
    for weight in mixture.weights:
        weight.assign(given[weight.path])
    one, other = (m.predict(dict(X), verbose=0) for m in (model, mixture))
    for task in one:
        np.testing.assert_array_equal(one[task], other[task])


def test_the_last_level_has_no_shared_gate():
    names = {layer.name for layer in PLE(COLUMNS, num_layers=2, **SIZES).layers}
    assert "level_0_shared_gate" in names and "level_1_shared_gate" not in names


def test_without_shared_experts_the_tasks_share_the_tables_alone():
    model = PLE(COLUMNS, num_experts=2, num_shared_experts=0, **SIZES)
    assert not [layer.name for layer in model.layers if "shared" in layer.name]


def test_experts_of_a_task_serve_no_other():
    """The gradient of one task stays out of the other's experts."""
    import tensorflow as tf

    model = PLE(COLUMNS, num_layers=1, **SIZES)
    kernel = model.get_layer("level_0_cvr_expert_0").trainable_weights[0].value
    with tf.GradientTape() as tape:
        answers = model({name: tf.constant(values) for name, values in X.items()})
    assert tape.gradient(answers["ctr"], kernel) is None


@pytest.mark.parametrize(
    "options", [{"num_experts": 0, "num_shared_experts": 0}, {"num_layers": 0}, {"num_experts": -1}]
)
def test_errors(options):
    with pytest.raises(ValueError, match="PLE: there must be an expert and a level"):
        PLE(COLUMNS, **options)
