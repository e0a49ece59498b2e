import numpy as np
import pytest

from deeprec_tf.models import AITM
from tests.layers.contract import randomize
from tests.models.crosses import COLUMNS, LABELS, X, flat_of, weights_of
from tests.models.steps import losses_of_steps
from tests.reference.core import sigmoid
from tests.reference.multitask import information_transfer, tower

STEPS = ("click", "cart", "buy")
SIZES = {"hidden_units": (4, 3)}


def wanted_of(model):
    w, flat = weights_of(model), flat_of(model)
    previous, answers = None, {}
    for step in STEPS:
        state = tower(w, f"{step}_bottom", flat)
        if previous is not None:
            handed_on = tower(w, f"{step}_transferred", previous)
            maps = np.split(w[f"{step}_transfer/projection/kernel"], 3, axis=1)
            state, _ = information_transfer(handed_on, state, *maps)
        previous = state
        logit = state @ w[f"{step}_logit/kernel"] + w[f"{step}/bias"]
        answers[step] = np.array([sigmoid(v) for v in logit[:, 0]])
    return answers


def test_numbers_with_the_calibrator():
    """The transferred state is handed on, not the step's own; the calibrator is in the loss."""
    model = AITM(COLUMNS, task_names=STEPS, **SIZES)
    randomize(model)
    wanted, got = wanted_of(model), model.predict(dict(X), verbose=0)
    for step in STEPS:
        np.testing.assert_allclose(got[step][:, 0], wanted[step], atol=1e-5)

    labels = dict(zip(STEPS, (LABELS, LABELS * [1, 0, 0, 1, 0, 0], LABELS * 0), strict=True))
    entropy = sum(
        -np.mean(y * np.log(wanted[s]) + (1 - y) * np.log(1 - wanted[s]))
        for s, y in labels.items()
    )
    excess = sum(
        np.maximum(wanted[after] - wanted[before], 0)
        for before, after in (("click", "cart"), ("cart", "buy"))
    )
    assert excess.sum() > 0
    loss = model.evaluate(dict(X), labels, verbose=0, return_dict=True)["loss"]
    np.testing.assert_allclose(loss, entropy + 0.6 * excess.mean(), rtol=1e-5)


def test_training_keeps_the_steps_in_order():
    """Labels that say otherwise are overruled by a heavy calibrator alone."""
    click, buy = LABELS * 0, LABELS * 0 + 1
    gaps = []
    for weight in (0.0, 20.0):
        model = AITM(COLUMNS, task_names=("click", "buy"), order_weight=weight, **SIZES)
        losses_of_steps(model, [(dict(X), {"click": click, "buy": buy})] * 150)
        answers = model.predict(dict(X), verbose=0)
        gaps.append(float(np.mean(answers["buy"] - answers["click"])))
    assert gaps[0] > 0.3 and gaps[1] < 0.05


@pytest.mark.parametrize(
    "options", [{"task_names": ("click",)}, {"hidden_units": ()}]
)
def test_errors(options):
    with pytest.raises(ValueError, match="AITM: there must be two steps or more"):
        AITM(COLUMNS, **{**SIZES, **options})
