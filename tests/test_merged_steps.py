"""Several steps a call train as one does, and only where no callback sees batches."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from deeprec_tf import SparseFeat
from deeprec_tf.models import WideDeep

GENERATOR = np.random.default_rng(0)
ROWS = 21 * 8 + 3
X = {"user": GENERATOR.integers(0, 9, ROWS), "item": GENERATOR.integers(0, 5, ROWS)}
Y = GENERATOR.integers(0, 2, ROWS)


class SeesBatches(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.steps = []

    def on_train_batch_end(self, batch, logs=None):
        self.steps.append((batch, self.model.steps_per_execution))


class SeesEpochs(keras.callbacks.Callback):
    """Predicts while the model trains, as an evaluation does."""

    def __init__(self):
        super().__init__()
        self.seen, self.predictions = [], []

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append((self.model.steps_per_execution, dict(logs)))
        self.predictions.append(self.model.predict(X, batch_size=50, verbose=0))


def fitted(callbacks, epochs=2, **options):
    keras.utils.set_random_seed(2)
    model = WideDeep(
        [SparseFeat("user", 9), SparseFeat("item", 5)], hidden_units=(4,), jit_compile=False
    )
    model.shuffle_seed = 4
    history = model.fit(
        X, Y, batch_size=8, epochs=epochs, callbacks=callbacks, verbose=0,
        validation_data=(X, Y), **options,
    ).history
    return model, history


def test_training_is_the_same():
    batches, epochs = SeesBatches(), SeesEpochs()
    one, one_history = fitted([batches])
    many, many_history = fitted([epochs])
    assert [step for step, _ in batches.steps] == 2 * list(range(22))
    assert {steps for _, steps in batches.steps} == {1}
    assert [steps for steps, _ in epochs.seen] == [8, 8]
    for mine, other in zip(many.weights, one.weights, strict=True):
        np.testing.assert_array_equal(mine, other, err_msg=mine.path)
    assert int(many.optimizer.iterations) == 44
    for name, values in one_history.items():
        np.testing.assert_allclose(many_history[name], values, rtol=1e-6, err_msg=name)
    np.testing.assert_allclose(epochs.predictions[-1], many.predict(X, verbose=0), atol=1e-6)


def test_afterwards_keras_takes_one_step_a_call():
    model, _ = fitted(None)
    assert model.steps_per_execution == 1 and model.predict_function is None
    loss = model.evaluate(X, Y, batch_size=8, verbose=0)[0]
    again = model.evaluate(X, Y, batch_size=50, verbose=0)[0]
    assert loss == pytest.approx(again, rel=1e-5)
    trained = model.train_function
    model.fit(X, Y, batch_size=8, verbose=0, callbacks=[SeesBatches()])
    assert trained is None and model.train_function is not None


def test_functions_are_kept_from_fit_to_fit():
    model, _ = fitted(None, epochs=1)
    first = model._kept_functions[8][0]
    model.fit(X, Y, batch_size=8, verbose=0)
    assert model._kept_functions[8][0] is first is not None
    model.compile("sgd", "binary_crossentropy")
    assert model._kept_functions == {}


def test_an_error_in_training_puts_everything_back():
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise KeyboardInterrupt

    model, _ = fitted(None, epochs=1)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, batch_size=8, verbose=0, callbacks=[Stop()])
    assert model.steps_per_execution == 1 and not model._merges_steps


@pytest.mark.parametrize(
    ("batch_size", "steps"), [(8, 8), (1024, 8), (2000, 4), (5000, 1), (20_000, 1)]
)
def test_large_batches_are_not_merged(batch_size, steps):
    model, _ = fitted(None, epochs=1)
    assert model._steps_of_a_call(batch_size, None) == steps


def test_who_is_left_at_one_step():
    model, _ = fitted(None, epochs=1)
    watcher = keras.callbacks.LambdaCallback(on_train_batch_end=print)
    assert model._steps_of_a_call(8, [watcher]) == 1
    assert model._steps_of_a_call(8, [keras.callbacks.EarlyStopping(patience=2)]) == 8
    model.compile("adam", "binary_crossentropy", steps_per_execution=3)
    assert model._steps_of_a_call(8, None) == 3
    model.compile("adam", "binary_crossentropy", run_eagerly=True)
    assert model._steps_of_a_call(8, None) == 1
    epochs = SeesEpochs()
    model.compile("adam", "binary_crossentropy")
    model.fit(tf.data.Dataset.from_tensor_slices((X, Y)).batch(8), verbose=0, callbacks=[epochs])
    assert epochs.seen[0][0] == 1
