import keras
import numpy as np
import pytest

from deeprec_tf.layers import ActionLoss
from tests.layers.contract import check_layer
from tests.reference.recall import sigmoid

GENERATOR = np.random.default_rng(0)
LOGITS = (3 * GENERATOR.normal(size=(3, 4, 2))).astype("float32")
ACTIONS = GENERATOR.integers(0, 2, size=(3, 4, 2)).astype("float32")
MASK = np.arange(4) < np.array([4, 0, 2])[:, None]
PREDICTION = GENERATOR.random((3, 1)).astype("float32")


def test_numbers():
    layer = ActionLoss(0.5)
    got = check_layer(layer, PREDICTION, LOGITS, ACTIONS, MASK)
    np.testing.assert_array_equal(got, PREDICTION)
    layer(PREDICTION, LOGITS, ACTIONS, MASK)
    wanted = []
    for row, step in np.argwhere(MASK):
        for a in range(2):
            p = sigmoid(float(LOGITS[row, step, a]))
            wanted.append(-np.log(p if ACTIONS[row, step, a] else 1 - p))
    assert float(layer.losses[0]) == pytest.approx(0.5 * np.mean(wanted), rel=1e-5)


def test_padding_counts_for_nothing_and_no_steps_are_fine():
    layer = ActionLoss()
    layer(PREDICTION, LOGITS, ACTIONS, MASK)
    before = float(layer.losses[0])
    noisy = np.where(MASK[..., None], LOGITS, 99.0)
    layer(PREDICTION, noisy, ACTIONS, MASK)
    assert float(layer.losses[0]) == pytest.approx(before, rel=1e-6)
    layer(PREDICTION, LOGITS, ACTIONS, np.zeros_like(MASK))
    assert float(layer.losses[0]) == 0.0
    assert keras.backend.standardize_dtype(layer(PREDICTION, LOGITS, ACTIONS, MASK).dtype) == (
        "float32"
    )
