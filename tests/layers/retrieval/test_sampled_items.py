import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from deeprec_tf.layers import ItemProbability, SampledItems
from tests.layers.contract import check_layer

COUNTS = np.array([99, 1, 0, 5, 14, 80], "float64")  # of ids 0..5; 0 is padding
LIKE = np.ones((2, 3), "int32")


def probabilities(distribution):
    if distribution == "uniform":
        return np.full(5, 0.2)
    if distribution == "log_uniform":
        return np.array([np.log((k + 1) / k) / np.log(6) for k in range(1, 6)])
    powers = COUNTS[1:] ** 0.75
    return powers / powers.sum()


def options_of(distribution):
    return {"counts": COUNTS} if distribution == "popularity" else {}


@pytest.mark.parametrize("distribution", ["uniform", "log_uniform", "popularity"])
def test_items_are_drawn_as_often_as_they_should(distribution):
    layer = SampledItems(6, 40_000, distribution, seed=1, **options_of(distribution))
    drawn = np.asarray(layer(LIKE))
    assert drawn.dtype == "int32" and drawn.shape == (40_000,)
    shares = np.bincount(drawn, minlength=6) / len(drawn)
    assert shares[0] == 0, "padding was drawn"
    np.testing.assert_allclose(shares[1:], probabilities(distribution), atol=0.012)
    assert not np.array_equal(drawn, layer(LIKE)), "two calls drew the same"


@pytest.mark.parametrize("distribution", ["uniform", "log_uniform", "popularity"])
def test_the_logarithm_is_that_of_the_draws(distribution):
    options = {**options_of(distribution)}
    layer = ItemProbability(6, distribution, alpha=0.75, times=7, **options)
    ids = np.array([[1, 3], [4, 5]])
    got = check_layer(layer, ids)
    wanted = np.log(7 * probabilities(distribution)[ids - 1])
    if distribution == "popularity":  # an item that never occurred has half an occurrence
        total = sum(count**0.75 for count in COUNTS[1:] if count)
        wanted = np.log(7 * np.maximum(COUNTS[ids], 0.5) ** 0.75 / total)
    np.testing.assert_allclose(got, wanted, rtol=1e-5)
    assert np.isfinite(layer(np.arange(6))).all()
    draws = np.array([4, 0, 2, 2, 0])
    np.testing.assert_allclose(layer(ids, draws), wanted + np.log(3), rtol=1e-5)


@pytest.mark.parametrize("jit", [False, True])
def test_log_uniform_draws_reach_every_item_of_a_large_catalogue(jit):
    size, number = 10_000_000, 4_000_000
    layer = SampledItems(size, number, "log_uniform", seed=1)
    drawn = np.asarray(tf.function(layer, jit_compile=jit)(LIKE))
    assert drawn.min() == 1 and drawn.max() < size
    ids = np.arange(size // 2, size)
    probability = np.log1p(1.0 / ids) / np.log(size)
    tail = drawn[drawn >= size // 2]
    assert len(tail) == pytest.approx(number * probability.sum(), rel=0.02)
    distinct = -np.expm1(number * np.log1p(-probability)).sum()
    assert len(np.unique(tail)) == pytest.approx(distinct, rel=0.01)
    assert np.mean(tail % 2) == pytest.approx(0.5, abs=0.01)


def test_uniform_draws_are_uniform_in_a_large_catalogue():
    """By 23 random bits some of three million items came half again as often as others."""
    size = 3_000_001
    draw = tf.function(SampledItems(size, 8_000_000, seed=1))
    counts = sum(np.bincount(draw(LIKE), minlength=size)[1:] for _ in range(4))
    assert counts.var() == pytest.approx(counts.mean(), rel=0.02)


def test_what_never_occurred_is_not_drawn_whatever_the_exponent():
    layer = SampledItems(5, 1000, "popularity", counts=[0, 0, 1, 5, 9], alpha=0.0, seed=1)
    drawn = np.bincount(layer(LIKE), minlength=5)
    assert drawn[1] == 0 and drawn[2:].min() > 250
    with pytest.raises(ValueError, match="alpha must be finite and at least 0, got -1.0"):
        SampledItems(5, 3, "popularity", counts=[0, 0, 1, 5, 9], alpha=-1.0)


def drawn_by_the_alias_table(counts):
    """The probability of each item, from the table that a layer draws by."""
    layer = SampledItems(len(counts), 2, "popularity", counts=counts, alpha=1.0)
    layer(LIKE)
    keep, other = np.asarray(layer.keep, "float64"), np.asarray(layer.other)
    assert (keep >= 0).all() and (keep <= 1).all()
    probability = keep.copy()
    np.add.at(probability, other, 1.0 - keep)
    return probability / len(keep), keep, other


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 1000) | st.sampled_from([0, 1, 7]), min_size=1, max_size=40))
def test_the_alias_table_gives_the_distribution(counts):
    counts = np.array([0, *counts], "float64")
    if not counts.any():
        counts[1] = 1
    probability, keep, other = drawn_by_the_alias_table(counts)
    np.testing.assert_allclose(probability, counts[1:] / counts.sum(), atol=1e-6)
    assert (keep[counts[1:] == 0] == 0).all(), "what never occurred is drawn"
    assert (counts[1:][other[keep < 1]] > 0).all()


def test_the_alias_table_of_many_items():
    counts = np.random.default_rng(0).pareto(0.8, 1_000_001)
    probability, _, _ = drawn_by_the_alias_table(counts)
    expected = counts[1:] / counts[1:].sum()
    np.testing.assert_allclose(probability, expected, atol=1e-12, rtol=1e-6)


def test_draws_of_their_own_for_each_position():
    layer = SampledItems(6, 4, each=True, seed=1)
    assert layer(LIKE).shape == (2, 3, 4)
    symbolic = layer(keras.Input((None,), dtype="int32"))
    assert symbolic.shape == (None, None, 4) and symbolic.dtype == "int32"
    run = tf.function(layer, jit_compile=True)
    drawn = np.asarray(run(LIKE))
    assert drawn.min() >= 1 and drawn.max() <= 5


def test_a_loaded_model_goes_on_with_the_draws(tmp_path):
    ids = keras.Input((), dtype="int32")
    model = keras.Model(ids, SampledItems(6, 50, "popularity", counts=COUNTS)(ids))
    model(np.ones(1, "int32"))
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(again(np.ones(1, "int32")), model(np.ones(1, "int32")))


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((6, 0), {}, "number must be at least 1, got 0"),
        ((1, 3), {}, "there is no item beside padding"),
        ((6, 3, "zipf"), {}, "distribution must be one of .* got 'zipf'"),
        ((6, 3, "popularity"), {"counts": COUNTS[1:]}, r"one number an id, shape \(6,\)"),
        ((6, 3, "popularity"), {"counts": -COUNTS}, "finite, at least 0, and not all 0"),
    ],
)
def test_errors(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        SampledItems(*arguments, **options)
