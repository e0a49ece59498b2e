import numpy as np
import pytest
import tensorflow as tf

from deeprec_tf.layers import DynamicRouting
from tests.layers.contract import check_half_precision, check_layer, randomize
from tests.reference import interests as twin

GENERATOR = np.random.default_rng(0)
LENGTHS = np.array([0, 1, 3, 4, 7, 8, 16])
MASK = np.arange(16) < LENGTHS[:, None]
BEHAVIORS = GENERATOR.normal(size=(7, 16, 3)).astype("float32")


def built(num_interests=3, **options):
    layer = DynamicRouting(num_interests, 4, 18, **options)
    layer.build(BEHAVIORS.shape)
    return layer, randomize(layer)


@pytest.mark.parametrize("iterations", [1, 3])
@pytest.mark.parametrize("adaptive", [True, False])
def test_numbers(iterations, adaptive):
    layer, weights = built(iterations=iterations, adaptive=adaptive)
    got = check_layer(layer, BEHAVIORS, MASK)
    shares = np.asarray(layer.explain(BEHAVIORS, MASK)["weights"])
    for row, length in enumerate(LENGTHS):
        wanted, rounds = twin.routing(
            BEHAVIORS[row, :length].astype("float64"), weights["kernel"], weights["start_logits"],
            iterations, adaptive,
        )
        np.testing.assert_allclose(got[row], wanted, rtol=1e-4, atol=1e-5)
        if length:
            used = twin.interests_of(length, 3, adaptive)
            np.testing.assert_allclose(shares[row, :length, :used], rounds, rtol=1e-4, atol=1e-5)


def test_a_behavior_is_shared_out_over_interests_and_short_histories_have_fewer():
    layer, _ = built(num_interests=4)
    shares = np.asarray(layer.explain(BEHAVIORS, MASK)["weights"])
    np.testing.assert_allclose(shares.sum(axis=2), MASK, atol=1e-6)
    used = np.any(np.asarray(layer(BEHAVIORS, MASK)) != 0, axis=2).sum(axis=1)
    assert used.tolist() == [0, 1, 1, 2, 2, 3, 4]


def test_many_interests_are_no_more_for_short_histories():
    layer, _ = built(num_interests=40)
    used = np.any(np.asarray(layer(BEHAVIORS, MASK)) != 0, axis=2).sum(axis=1)
    assert used.tolist() == [0, 1, 1, 2, 2, 3, 4]


def test_one_interest_is_the_squashed_sum():
    layer, weights = built(num_interests=1)
    got = np.asarray(layer(BEHAVIORS, MASK))
    for row, length in enumerate(LENGTHS):
        total = (BEHAVIORS[row, :length].astype("float64") @ weights["kernel"]).sum(axis=0)
        np.testing.assert_allclose(got[row, 0], twin.squash(total), rtol=1e-4, atol=1e-6)


def test_start_logits_are_fixed_and_not_trained():
    layer = DynamicRouting(3, 4, 18)
    once, again = layer(BEHAVIORS, MASK), layer(BEHAVIORS, MASK)
    np.testing.assert_array_equal(once, again)
    assert [weight.name for weight in layer.trainable_weights] == ["kernel"]
    assert 0.8 < np.std(layer.start) < 1.2


def test_padding_has_no_effect_and_an_empty_history_a_finite_gradient():
    layer, _ = built()
    noisy = np.where(MASK[..., None], BEHAVIORS, 100.0).astype("float32")
    longer = np.pad(noisy, ((0, 0), (0, 2), (0, 0)), constant_values=50.0)
    wanted = np.asarray(layer(BEHAVIORS, MASK))
    np.testing.assert_allclose(
        layer(longer, np.pad(MASK, ((0, 0), (0, 2)))), wanted, rtol=1e-4, atol=1e-5
    )
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer(BEHAVIORS[:1], MASK[:1]))
    assert np.isfinite(tape.gradient(total, layer.kernel.value)).all()


def test_half_precision():
    check_half_precision(DynamicRouting(3, 4, 18), BEHAVIORS, MASK)


@pytest.mark.parametrize("word", ["num_interests", "hidden_size", "maxlen"])
def test_errors(word):
    numbers = {"num_interests": 2, "hidden_size": 4, "maxlen": 5, word: 0}
    with pytest.raises(ValueError, match=f"{word} must be at least 1, got 0"):
        DynamicRouting(**numbers)
    with pytest.raises(ValueError, match="iterations must be at least 1, got 0"):
        DynamicRouting(2, 4, 5, iterations=0)
