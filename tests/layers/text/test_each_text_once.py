import keras
import numpy as np
import tensorflow as tf

from deeprec_tf.layers import CausalDecoder, EachTextOnce, ItemState
from tests.layers.contract import check_layer

TEXTS = np.array([[0, 0, 0], [3, 2, 0], [4, 1, 5], [1, 0, 0]], "int32")
IDS = np.array([[2, 1, 2, 0], [3, 2, 1, 1]], "int32")


def encoder():
    return ItemState(CausalDecoder(1, 2, 4), vocabulary_size=6, width=4, name="state")


@keras.saving.register_keras_serializable(package="tests")
class Counted(keras.layers.Layer):
    """How many texts there were, as the only number of each vector."""

    def call(self, token_ids, training=False):
        rows = keras.ops.shape(token_ids)[0]
        return keras.ops.zeros((rows, 1)) + keras.ops.cast(rows, "float32")

    def compute_output_spec(self, token_ids, training=False):
        return keras.KerasTensor((token_ids.shape[0], 1))


def test_numbers():
    layer = EachTextOnce(encoder())
    got = check_layer(layer, IDS, TEXTS[IDS])
    np.testing.assert_allclose(got, np.asarray(layer.encoder(TEXTS))[IDS], atol=1e-6)


def test_what_another_call_has_read_is_not_read_again():
    """Of 2, 1, 2, 0 and 3, 2, 1, 1 three texts are read first, and then one more."""
    first, second = IDS
    counted = EachTextOnce(Counted())

    @tf.function
    def run(first, second):
        before = counted(first, TEXTS[IDS[0]], training=True)
        return before, counted(second, TEXTS[IDS[1]], first, before, training=True)

    before, after = run(first, second)
    assert np.all(before == 3.0)
    np.testing.assert_array_equal(after[:, 0], [1.0, 3.0, 3.0, 3.0])

    layer = EachTextOnce(encoder())
    wanted = layer(second, TEXTS[second])
    for known in (first, second):  # some, and all of them
        vectors = layer(known, TEXTS[known])
        got = tf.function(layer)(second, TEXTS[second], known, vectors, training=True)
        np.testing.assert_allclose(got, wanted, atol=1e-6)
    np.testing.assert_allclose(  # outside a training none is passed over
        layer(second, TEXTS[second], first, vectors * np.nan), wanted, atol=1e-6
    )


def test_training_reads_each_item_once_and_has_the_same_gradients():
    counted = EachTextOnce(Counted())
    run = tf.function(lambda: counted(IDS, TEXTS[IDS], training=True))
    assert np.all(run() == 4.0), "4 different items among 8"
    assert np.all(counted(IDS, TEXTS[IDS], training=True) == 8.0)

    layer = EachTextOnce(encoder())
    layer(IDS, TEXTS[IDS])

    def gradients():
        with tf.GradientTape() as tape:
            vectors = layer(IDS, TEXTS[IDS], training=True)
            loss = tf.reduce_sum(tf.sin(3.0 * vectors))
        found = tape.gradient(loss, [w.value for w in layer.trainable_weights])
        return [tf.convert_to_tensor(gradient) for gradient in found]

    for got, wanted in zip(tf.function(gradients)(), gradients(), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=2e-5)
