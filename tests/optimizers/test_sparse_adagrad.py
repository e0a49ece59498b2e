import keras
import numpy as np
import pytest

from deeprec_tf.optimizers import SparseAdagrad
from tests.reference import optimizers as twin

OPTIONS = {
    "plain": {},
    "other start": {"initial_accumulator_value": 0.0, "epsilon": 0.01},
    "weight decay": {"weight_decay": 0.5},
    "clipnorm": {"clipnorm": 0.7},
    "clipvalue": {"clipvalue": 0.3},
    "global_clipnorm": {"global_clipnorm": 0.9},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_adagrad_is_the_twin(options, tables, steps, train):
    got = train(SparseAdagrad(0.05, **options), tables, steps)
    expected = twin.adagrad(tables, steps, learning_rate=0.05, **options)
    np.testing.assert_allclose(got, expected, atol=2e-6)


def test_rows_and_dense_gradients_are_the_same_thing(tables, steps, train, as_dense):
    """A row without a gradient adds no square and takes no step: there is no lazy form."""
    rows = train(SparseAdagrad(0.05, global_clipnorm=0.9), tables, steps)
    dense = train(keras.optimizers.Adagrad(0.05, global_clipnorm=0.9), tables, steps, as_dense)
    np.testing.assert_allclose(rows, dense, atol=1e-6)


def test_keras_adagrad_takes_too_large_a_step_on_repeated_ids(tables, train):
    steps = [[([2] * 16, np.full((16, 3), 25.0, "float32"))]]
    start = tables[0]
    right = twin.adagrad([start], steps, learning_rate=0.01)[0][2] - start[2]
    ours = train(SparseAdagrad(0.01), [start], steps)[0][2] - start[2]
    keras_step = train(keras.optimizers.Adagrad(0.01), [start], steps)[0][2] - start[2]
    np.testing.assert_allclose(right, -0.01, rtol=1e-4)
    np.testing.assert_allclose(ours, right, rtol=1e-4)
    np.testing.assert_allclose(keras_step, 4 * right, rtol=1e-3)


def test_accumulated_gradients_are_dense_and_right(tables, train):
    halves = [[([1, 1], np.full((2, 3), g, "float32"))] for g in (1.0, 3.0)]
    mean = [[([1], np.full((1, 3), 4.0, "float32"))]]
    np.testing.assert_allclose(
        train(SparseAdagrad(0.05, gradient_accumulation_steps=2), tables[:1], halves),
        train(SparseAdagrad(0.05), tables[:1], mean),
        atol=1e-6,
    )


def test_empty_gradients_move_nothing(tables, train):
    nothing = [[([], np.zeros((0, 3), "float32"))]]
    assert np.array_equal(train(SparseAdagrad(0.05), tables[:1], nothing)[0], tables[0])


def test_configuration():
    optimizer = SparseAdagrad(0.5, initial_accumulator_value=0.2, clipvalue=1.0, name="a")
    config = optimizer.get_config()
    assert SparseAdagrad.from_config(config).get_config() == config
    assert set(keras.optimizers.Adagrad().get_config()) == set(config)
