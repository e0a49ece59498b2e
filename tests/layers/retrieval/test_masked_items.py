"""OneMoreMask, OneMoreStep, HiddenSteps, MaskToken."""

import keras
import numpy as np
import pytest

from deeprec_tf.layers import HiddenSteps, MaskToken, OneMoreMask, OneMoreStep
from tests.layers.contract import check_half_precision, check_layer, randomize

IDS = np.array([[5, 6, 7], [0, 0, 0], [4, 0, 0]], "int32")
MASK = IDS != 0
REAL = np.array([[1, 1, 1, 1], [1, 0, 0, 0], [1, 1, 0, 0]], bool)
LAST = np.array([[0, 0, 0, 1], [1, 0, 0, 0], [0, 1, 0, 0]], bool)
VECTORS = np.random.default_rng(0).normal(size=(3, 3, 2)).astype("float32")


def test_one_more_step_is_real_in_every_row():
    real, is_last = OneMoreMask()(MASK)
    np.testing.assert_array_equal(real, REAL)
    np.testing.assert_array_equal(is_last, LAST)
    symbols = OneMoreMask()(keras.Input((None,), dtype="bool"))
    assert [t.shape for t in symbols] == [(None, None)] * 2


def test_one_more_id_and_vector():
    new = np.array([8, 9, 3], "int32")
    got = check_layer(OneMoreStep(), IDS, new, LAST)
    np.testing.assert_array_equal(got, [[5, 6, 7, 8], [9, 0, 0, 0], [4, 3, 0, 0]])
    step = np.full((3, 2), 2.0, "float32")
    got = check_layer(OneMoreStep(), VECTORS, step, LAST)
    wanted = np.concatenate([VECTORS, np.zeros((3, 1, 2))], axis=1)
    wanted[LAST] = 2.0
    np.testing.assert_array_equal(got, wanted)


def many(rows=4000, seed=3):
    """Sequences of 1 to 8 ids, padded to 9."""
    lengths = np.random.default_rng(seed).integers(1, 9, size=rows)
    places = np.arange(9)
    real = places < lengths[:, None]
    return (places + 1) * real, real, places == lengths[:, None] - 1


def drawn(share=0.3, last_only=0.0, seed=1, **options):
    ids, real, is_last = many(**options)
    layer = HiddenSteps(share, last_only, 9, seed=seed)
    hidden, labels = layer(ids, real, is_last, training=True)
    hidden = np.asarray(hidden)
    np.testing.assert_array_equal(labels, np.where(hidden, ids, 0))
    return hidden, real, is_last


def test_outside_training_it_is_the_last_step():
    ids, real, is_last = many()
    hidden, labels = HiddenSteps(0.3, 0.1, 9)(ids, real, is_last)
    np.testing.assert_array_equal(hidden, is_last)
    np.testing.assert_array_equal(np.asarray(labels).max(axis=1), real.sum(axis=1))


@pytest.mark.parametrize("share", [0.01, 0.3, 0.99])
def test_at_least_one_step_is_hidden_and_never_all(share):
    hidden, real, _ = drawn(share)
    lengths, numbers = real.sum(axis=1), hidden.sum(axis=1)
    assert not (hidden & ~real).any(), "padding is hidden"
    assert numbers.min() == 1
    assert (numbers[lengths > 1] < lengths[lengths > 1]).all()
    assert (numbers[lengths == 1] == 1).all()


def test_every_place_is_hidden_in_the_share_of_the_rows():
    hidden, real, _ = drawn(0.4)
    long = real.sum(axis=1) == 8  # there "one at least, not all" hardly bears on it
    np.testing.assert_allclose(hidden[long].mean(axis=0)[:8], 0.4, atol=0.08)


def test_some_rows_hide_their_last_step_alone():
    hidden, _, is_last = drawn(0.5, last_only=1.0)
    np.testing.assert_array_equal(hidden, is_last)
    hidden, real, is_last = drawn(0.5, last_only=0.25)
    long = real.sum(axis=1) == 8
    assert (hidden == is_last).all(axis=1)[long].mean() == pytest.approx(0.25, abs=0.06)


def test_draws_are_new_at_every_call_and_know_no_padding():
    ids, real, is_last = many(50)
    one, other = (HiddenSteps(0.3, 0.1, 12, seed=5) for _ in range(2))
    first = np.asarray(one(ids, real, is_last, training=True)[0])
    assert not np.array_equal(first, one(ids, real, is_last, training=True)[0])
    longer = [np.pad(array, [(0, 0), (0, 3)]) for array in (ids, real, is_last)]
    np.testing.assert_array_equal(other(*longer, training=True)[0][:, :9], first)


def test_draws_go_on_where_they_were():
    kinds = ("int32", "bool", "bool")
    ids, real, is_last = (keras.Input((None,), dtype=kind) for kind in kinds)
    layer = HiddenSteps(0.3, 0.1, 9)
    outputs = layer(ids, real, is_last)
    assert [t.dtype for t in outputs] == ["bool", "int32"]
    model = keras.Model([ids, real, is_last], outputs)
    x = [array.astype(kind) for array, kind in zip(many(20), kinds, strict=True)]
    model(x, training=True)
    store = {}
    layer.save_own_variables(store)
    copy = HiddenSteps.from_config(layer.get_config())
    copy.load_own_variables(store)
    np.testing.assert_array_equal(copy(*x, training=True)[0], layer(*x, training=True)[0])


def test_the_token_stands_where_steps_are_hidden():
    layer = MaskToken()
    sequence = np.pad(VECTORS, [(0, 0), (0, 1), (0, 0)])
    layer.build(sequence.shape)
    token = randomize(layer)["token"]
    got = check_layer(layer, sequence, LAST)
    np.testing.assert_allclose(got, np.where(LAST[..., None], token, sequence), atol=1e-6)
    check_half_precision(MaskToken(), sequence, LAST)


@pytest.mark.parametrize(("arguments", "message"), [
    ((0.0, 0.1), "share must be above 0 and below 1"),
    ((1.0, 0.1), "share must be above 0 and below 1"),
    ((0.2, 1.5), "last_only must be in"),
])  # fmt: skip
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        HiddenSteps(*arguments, 9)
