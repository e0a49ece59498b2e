import numpy as np
import pytest
import tensorflow as tf

from deeprec_tf.models import ESMM
from tests.layers.contract import randomize
from tests.models.crosses import COLUMNS, LABELS, X, flat_of, weights_of
from tests.reference.core import sigmoid
from tests.reference.multitask import tower

CLICK = LABELS
CONVERSION = np.array([1, 0, 0, 0, 1, 0], "float32")
SIZES = {"tower_units": (4, 3)}


@pytest.mark.parametrize("hidden_units", [(), (5,)])
def test_numbers(hidden_units):
    model = ESMM(COLUMNS, hidden_units=hidden_units, **SIZES)
    randomize(model)
    w, x = weights_of(model), flat_of(model)
    x = tower(w, "bottom", x) if hidden_units else x
    p = {}
    for task in ("ctr", "cvr"):
        logit = tower(w, f"{task}_tower", x) @ w[f"{task}_logit/kernel"] + w[f"{task}_logit/bias"]
        p[task] = np.array([sigmoid(v) for v in logit[:, 0]])
    got = model.predict(dict(X), verbose=0)
    for task, wanted in {**p, "ctcvr": p["ctr"] * p["cvr"]}.items():
        np.testing.assert_allclose(got[task][:, 0], wanted, atol=1e-6)

    y = {"ctr": CLICK, "ctcvr": CLICK * CONVERSION}
    wanted = sum(
        -np.mean(y[t] * np.log(q) + (1 - y[t]) * np.log(1 - q))
        for t, q in (("ctr", p["ctr"]), ("ctcvr", p["ctr"] * p["cvr"]))
    )
    loss = model.evaluate(dict(X), y, verbose=0, return_dict=True)["loss"]
    np.testing.assert_allclose(loss, wanted, rtol=1e-5)


def test_labels_of_the_conversion_rate_have_no_influence():
    """Nor has whatever stands there for rows without a click."""
    finished = []
    for labels in (None, CONVERSION, np.where(CLICK > 0, CONVERSION, np.nan)):
        model = ESMM(COLUMNS, **SIZES)
        randomize(model)
        y = {"ctr": CLICK, "ctcvr": CLICK * CONVERSION}
        y |= {} if labels is None else {"cvr": labels}
        history = model.fit(dict(X), y, epochs=2, shuffle=False, verbose=0).history
        assert "cvr_loss" not in history and "cvr_auc" in history
        finished.append(model.get_weights())
    for other in finished[1:]:
        for a, b in zip(finished[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_there_is_no_loss_on_the_conversion_rate_itself():
    """At p(click) = 1/2 the conversion rate has the gradient of the halved product alone."""
    model = ESMM(COLUMNS, **SIZES)
    model.get_layer("ctr_logit").set_weights([np.zeros((3, 1)), np.zeros(1)])
    kernel = model.get_layer("cvr_logit").kernel
    x = {name: tf.constant(values) for name, values in X.items()}
    with tf.GradientTape() as tape:
        answers = model(x)
        y = {"ctr": CLICK[:, None], "ctcvr": 0 * CLICK[:, None], "cvr": 1 - CLICK[:, None]}
        loss = model.compute_loss(x, y, answers)
    whole = tape.gradient(loss, kernel.value)
    with tf.GradientTape() as tape:
        # The same weights, all rows multiplied by p(click) = 1/2 as the product has it.
        q = 0.5 * model(x)["cvr"]
        only = -tf.reduce_mean(tf.math.log(1 - q))
    np.testing.assert_allclose(whole, tape.gradient(only, kernel.value), atol=1e-6)


def test_names():
    model = ESMM(COLUMNS, task_names=("view", "order", "buy"), **SIZES)
    assert set(model.output) == {"view", "order", "buy"}
    assert model.loss_balance.tasks == ("view", "buy")


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ({"ctr": CLICK, "cvr": CONVERSION}, "y lacks the task 'ctcvr'"),
        (CLICK, "y must be a dict of labels by task name, got ndarray"),
    ],
)
def test_label_errors(y, message):
    with pytest.raises(ValueError, match=message):
        ESMM(COLUMNS, **SIZES).fit(dict(X), y, verbose=0)


@pytest.mark.parametrize("names", [("ctr", "cvr"), "ctr"])
def test_errors(names):
    with pytest.raises(ValueError, match="task_names must name click, conversion given a click"):
        ESMM(COLUMNS, task_names=names)
