import numpy as np
import pytest

from deeprec_tf.layers import SequencePooling
from tests.layers.contract import check_half_precision, check_layer
from tests.reference import core

GENERATOR = np.random.default_rng(0)
SEQUENCE = GENERATOR.normal(size=(4, 3, 2)).astype("float32")
MASK = np.array([[True, True, True], [True, False, False], [False] * 3, [True, True, False]])
WEIGHTS = GENERATOR.normal(size=(4, 3)).astype("float32")


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("weight_norm", [False, True])
@pytest.mark.parametrize("combiner", ["mean", "sum", "max"])
def test_numbers(combiner, weight_norm, weighted):
    layer = SequencePooling(combiner, weight_norm=weight_norm)
    given = (SEQUENCE, MASK, WEIGHTS) if weighted else (SEQUENCE, MASK)
    got = check_layer(layer, *given)
    wanted = core.sequence_pooling(
        SEQUENCE.astype("float64"), MASK, combiner, WEIGHTS if weighted else None, weight_norm
    )
    np.testing.assert_allclose(got, wanted, atol=1e-5)
    check_half_precision(layer, *given[:2])


@pytest.mark.parametrize("combiner", ["mean", "sum", "max"])
def test_padding_has_no_influence(combiner):
    layer = SequencePooling(combiner)
    noisy = np.where(MASK[..., None], SEQUENCE, 77).astype("float32")
    np.testing.assert_allclose(layer(noisy, MASK), layer(SEQUENCE, MASK), atol=1e-6)
    assert np.all(layer(noisy, MASK).numpy()[2] == 0), "an empty row gives zeros"


def test_max_of_negative_values_is_negative():
    got = SequencePooling("max")(np.full((1, 2, 1), -3, "float32"), np.array([[True, False]]))
    assert float(got[0, 0]) == -3


def test_unknown_combiner():
    with pytest.raises(ValueError, match="combiner must be 'mean', 'sum' or 'max', got 'avg'"):
        SequencePooling("avg")


@pytest.mark.parametrize(("combiner", "weight_norm"), [("sum", True), ("mean", False)])
def test_large_weights_stay_finite_in_half_precision(combiner, weight_norm):
    """Dwell times in milliseconds, beyond 65,504."""
    weights = np.array([[1e5, 2e5, 0.0]], "float32")
    given = np.arange(6.0, dtype="float32").reshape(1, 3, 2), np.array([[True, True, False]])
    options = {"weight_norm": weight_norm}
    half = SequencePooling(combiner, dtype="mixed_float16", **options)(*given, weights)
    assert half.dtype == "float16"
    np.testing.assert_allclose(
        half, SequencePooling(combiner, **options)(*given, weights), rtol=1e-3
    )
