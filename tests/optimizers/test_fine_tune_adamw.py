import keras
import numpy as np

from deeprec_tf.optimizers import FineTuneAdamW, sparse_form


def one_step(optimizer):
    """What a step with gradients of 0 leaves of a matrix and of a bias of ones."""
    matrix = keras.Variable(np.ones((2, 2)), name="kernel")
    bias = keras.Variable(np.ones(2), name="bias")
    optimizer.apply([np.zeros((2, 2), "float32"), np.zeros(2, "float32")], [matrix, bias])
    return matrix.numpy()[0, 0], bias.numpy()[0]


def test_matrices_decay_and_biases_do_not():
    np.testing.assert_allclose(one_step(FineTuneAdamW(0.1, 0.5)), [1 - 0.1 * 0.5, 1], rtol=1e-6)


def test_nor_do_biases_of_several_axes():
    attention = keras.layers.MultiHeadAttention(2, 3, bias_initializer="ones")
    attention.build((None, 4, 6), (None, 4, 6))
    before = {weight.path: weight.numpy() for weight in attention.weights}
    gradients = [np.zeros(weight.shape, "float32") for weight in attention.weights]
    FineTuneAdamW(0.1, 0.5).apply(gradients, attention.weights)
    for weight in attention.weights:
        share = 1.0 if weight.name == "bias" else 0.95
        np.testing.assert_allclose(
            weight, share * before[weight.path], rtol=1e-6, err_msg=weight.path
        )


def test_a_saved_one_still_knows_it():
    again = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(FineTuneAdamW(0.1, 0.5))
    )
    np.testing.assert_allclose(one_step(again), [0.95, 1], rtol=1e-6)


def test_it_is_adamw_for_the_rest():
    ours, theirs = FineTuneAdamW(0.1, 0.0), keras.optimizers.AdamW(0.1, 0.0)
    values = []
    for optimizer in (ours, theirs):
        weight = keras.Variable(np.ones((2, 2)))
        for gradient in ([[1.0, 2], [3, 4]], [[-1.0, 1], [2, 0]]):
            optimizer.apply([np.array(gradient, "float32")], [weight])
        values.append(weight.numpy())
    np.testing.assert_array_equal(*values)
    assert sparse_form(ours) is ours
