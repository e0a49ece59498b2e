import numpy as np
import pytest

from deeprec_tf.evaluation import gate_usage, look_inside, plot_gate_usage
from deeprec_tf.models import GDCN, PLE, MMoE, SharedBottom
from tests.layers.contract import randomize
from tests.models.crosses import COLUMNS, X


def test_means_of_the_gates(tmp_path):
    model = PLE(COLUMNS, num_experts=2, num_shared_experts=1, expert_units=(4,))
    randomize(model)
    usage = gate_usage(model, X, batch_size=4)
    assert set(usage.index) == {
        "level_0_ctr_gate", "level_0_cvr_gate", "level_0_shared_gate",
        "level_1_ctr_gate", "level_1_cvr_gate",
    }
    inside = look_inside(model, X).layers
    for gate, row in usage.iterrows():
        wanted = inside[gate]["gates"].mean(axis=0)
        np.testing.assert_allclose(row.dropna(), wanted, atol=1e-6)
        np.testing.assert_allclose(row.sum(), 1.0, atol=1e-6)
    assert usage.loc["level_0_ctr_gate"].notna().sum() == 3
    assert usage.loc["level_0_shared_gate"].notna().sum() == 5
    plot_gate_usage(usage, tmp_path / "gates.png")
    assert (tmp_path / "gates.png").stat().st_size > 2_000


def test_a_gate_that_is_sure_uses_one_expert():
    model = MMoE(COLUMNS, num_experts=3, expert_units=(4,), gate_hidden_units=(2,))
    hidden, logits = model.get_layer("ctr_gate").hidden, model.get_layer("ctr_gate").logits
    hidden.set_weights([np.zeros(w.shape) + ("bias" in w.path) for w in hidden.weights])
    logits.set_weights([np.array([[0, 40, 0], [0, 40, 0]], "float32")])
    np.testing.assert_allclose(gate_usage(model, X).loc["ctr_gate"], [0, 1, 0], atol=1e-6)


def test_errors():
    for model in (SharedBottom(COLUMNS, hidden_units=(2,)), GDCN(COLUMNS)):
        with pytest.raises(ValueError, match="has no gates over experts"):
            gate_usage(model, X)
