import math

import keras
import numpy as np
import pytest

from deeprec_tf.layers import AlignmentLoss

GENERATOR = np.random.default_rng(0)
RECOMMENDED, OF_POSITIVE, OF_NEGATIVE = np.log(GENERATOR.random((3, 4, 2))).astype("float32")
VECTORS = list(GENERATOR.normal(size=(4, 4, 9)).astype("float32"))


def twin(row, generation, contrast, tasks):
    u, p, n, near = (vectors[row].astype("float64") for vectors in VECTORS)

    def bpr(anchor, one, other):
        return -math.log(1 / (1 + math.exp(-(anchor @ one - anchor @ other) / 3)))

    total = -sum(RECOMMENDED[row]) / 2
    if "index" in tasks:
        total += -sum(OF_POSITIVE[row]) / 2 - sum(OF_NEGATIVE[row]) / 2
    total *= generation
    if "bpr" in tasks:
        total += bpr(u, p, n)
    if "contrast" in tasks:
        total += contrast * bpr(p, near, n)
    return total


@pytest.mark.parametrize(
    "tasks", [("index", "bpr", "contrast"), ("index",), ("bpr",), ("contrast",), ()]
)
def test_numbers(tasks):
    layer = AlignmentLoss(0.3, 0.7, tasks=tasks)
    got = layer(RECOMMENDED, [OF_POSITIVE, OF_NEGATIVE], VECTORS)
    wanted = [[twin(row, 0.3, 0.7, tasks)] for row in range(4)]
    np.testing.assert_allclose(got, wanted, rtol=1e-5)
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    np.testing.assert_array_equal(copy(RECOMMENDED, [OF_POSITIVE, OF_NEGATIVE], VECTORS), got)


def test_large_products_stay_finite():
    vectors = [100 * v for v in VECTORS]
    got = AlignmentLoss()(RECOMMENDED, [OF_POSITIVE, OF_NEGATIVE], vectors)
    assert np.isfinite(got).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tasks": ("rank",)}, "tasks must be a tuple of some of .* got 'rank'"),
        ({"generation_weight": -1}, "weights must be finite and at least 0, got gen.*=-1"),
        ({"contrast_weight": float("nan")}, "weights must be finite and at least 0, got .*=nan"),
        ({"tasks": "index"}, "tasks must be a tuple of some of .* got 'index'"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        AlignmentLoss(**arguments)
