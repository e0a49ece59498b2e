import warnings

import numpy as np
import pytest

from deeprec_tf.evaluation import label_leaks

GENERATOR = np.random.default_rng(0)
ROWS = 2_000
CLICK = GENERATOR.integers(0, 2, ROWS)
X = {
    "price_paid": CLICK * GENERATOR.uniform(1, 9, ROWS),
    "day": np.array(["mon", "tue"])[CLICK],
    "minus": -CLICK + 0.01 * GENERATOR.normal(size=ROWS),
    "cart": np.where(CLICK[:, None] > 0, [[3, 4, 5]], [[0, 0, 0]]),
    "both": np.stack([GENERATOR.normal(size=ROWS), 5.0 * CLICK + 1], axis=1),
    "hint": np.where(GENERATOR.random(ROWS) < 0.8, CLICK, 1 - CLICK),
    "hour": GENERATOR.integers(0, 24, ROWS),
    "user": np.arange(ROWS),  # one row a user: its share would tell everything of the row itself
}


def test_leaks_are_named():
    with pytest.warns(UserWarning, match="alone predicts 'click' with an AUC of") as caught:
        table = label_leaks(X, {"click": CLICK})
    named = {str(warning.message).split("'")[1] for warning in caught}
    assert named == {"price_paid", "day", "minus", "cart", "both"}
    assert table.loc["hint", "click"] == pytest.approx(0.8, abs=0.03)
    assert table.loc["hour", "click"] < 0.56 and table.loc["user", "click"] < 0.56
    assert table["click"].is_monotonic_decreasing


def test_tasks_and_missing_labels():
    buy = np.where(CLICK > 0, X["hint"], np.nan)
    y = {"buy": buy, "amount": GENERATOR.normal(size=ROWS)}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = label_leaks({"hour": X["hour"]}, y)
    assert table.columns.tolist() == ["buy"]  # a number is no binary label
    with pytest.warns(UserWarning, match="'hint' alone predicts 'buy'"):
        label_leaks({"hint": X["hint"]}, y)


def test_threshold_and_errors():
    with pytest.warns(UserWarning, match="'hint' alone predicts 'label'"):
        label_leaks({"hint": X["hint"]}, CLICK, threshold=0.7)
    with pytest.raises(ValueError, match="'hour' has 3 rows, the labels of 'label' have 2000"):
        label_leaks({"hour": [1, 2, 3]}, CLICK)
    with pytest.raises(ValueError, match=r"none of \['amount'\] is a binary label"):
        label_leaks({"hour": X["hour"]}, {"amount": X["minus"]})


@pytest.mark.parametrize("threshold", [5.0, 0.5, float("nan")])
def test_a_threshold_that_nothing_passes_or_everything(threshold):
    with pytest.raises(ValueError, match=r"threshold must lie in \(0.5, 1\]"):
        label_leaks(X, {"click": CLICK}, threshold=threshold)
