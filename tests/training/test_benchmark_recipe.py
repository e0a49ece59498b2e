import importlib

import keras
import numpy as np
import pytest

from deeprec_tf import SparseFeat, VarLenSparseFeat
from deeprec_tf.evaluation import evaluate_ctr
from deeprec_tf.models import DeepFM
from deeprec_tf.tables import set_table_values, table_values
from deeprec_tf.training import benchmark_recipe, strategy

MODULE = importlib.import_module("deeprec_tf.training.benchmark_recipe")
USERS, ITEMS, DIM = 5, 7, 3
COLUMNS = [
    SparseFeat("user", USERS, embedding_dim=DIM), SparseFeat("item", ITEMS, embedding_dim=DIM)
]
RNG = np.random.default_rng(3)
# The last user and the last two items occur nowhere.
X = {"user": RNG.integers(0, USERS - 1, 40), "item": RNG.integers(0, ITEMS - 2, 40)}
Y = ((X["user"] + X["item"]) % 2).astype("float32")


def deepfm(**arguments):
    return DeepFM(COLUMNS, **{"hidden_units": (4,), **arguments})


def train(model, **arguments):
    return benchmark_recipe(
        model, X, Y, **{"validation_data": (X, Y), "epochs": 3, "seed": 1, **arguments}
    )


class Weights(keras.callbacks.Callback):
    """The weights before training and after every epoch."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_begin(self, logs=None):
        self.seen.append(self.model.get_weights())

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append(self.model.get_weights())


def scripted(monkeypatch, *scores):
    """The validation data give these AUCs, one an epoch."""
    left = iter(scores)

    def evaluate(model, x, y, **arguments):
        return {"auc": next(left), "log_loss": 0.5}

    monkeypatch.setattr(MODULE, "evaluate_ctr", evaluate)


# ---- the step --------------------------------------------------------------------------------


def _gradients(users, items, user_weights, item_weights, bias, l2):
    """Of the mean log loss of sigmoid(bias + w_u + w_i + <u, i>) and l2 / 2 of all squares."""
    total = {"users": l2 * users, "items": l2 * items, "user_weights": l2 * user_weights,
             "item_weights": l2 * item_weights, "bias": 0.0}  # fmt: skip
    for u, i, y in zip(X["user"], X["item"], Y, strict=True):
        logit = bias + user_weights[u, 0] + item_weights[i, 0] + float(users[u] @ items[i])
        error = (1.0 / (1.0 + np.exp(-logit)) - y) / len(Y)
        total["users"][u] += error * items[i]
        total["items"][i] += error * users[u]
        total["user_weights"][u] += error
        total["item_weights"][i] += error
        total["bias"] += error
    return total


def _adam_with_clipping(weights, steps, *, l2, clip, rate):
    first, second = ({name: 0.0 for name in weights} for _ in range(2))
    for step in range(1, steps + 1):
        gradients = _gradients(**weights, l2=l2)
        norm = np.sqrt(sum(np.sum(np.square(g)) for g in gradients.values()))
        for name, gradient in gradients.items():
            gradient = gradient * min(1.0, clip / norm)
            first[name] = 0.9 * first[name] + 0.1 * gradient
            second[name] = 0.999 * second[name] + 0.001 * np.square(gradient)
            size = rate * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
            weights[name] = weights[name] - size * first[name] / (np.sqrt(second[name]) + 1e-8)
    return weights


@pytest.mark.parametrize("jit_compile", ["auto", False])
def test_steps_are_those_of_dense_adam_with_the_whole_tables_penalty_and_clipping(jit_compile):
    l2, rate, steps = 0.3, 0.05, 4
    start = {"users": RNG.normal(size=(USERS, DIM)), "items": RNG.normal(size=(ITEMS, DIM)),
             "user_weights": RNG.normal(size=(USERS, 1)),
             "item_weights": RNG.normal(size=(ITEMS, 1)), "bias": 0.0}  # fmt: skip
    norms = [np.sqrt(sum(np.sum(np.square(g)) for g in _gradients(**start, l2=l2).values()))]
    clip = 0.7 * norms[0]  # the first steps are clipped, by factors that differ
    model = deepfm(hidden_units=(), jit_compile=jit_compile)
    for name in ("user", "item"):
        set_table_values(model, name, start[f"{name}s"])
        set_table_values(model, name, start[f"{name}_weights"], linear=True)
    weights = Weights()
    train(
        model, embedding_l2=l2, learning_rate=rate, epochs=steps, batch_size=len(Y), drop=1.0,
        patience=9, clip_norm=clip, embedding_stddev=None, callbacks=[weights],
    )
    assert model._jit_asked == jit_compile  # as before
    model.set_weights(weights.seen[-1])
    expected = _adam_with_clipping(start, steps, l2=l2, clip=clip, rate=rate)
    for name in ("user", "item"):
        for got, want in (
            (table_values(model, name), expected[f"{name}s"]),
            (table_values(model, name, linear=True), expected[f"{name}_weights"]),
        ):
            np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-6)
    unclipped = _adam_with_clipping(dict(start), steps, l2=l2, clip=1e9, rate=rate)
    assert np.abs(unclipped["users"] - expected["users"]).max() > 1e-3


def test_rows_without_an_id_in_the_data_shrink_under_the_penalty_alone():
    moved = {}
    for l2 in (0.0, 0.5):
        model = deepfm()
        before = table_values(model, "item")[-2:]
        weights = Weights()
        train(model, embedding_l2=l2, embedding_stddev=None, callbacks=[weights])
        model.set_weights(weights.seen[-1])
        moved[l2] = np.abs(table_values(model, "item")[-2:]) - np.abs(before)
    assert (moved[0.0] == 0).all() and (moved[0.5] < 0).all()


def test_loss_of_the_history_contains_the_penalty():
    losses = {}
    for l2 in (0.0, 0.5):
        model = deepfm()
        arguments = {"learning_rate": 0.0, "epochs": 1, "embedding_stddev": 0.1}
        losses[l2] = train(model, embedding_l2=l2, **arguments).history["loss"][0]
        squares = sum(
            np.square(table_values(model, name, linear=linear)).sum()
            for name in ("user", "item") for linear in (False, True)
        )  # fmt: skip
    assert losses[0.5] - losses[0.0] == pytest.approx(0.25 * squares, rel=1e-3)


# ---- the epochs ------------------------------------------------------------------------------


def test_rate_drops_at_every_epoch_without_improvement_and_two_in_a_row_end(monkeypatch):
    scripted(monkeypatch, 0.6, 0.5, 0.7, 0.7 + 5e-7, 0.6, 0.9)
    model, weights = deepfm(), Weights()
    result = train(model, epochs=9, callbacks=[weights])
    np.testing.assert_allclose(result.history["learning_rate"], [1e-3, 1e-3, 1e-4, 1e-4, 1e-5])
    assert result.history["val_auc"] == [0.6, 0.5, 0.7, 0.7 + 5e-7, 0.6]
    assert (result.best_epoch, result.best["auc"]) == (2, 0.7)
    for restored, then in zip(model.get_weights(), weights.seen[3], strict=True):
        np.testing.assert_array_equal(restored, then)


def test_weights_are_not_reloaded_before_the_end(monkeypatch):
    scripted(monkeypatch, 0.9, 0.5, 0.5)
    weights = Weights()
    train(deepfm(), callbacks=[weights])
    first, second = weights.seen[1:3]
    assert any((one != other).any() for one, other in zip(first, second, strict=True))
    after_third = weights.seen[3]
    moved = max(np.abs(a - b).max() for a, b in zip(after_third, second, strict=True))
    again = max(np.abs(a - b).max() for a, b in zip(after_third, first, strict=True))
    assert moved < again  # the third epoch went on from the second, at a tenth of the rate


def test_patience_drop_and_epochs_are_arguments(monkeypatch):
    scripted(monkeypatch, 0.9, 0.5, 0.5, 0.5, 0.95)
    result = train(deepfm(), epochs=9, patience=3, drop=0.5, learning_rate=0.1)
    np.testing.assert_allclose(result.history["learning_rate"], [0.1, 0.1, 0.05, 0.025])
    assert result.epoch == [0, 1, 2, 3]


def test_rate_does_not_fall_below_a_millionth(monkeypatch):
    scripted(monkeypatch, *[0.5] * 6)
    result = train(deepfm(), epochs=6, patience=9)
    np.testing.assert_allclose(result.history["learning_rate"][-2:], [1e-6, 1e-6], rtol=1e-5)


def test_nor_is_a_lower_one_raised_to_it(monkeypatch):
    scripted(monkeypatch, *[0.5] * 3)
    result = train(deepfm(), learning_rate=1e-8, patience=9)
    np.testing.assert_allclose(result.history["learning_rate"], [1e-8] * 3, rtol=1e-5)


def test_best_figures_are_those_of_the_weights_that_are_kept():
    model = deepfm(batch_norm=True, dropout=0.2)
    result = train(model, epochs=20, learning_rate=0.03, batch_size=8, patience=20, drop=1.0)
    assert result.best == pytest.approx(evaluate_ctr(model, X, Y), abs=1e-6)
    assert result.best["auc"] == max(result.history["val_auc"]) > 0.8
    assert result.history["val_auc"].index(result.best["auc"]) == result.best_epoch


# ---- the model afterwards --------------------------------------------------------------------


def test_model_is_left_as_it_was_compiled_and_without_the_penalty(tmp_path):
    model = deepfm(metrics=["accuracy"])
    optimizer = model.optimizer
    result = train(model, embedding_l2=0.1)
    assert "accuracy" in result.history
    assert model.losses == [] and model.optimizer is optimizer
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), model.predict(X, verbose=0))
    assert loaded.losses == [] and loaded.fit(X, Y, verbose=0).history["loss"][0] < 5


@pytest.mark.parametrize("seed", [None, 7])
def test_the_seed_of_the_row_order_is_the_models_own_again(seed):
    model = deepfm()
    model.shuffle_seed = seed
    train(model, epochs=1)
    assert model.shuffle_seed == seed and model._chosen_seed == seed


def test_a_model_of_a_strategy_trains_outside_its_scope():
    with strategy("cpu").scope():
        model = deepfm()
    optimizer = model.optimizer
    result = train(model, embedding_l2=0.1)
    assert len(result.history["loss"]) == 3 and model.optimizer is optimizer
    model.fit(X, Y, verbose=0)


def test_a_model_that_it_cannot_compile_keeps_its_weights(monkeypatch):
    model = deepfm()
    before = model.get_weights()
    monkeypatch.setattr(model, "compile", lambda **arguments: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        train(model)
    for now, then in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_penalty_is_taken_off_after_an_error_too():
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise KeyboardInterrupt

    model = deepfm()
    with pytest.raises(KeyboardInterrupt):
        train(model, embedding_l2=0.1, callbacks=[Stop()])
    assert model.losses == []


# ---- start values and the seed ---------------------------------------------------------------


def _start(seed=1, **arguments):
    columns = [
        SparseFeat("user", 3000, embedding_dim=DIM),
        SparseFeat("item", 2000, embedding_dim=DIM),
        VarLenSparseFeat(
            SparseFeat("tags", 2000, embedding_dim=DIM, embedding_name="item"), maxlen=4
        ),
    ]
    model = DeepFM(columns, hidden_units=(100, 50))
    x = {**X, "tags": np.ones((40, 4), "int32")}
    weights = Weights()
    benchmark_recipe(
        model, x, Y, validation_data=(x, Y), epochs=1, seed=seed, callbacks=[weights], **arguments
    )
    model.set_weights(weights.seen[0])
    return model


def test_start_values_are_the_benchmarks():
    model = _start()
    for name in ("user", "item"):
        for linear in (False, True):
            values = table_values(model, name, linear=linear)
            assert np.std(values) == pytest.approx(1e-4, rel=0.1)
            assert (values[0] == 0).all() == (name == "item"), "a zero row is padding's alone"
    tower = model.get_layer("tower")
    for dense, _, _, _ in tower.blocks:
        rows, columns = dense.kernel.shape
        assert np.std(dense.kernel) == pytest.approx(np.sqrt(2 / (rows + columns)), rel=0.2)
        assert (np.array(dense.bias) == 0).all()


def test_seed_decides_the_result_whatever_the_model_started_with():
    def final(seed, built):
        keras.utils.set_random_seed(built)
        model = deepfm(dropout=0.5, batch_norm=True)
        train(model, seed=seed, batch_size=8)
        return model.predict(X, verbose=0)

    one = final(5, built=1)
    np.testing.assert_array_equal(final(5, built=2), one)
    assert (final(6, built=1) != one).any()


def test_without_a_deviation_all_start_values_stay():
    model, weights = deepfm(), Weights()
    before = model.get_weights()
    train(model, embedding_stddev=None, callbacks=[weights])
    is_seed = [variable.path.endswith("seed_generator_state") for variable in model.weights]
    for had, got, skip in zip(before, weights.seen[0], is_seed, strict=True):
        assert skip or (had == got).all()


# ---- errors ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments", [{"embedding_l2": -1.0}, {"patience": 0}, {"drop": 0.0}, {"epochs": 0}]
)
def test_a_number_out_of_range_is_named(arguments):
    with pytest.raises(ValueError, match=f"benchmark_recipe: {next(iter(arguments))} is out of"):
        train(deepfm(), **arguments)


def test_models_it_cannot_train_are_named():
    inputs = keras.Input((2,), name="x")
    output = keras.layers.Dense(1)(inputs)
    with pytest.raises(ValueError, match="not compiled"):
        train(keras.Model(inputs, output, name="plain"))
    plain = keras.Model(inputs, output, name="plain")
    plain.compile("adam", "mse")
    with pytest.raises(ValueError, match="plain has no embedding table that is trained"):
        train(plain)
    double = keras.Model(inputs, [output, output], name="double")
    double.compile("adam", "mse")
    with pytest.raises(ValueError, match="double has 2 outputs"):
        train(double)


def test_a_loss_that_is_a_function_of_ones_own():
    model = deepfm()

    def doubled(y, p):
        return 2 * keras.losses.binary_crossentropy(y, p)

    model.compile("adam", loss=doubled, metrics=[lambda y, p: keras.ops.mean(p)])
    assert len(train(model).history["loss"]) == 3 and model.loss is doubled
