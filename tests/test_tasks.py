import keras
import numpy as np
import pytest

from deeprec_tf import RecModel
from deeprec_tf.optimizers import SparseAdam
from deeprec_tf.tasks import TASKS, compiled, prediction


def model(task="binary", units=3, **options):
    inputs = keras.Input((units,), name="x")
    return RecModel({"x": inputs}, prediction(inputs, task, **options), name="m")


def test_binary_head():
    built = model()
    assert [layer.name for layer in built.layers] == ["x", "logit", "probability"]
    x = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    kernel, bias = built.get_layer("logit").kernel, built.get_layer("probability").bias
    bias.assign([0.5])
    wanted = 1 / (1 + np.exp(-(x @ kernel.numpy() + 0.5)))
    np.testing.assert_allclose(built({"x": x}), wanted, atol=1e-6)


def test_regression_head():
    built = model("regression")
    assert built.layers[-1].name == "regression"
    assert float(built({"x": np.full((1, 3), 100.0)})[0, 0]) != pytest.approx(1.0)


def test_logit_of_ones_own():
    assert [layer.name for layer in model(units=1, is_logit=True).layers] == ["x", "probability"]


def test_unknown_task():
    with pytest.raises(ValueError, match="task must be 'binary' or 'regression', got 'rank'"):
        model("rank")
    with pytest.raises(ValueError, match="m: task must be one of .*, got 'rank'"):
        compiled(model(), "rank")


@pytest.mark.parametrize("task", list(TASKS))
def test_defaults(task):
    built = compiled(model(), task)
    assert type(built.loss) is type(TASKS[task].loss())
    assert type(built.optimizer) is SparseAdam
    assert compiled(built, task) is built


def test_metrics_are_new_in_every_model():
    assert TASKS["binary"].metrics()[0] is not TASKS["binary"].metrics()[0]


def test_auc_is_near_the_exact_one():
    """Keras's default of 200 thresholds is off by .01 on skewed scores."""
    generator = np.random.default_rng(0)
    scores = generator.beta(0.5, 60, size=4000)
    labels = generator.uniform(size=4000) < 5 * scores
    (metric,) = TASKS["binary"].metrics()
    metric.update_state(labels, scores)
    positive, negative = scores[labels], scores[~labels]
    exact = np.mean(positive[:, None] > negative[None, :])
    assert float(metric.result()) == pytest.approx(exact, abs=2e-3)


def test_caller_decides():
    built = compiled(model(), optimizer="sgd", loss="mse", metrics=[], jit_compile=True)
    assert isinstance(built.optimizer, keras.optimizers.SGD)
    assert built.loss == "mse" and built.jit_compile is True
