"""T5's parts against their equations."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from deeprec_tf.layers import PrependStep, RelativePositionBias, T5Attention, T5Block, T5Encoder
from tests.layers.contract import check_half_precision, check_layer, randomize
from tests.reference import generation as twin

GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(3, 5, 6)).astype("float32")
LENGTHS = np.array([5, 3, 1])
MASK = np.arange(5) < LENGTHS[:, None]


@pytest.mark.parametrize("bidirectional", [True, False])
def test_relative_positions(bidirectional):
    layer = RelativePositionBias(2, 300, bidirectional=bidirectional)
    layer.build()
    table = randomize(layer)["table"]
    long = np.zeros((1, 300, 1), "float32")
    got = np.asarray(layer(long))
    for distance in (-299, -128, -127, -40, -20, -16, -8, -1, 0, 1, 7, 8, 16, 90, 200):
        i = max(0, -distance)
        wanted = table[twin.bucket(distance, bidirectional)]
        np.testing.assert_allclose(got[:, i, i + distance], wanted, rtol=1e-6)
    np.testing.assert_array_equal(layer(long[:, :4]), got[:, :4, :4])
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert copy.get_config() == layer.get_config()


def test_later_steps_are_told_from_earlier_ones_in_both_directions_alone():
    assert twin.bucket(3) != twin.bucket(-3)
    assert twin.bucket(3, bidirectional=False) == twin.bucket(0, bidirectional=False) == 0


def test_attention_is_not_scaled():
    layer = T5Attention(2, 4)
    layer.build(X.shape)
    weights = {f"a/{name}": value for name, value in randomize(layer, scale=0.4).items()}
    got = layer(X, *layer.keys_values(X), mask=MASK[:, None, None, :])
    for row in range(3):
        wanted = twin.attention(X[row], X[row], weights, "a", 2, real=MASK[row])
        np.testing.assert_allclose(got[row], wanted, rtol=1e-4, atol=1e-5)
    nothing = layer(X, *layer.keys_values(X), mask=np.zeros((3, 1, 1, 5), bool))
    assert not np.any(nothing)


def test_encoder():
    layer = T5Encoder(2, 2, 4, 7, 9)
    layer.build(X.shape)
    weights = randomize(layer, scale=0.4)
    got = check_layer(layer, X, MASK)
    for row, length in enumerate(LENGTHS):
        wanted = twin.encoder(X[row].astype("float64"), MASK[row], weights, 2, 2)
        np.testing.assert_allclose(got[row, :length], wanted[:length], rtol=1e-3, atol=1e-4)
    noise = np.where(MASK[..., None], X, 9.0).astype("float32")
    np.testing.assert_allclose(np.asarray(layer(noise, MASK))[MASK], got[MASK], atol=1e-5)
    assert not any("bias" in weight.path.rsplit("/", 1)[-1] for weight in layer.weights)


def test_training_of_rows_by_length_is_the_training_of_all_steps():
    """Same states, and the same gradients of what is read at real steps, with six rows or one."""
    layer = T5Encoder(2, 2, 4, 7, 9)
    x = GENERATOR.normal(size=(6, 9, 6)).astype("float32")
    mask = np.arange(9) < np.array([2, 9, 1, 5, 9, 4])[:, None]
    layer.build(x.shape)
    randomize(layer, scale=0.4)

    def gradients(x, mask, training):
        with tf.GradientTape() as tape:
            tape.watch(x)
            states = layer(x, mask, training=training) * tf.cast(mask, "float32")[..., None]
            loss = tf.reduce_sum(states**3)
        return states, tape.gradient(loss, [x, *layer.trainable_variables])

    for rows in (6, 1):
        some = tf.constant(x[:rows]), tf.constant(mask[:rows])
        states, slopes = gradients(*some, False)
        fast_states, fast_slopes = tf.function(gradients)(*some, True)
        np.testing.assert_allclose(fast_states, states, rtol=1e-4, atol=1e-5)
        for fast, slope in zip(fast_slopes, slopes, strict=True):
            np.testing.assert_allclose(fast, slope, rtol=1e-3, atol=1e-4)
        assert not np.any(np.asarray(fast_slopes[0])[~mask[:rows]])


def test_half_precision():
    layer = T5Encoder(1, 2, 4, 7, 9)
    layer.build(X.shape)
    check_half_precision(layer, X * 0.3, MASK)


def test_steps_one_by_one_are_the_steps_together():
    block = T5Block(2, 4, 7, cross=True)
    block.build(X.shape)
    randomize(block, scale=0.4)
    relative = RelativePositionBias(2, 5, bidirectional=False)
    relative.build()
    randomize(relative)
    memory = block.memory_of(X)
    causal = np.tril(np.ones((5, 5), bool))
    whole, _ = block(X, relative(X), causal, memory=memory, memory_mask=MASK)
    past, steps = None, []
    for step in range(5):
        bias = relative.of_length(step + 1)[:, step:]
        x, past = block(
            X[:, step : step + 1], bias, past=past, memory=memory, memory_mask=MASK
        )
        steps.append(x)
    np.testing.assert_allclose(tf.concat(steps, axis=1), whole, rtol=1e-4, atol=1e-5)


def test_rows_share_the_memory_of_the_row_they_come_from():
    block = T5Block(2, 4, 7, cross=True)
    block.build(X.shape)
    randomize(block, scale=0.4)
    bias = np.zeros((2, 5, 5), "float32")
    alone, _ = block(X, bias, memory=block.memory_of(X), memory_mask=MASK)
    twice, _ = block(np.repeat(X, 2, axis=0), bias, memory=block.memory_of(X), memory_mask=MASK)
    np.testing.assert_allclose(twice[::2], alone, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(twice[1::2], alone, rtol=1e-5, atol=1e-6)


def test_one_more_step_before_a_sequence():
    step = X[:, 0]
    longer, mask = PrependStep()(step, X, MASK)
    np.testing.assert_array_equal(longer, np.concatenate([step[:, None], X], axis=1))
    np.testing.assert_array_equal(mask, np.concatenate([np.ones((3, 1), bool), MASK], axis=1))
    spec = PrependStep()(
        keras.Input((6,)), keras.Input((None, 6)), keras.Input((None,), dtype="bool")
    )
    assert [tensor.shape for tensor in spec] == [(None, None, 6), (None, None)]
