import keras
import numpy as np
import pytest
import tensorflow as tf

from deeprec_tf.layers import StochasticLength, TakenSteps

N, ALPHA = 16, 1.5
KEPT = 8  # 16 ^ 0.75
LENGTHS = np.array([16, 0, 8, 3] + [16] * 200)
MASK = np.arange(N) < LENGTHS[:, None]


def drawn(mask=MASK, seed=1, **options):
    places, stays = StochasticLength(N, ALPHA, seed=seed, **options)(mask, training=True)
    return np.asarray(places), np.asarray(stays)


def test_long_histories_are_cut_as_often_as_the_paper_says():
    places, stays = drawn()
    kept = stays.sum(axis=1)
    assert set(kept[4:]) == {KEPT, N}
    wanted = 1 - N**ALPHA / N**2
    assert (kept[4:] == KEPT).mean() == pytest.approx(wanted, abs=0.12)
    assert list(kept[1:4]) == [0, 8, 3], "short histories stay whole"
    for row, number in enumerate(kept):
        own = places[row, :number]
        assert (np.diff(own) > 0).all() and (own < LENGTHS[row]).all(), "order or padding"
        assert not places[row, number:].any()
        assert number == 0 or own[-1] == LENGTHS[row] - 1, "the newest step is gone"


def test_new_steps_are_kept_more_often_than_old_ones():
    mask = np.ones((8000, N), bool)
    places, stays = drawn(mask)
    cut = stays.sum(axis=1) == KEPT
    share = np.bincount(places[cut][:, :KEPT].ravel(), minlength=N) / cut.sum()
    assert share[-1] == 1.0
    # Weights 1 - f / Σ f differ little: from 1 - 15/120 for the oldest to 1 - 1/120.
    assert share[11:15].mean() > share[:4].mean() + 0.02


def test_draws_are_of_training_seeded_and_not_of_the_padding():
    layer = StochasticLength(N, ALPHA, seed=3)
    places, stays = layer(MASK)
    np.testing.assert_array_equal(stays, MASK)
    np.testing.assert_array_equal(places, np.broadcast_to(np.arange(N), MASK.shape))
    first, again, other = drawn(seed=3), drawn(seed=3), drawn(seed=4)
    np.testing.assert_array_equal(first[0], again[0])
    assert (first[0] != other[0]).any()
    narrow = MASK[1:4, :9]
    wide = np.pad(narrow, [(0, 0), (0, 5)])
    np.testing.assert_array_equal(drawn(wide)[0][:, :9], drawn(narrow)[0])
    layer = StochasticLength(N, ALPHA, seed=3)
    traced = tf.function(lambda: layer(MASK, training=True))()
    np.testing.assert_array_equal(traced[0], first[0])


def test_taken_steps():
    places = np.array([[0, 2, 0], [0, 0, 0]], "int32")
    stays = np.array([[True, True, False], [False] * 3])
    ids = np.array([[7, 8, 9], [4, 5, 6]])
    taken = TakenSteps()(ids, places, stays, training=True)
    assert np.asarray(taken).tolist() == [[7, 9, 0], [0, 0, 0]]
    vectors = ids[..., None] * np.ones(2, "float32")
    taken = TakenSteps()(vectors, places, stays, training=True)
    assert np.asarray(taken)[..., 0].tolist() == [[7, 9, 0], [0, 0, 0]]
    np.testing.assert_array_equal(TakenSteps()(ids, places, stays), ids)


def test_configuration_and_errors():
    layer = StochasticLength(N, ALPHA, seed=3)
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert copy.get_config() == layer.get_config() and copy.kept_steps == KEPT
    with pytest.raises(ValueError, match="alpha must be above 0 and below 2, got 2"):
        StochasticLength(N, 2)
