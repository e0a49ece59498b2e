import keras
import numpy as np
import pytest
import tensorflow as tf

from deeprec_tf.layers import Dropout
from tests.layers.contract import check_half_precision, check_layer

X = np.random.default_rng(0).normal(2.0, 0.3, size=(101, 7, 13)).astype("float32")


def _drawn(layer, count):
    """The halves of the 32-bit words that the layer draws next."""
    seed = np.array(layer.seed_generator.state).astype("int32")
    bits = {"minval": None, "maxval": None, "dtype": tf.int32}
    words = tf.random.stateless_uniform([-(-count // 2)], seed=seed, **bits)
    return words.numpy().view("uint16")[:count].astype("int64")


def test_contract():
    check_layer(Dropout(0.3), X)
    check_half_precision(Dropout(0.3), X)


@pytest.mark.parametrize("rate", [0.1, 0.25, 0.8])
def test_numbers(rate):
    layer = Dropout(rate, seed=3)
    drawn = _drawn(layer, X.size).reshape(X.shape)
    share = round(rate * 65536) / 65536
    wanted = np.where(drawn / 65536 < share, 0, X / (1 - share))
    np.testing.assert_allclose(layer(X, training=True), wanted, rtol=1e-6)


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_share_is_the_rate_and_places_do_not_depend_on_each_other(rate):
    dropped = Dropout(rate, seed=1)(np.ones((500, 1000), "float32"), training=True).numpy() == 0
    # Standard deviation of a mean of n draws: sqrt(rate (1 - rate) / n).
    spread = np.sqrt(rate * (1 - rate) / dropped.size)
    assert abs(dropped.mean() - rate) < 4 * spread
    assert np.abs(dropped.mean(axis=0) - rate).max() < 5 * spread * np.sqrt(1000)
    flat = dropped.reshape(-1) - rate
    for distance in (1, 2, 1000):
        product = np.mean(flat[distance:] * flat[:-distance])
        assert abs(product) < 4 * rate * (1 - rate) / np.sqrt(flat.size)


def test_gradient_passes_where_the_value_does():
    layer, x = Dropout(0.4, seed=2), tf.constant(X)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, training=True)
    np.testing.assert_allclose(tape.gradient(y, x), y / x, rtol=1e-6)


def test_draws_anew_at_every_call_and_alike_from_one_seed():
    one, same = Dropout(0.5, seed=4), Dropout(0.5, seed=4)
    first, second = one(X, training=True), one(X, training=True)
    assert np.any(first != second)
    np.testing.assert_array_equal(same(X, training=True), first)
    np.testing.assert_array_equal(same(X, training=True), second)


def test_only_in_training():
    np.testing.assert_array_equal(Dropout(0.5)(X), X)


def test_nothing_to_drop():
    layer = Dropout(0.0)
    np.testing.assert_array_equal(layer(X, training=True), X)
    assert not layer.variables and layer.seed_generator is None


@pytest.mark.parametrize("rows", [0, 1])
def test_few_numbers(rows):
    assert Dropout(0.5)(np.ones((rows, 1), "float32"), training=True).shape == (rows, 1)


def test_xla_draws_the_same():
    layer = Dropout(0.3, seed=5)
    state = np.array(layer.seed_generator.state)
    plain = layer(X, training=True)
    layer.seed_generator.state.assign(state)
    compiled = tf.function(lambda x: layer(x, training=True), jit_compile=True)(X)
    np.testing.assert_allclose(compiled, plain, rtol=1e-6)


def test_a_saved_model_goes_on_drawing(tmp_path):
    inputs = keras.Input(X.shape[1:])
    model = keras.Model(inputs, Dropout(0.0)(Dropout(0.5)(inputs)))
    model(X, training=True)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(X, training=True), model(X, training=True))


@pytest.mark.parametrize("rate", [1.0, -0.1, 1, True, "0.1", None])
def test_bad_rate(rate):
    with pytest.raises(ValueError, match=r"Dropout: rate must be a number in \[0, 1\), got"):
        Dropout(rate)


@pytest.mark.parametrize(("before", "after"), [(0.0, 0.1), (0.1, 0.0), (0.1, 0.2)])
def test_weights_of_another_rate_can_be_loaded(before, after, tmp_path):
    """Pre-trained without dropout, fine-tuned with it, or the reverse."""
    old, new = (
        keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), Dropout(rate, seed=number)])
        for number, rate in enumerate((before, after))
    )
    old.save_weights(tmp_path / "old.weights.h5")
    new.load_weights(tmp_path / "old.weights.h5")
    np.testing.assert_array_equal(new.layers[0].kernel, old.layers[0].kernel)
    if before and after:
        np.testing.assert_array_equal(
            new.layers[1].seed_generator.state, old.layers[1].seed_generator.state
        )


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_numpy_scalars_are_numbers(kind):
    rate = Dropout(kind(0.25)).get_config()["rate"]
    assert type(rate) is float and rate == 0.25
