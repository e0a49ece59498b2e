import keras
import numpy as np
import pytest
import tensorflow as tf

from deeprec_tf.layers import ContentSequence
from tests.layers.contract import randomize

GENERATOR = np.random.default_rng(0)
ITEMS = GENERATOR.normal(size=(3, 2, 4)).astype("float32")
TEXTS = GENERATOR.normal(size=(3, 2, 3, 4)).astype("float32")
USERS = GENERATOR.normal(size=(3, 2, 4)).astype("float32")
ITEMS_MASK = np.array([[True, True], [True, False], [False, False]])
TEXTS_MASK = np.arange(3) < np.array([[3, 1], [2, 3], [3, 3]])[..., None]
USERS_MASK = np.array([[True, True], [True, False], [False, False]])
ARGUMENTS = (ITEMS, ITEMS_MASK, USERS, USERS_MASK, TEXTS, TEXTS_MASK)


def twin(row, task, tasks, positions, with_texts=True):
    """The vectors of one row, one after the other."""
    steps, end = [tasks[task] + positions[1]], [positions[0]]
    users = [u + positions[2] for u, real in zip(USERS[row], USERS_MASK[row], strict=True) if real]
    if task:
        steps += users
    else:
        end = [*users, *end]
    for item in range(2):
        if not ITEMS_MASK[row, item]:
            continue
        steps.append(ITEMS[row, item] + positions[3])
        if with_texts:
            for word in range(3):
                if TEXTS_MASK[row, item, word]:
                    steps.append(TEXTS[row, item, word] + positions[4 + word])
    return [*steps, *end]


def built(num_tokens=3, maxlen=50):
    layer = ContentSequence(num_tokens, maxlen)
    layer.build(ITEMS.shape)
    return layer, randomize(layer)


@pytest.mark.parametrize("task", ["item", "user"])
def test_real_steps_stand_next_to_each_other(task):
    layer, weights = built()
    sequence, mask = layer(*ARGUMENTS, task=task)
    assert sequence.shape == (3, 12, 4)
    for row in range(3):
        wanted = twin(
            row, ("item", "user").index(task), weights["tasks"], weights["positions"]
        )
        assert np.flatnonzero(mask[row]).tolist() == list(range(len(wanted)))
        np.testing.assert_allclose(sequence[row, : len(wanted)], wanted, rtol=1e-5)


def test_without_texts():
    layer, weights = built(num_tokens=0)
    sequence, mask = layer(*ARGUMENTS[:4])
    for row in range(3):
        wanted = twin(row, 1, weights["tasks"], weights["positions"], with_texts=False)
        np.testing.assert_allclose(sequence[row][mask[row]], wanted, rtol=1e-5)


@pytest.mark.parametrize("maxlen", [5, 7, 8, 9])  # of 10 steps: task, 2 users, 4 and 2, end
def test_what_is_too_long_loses_its_last_items_and_keeps_its_end(maxlen):
    layer, weights = built(maxlen=maxlen)
    sequence, mask = layer(*ARGUMENTS)
    assert sequence.shape == (3, maxlen, 4) and mask[0].numpy().all()
    whole = twin(0, 1, weights["tasks"], weights["positions"])
    assert len(whole) == 10
    np.testing.assert_allclose(sequence[0], [*whole[: maxlen - 1], whole[-1]], rtol=1e-5)


def test_an_item_that_is_too_long_loses_users():
    layer, weights = built(maxlen=7)
    sequence, mask = layer(
        ITEMS[:, :1], ITEMS_MASK[:, :1], USERS, USERS_MASK, TEXTS[:, :1], TEXTS_MASK[:, :1],
        task="item",
    )  # fmt: skip
    assert mask[0].numpy().all()
    positions = weights["positions"]
    wanted = [weights["tasks"][0] + positions[1], ITEMS[0, 0] + positions[3]]
    wanted += [TEXTS[0, 0, word] + positions[4 + word] for word in range(3)]
    wanted += [USERS[0, 0] + positions[2], positions[0]]
    np.testing.assert_allclose(sequence[0], wanted, rtol=1e-5)


def test_the_order_of_items_changes_nothing_but_places():
    layer, _ = built()
    one, mask = layer(*ARGUMENTS)
    swapped = (ITEMS[:, ::-1], ITEMS_MASK[:, ::-1], USERS, USERS_MASK, TEXTS[:, ::-1],
               TEXTS_MASK[:, ::-1])  # fmt: skip
    other, _ = layer(*swapped)
    for row in range(3):
        found, wanted = (
            sorted(np.asarray(s[row])[mask[row]].round(4).tolist()) for s in (other, one)
        )
        assert found == wanted


@pytest.mark.parametrize("jit", [False, True])
def test_it_is_traced_and_compiled(jit):
    layer, _ = built()
    wanted = layer(*ARGUMENTS)
    got = tf.function(lambda *x: layer(*x), jit_compile=jit)(*map(tf.constant, ARGUMENTS))
    for one, other in zip(got, wanted, strict=True):
        np.testing.assert_allclose(
            tf.cast(one, tf.float32), tf.cast(other, tf.float32), rtol=1e-5, atol=1e-6
        )
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert copy.get_config() == layer.get_config()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ContentSequence(3, 3), "maxlen must be at least 4"),
        (lambda: built()[0](*ARGUMENTS, task="both"), "task must be one of"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
