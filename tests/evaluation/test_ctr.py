import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from deeprec_tf.evaluation import CTREvaluation, evaluate_ctr, exact_auc, gauc, log_loss

ROWS = 23
GENERATOR = np.random.default_rng(0)
X = {
    "price": GENERATOR.random(ROWS).astype("float32"),
    "hist": GENERATOR.integers(0, 4, (ROWS, 3)),
    "user_id": np.array([f"u{i % 4}" for i in range(ROWS)], object),
}
Y = (GENERATOR.random(ROWS) < 0.5).astype("float32")
WEIGHT = GENERATOR.random(ROWS)


def model_with(outputs):
    """A model of price and hist; `outputs` maps two logits (B, 1) to the model's outputs."""
    price = keras.Input((1,), name="price")
    hist = keras.Input((None,), name="hist", dtype="int32")
    table = keras.layers.Embedding(4, 2, embeddings_initializer="glorot_normal")(hist)
    features = keras.layers.Concatenate()([price, keras.layers.GlobalAveragePooling1D()(table)])
    logits = [keras.layers.Dense(1, activation="sigmoid")(features) for _ in range(2)]
    return keras.Model({"price": price, "hist": hist}, outputs(*logits))


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(3)
    return model_with(lambda ctr, cvr: ctr)


@pytest.fixture(scope="module")
def two_task_model():
    keras.utils.set_random_seed(4)
    return model_with(lambda ctr, cvr: {"ctr": ctr, "cvr": cvr})


@pytest.fixture(scope="module")
def probabilities(model):
    return np.asarray(model({"price": X["price"], "hist": X["hist"]}))[:, 0]


def dataset(*columns, batch=5):
    return tf.data.Dataset.from_tensor_slices(columns).batch(batch)


class TestEvaluateCTR:
    def test_metrics_of_the_predictions(self, model, probabilities):
        assert evaluate_ctr(model, X, Y) == {
            "auc": pytest.approx(exact_auc(Y, probabilities)),
            "log_loss": pytest.approx(log_loss(Y, probabilities)),
        }

    @pytest.mark.parametrize("batch_size", [1, 5, 23, 100])
    def test_batch_size_is_irrelevant(self, model, probabilities, batch_size):
        scores = evaluate_ctr(model, X, Y, group="user_id", batch_size=batch_size)
        assert scores == {
            "auc": pytest.approx(exact_auc(Y, probabilities)),
            "log_loss": pytest.approx(log_loss(Y, probabilities)),
            "gauc": pytest.approx(gauc(Y, probabilities, X["user_id"]).value),
        }

    def test_groups_may_be_tuples_where_labels_are_missing(self, two_task_model):
        y = {"ctr": np.where(np.arange(ROWS) == 5, np.nan, Y), "cvr": Y}
        tuples = [(user, 1) for user in X["user_id"]]
        scores = evaluate_ctr(two_task_model, X, y, group=tuples)
        assert scores == evaluate_ctr(two_task_model, X, y, group=X["user_id"])
        assert "ctr_gauc" in scores

    def test_groups_may_be_a_column(self, two_task_model):
        y = {"ctr": np.where(np.arange(ROWS) == 5, np.nan, Y), "cvr": Y}
        expected = evaluate_ctr(two_task_model, X, y, group=X["user_id"])
        for column in (X["user_id"][:, None], pd.DataFrame({"user_id": X["user_id"]})):
            assert evaluate_ctr(two_task_model, X, y, group=column) == expected

    def test_group_as_array_equals_group_as_column(self, model):
        assert evaluate_ctr(model, X, Y, X["user_id"]) == evaluate_ctr(model, X, Y, "user_id")

    def test_data_frame_with_lists_and_labels_among_its_columns(self, model):
        frame = pd.DataFrame({**X, "hist": list(X["hist"]), "click": Y})
        expected = evaluate_ctr(model, X, Y, "user_id")
        assert evaluate_ctr(model, frame, frame["click"], "user_id") == expected

    def test_shuffled_data_set_keeps_rows_together(self, model):
        shuffled = dataset(X, Y, WEIGHT, batch=1).unbatch().shuffle(ROWS).batch(5)
        expected = evaluate_ctr(model, X, Y, "user_id", sample_weight=WEIGHT)
        assert evaluate_ctr(model, shuffled, group="user_id") == pytest.approx(expected)

    def test_weights(self, model, probabilities):
        scores = evaluate_ctr(model, X, Y, "user_id", sample_weight=WEIGHT)
        assert scores["auc"] == pytest.approx(exact_auc(Y, probabilities, WEIGHT))
        weighted = gauc(Y, probabilities, X["user_id"], sample_weight=WEIGHT)
        assert scores["gauc"] == pytest.approx(weighted.value)

    @pytest.mark.parametrize(
        "outputs",
        [
            lambda ctr, cvr: {"probability": ctr},
            lambda ctr, cvr: {"probability": ctr, "user_vector": cvr},
            lambda ctr, cvr: {"click": ctr},
            lambda ctr, cvr: [ctr],
        ],
        ids=["probability", "with a vector", "one name", "list of one"],
    )
    def test_forms_of_one_output(self, model, outputs):
        keras.utils.set_random_seed(3)
        other = model_with(outputs)
        assert evaluate_ctr(other, X, Y) == evaluate_ctr(model, X, Y)
        assert evaluate_ctr(other, X, Y[:, None]) == evaluate_ctr(model, X, Y)

    def test_tasks(self, two_task_model):
        buys = Y * (X["price"] > 0.5)
        predicted = two_task_model.predict({k: X[k] for k in ("price", "hist")}, verbose=0)
        scores = evaluate_ctr(
            two_task_model, X, {"ctr": Y, "cvr": buys}, "user_id", sample_weight={"cvr": Y}
        )
        assert list(scores) == [
            "ctr_auc", "ctr_log_loss", "ctr_gauc", "cvr_auc", "cvr_log_loss", "cvr_gauc",
        ]  # fmt: skip
        assert scores["ctr_auc"] == pytest.approx(exact_auc(Y, predicted["ctr"]))
        clicked = Y == 1
        assert scores["cvr_auc"] == pytest.approx(
            exact_auc(buys[clicked], predicted["cvr"][clicked])
        )

    def test_tasks_from_a_data_frame_and_a_data_set(self, two_task_model):
        y = {"ctr": Y, "cvr": 1 - Y}
        expected = evaluate_ctr(two_task_model, X, y)
        assert evaluate_ctr(two_task_model, X, pd.DataFrame(y)) == expected
        assert evaluate_ctr(two_task_model, dataset(X, y)) == pytest.approx(expected)

    def test_two_replicas_count_each_row_once(self):
        process = subprocess.run(
            [sys.executable, "-m", "tests.evaluation.mirrored_run"],
            cwd=Path(__file__).parents[2], env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
            capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        assert process.returncode == 0, process.stderr

    def test_progress_bar(self, model, capsys):
        evaluate_ctr(model, X, Y, batch_size=5, verbose=1)
        assert "5/Unknown" in capsys.readouterr().out
        evaluate_ctr(model, X, Y)
        assert capsys.readouterr().out == ""

    @pytest.mark.parametrize(
        ("x", "y", "arguments", "match"),
        [
            (X, None, {}, "y is missing"),
            (X, Y[:5], {}, "'price' of x has 23 rows, but the labels have 5"),
            (X, Y, {"sample_weight": np.ones(25)}, "sample_weight has 25 rows, but .* have 23"),
            (X, Y, {"sample_weight": {"ctr": Y[:3]}}, "'ctr' of sample_weight has 3 rows"),
            (X, Y, {"sample_weight": {"ctr": WEIGHT}}, r"by task name \['ctr'\], but y is not"),
            (X, {"ctr": Y}, {"sample_weight": {"cvr": WEIGHT}}, r"names 'cvr', but y .* \['ctr'\]"),
            (X, {"ctr": Y, "cvr": Y}, {}, r"tasks \['ctr', 'cvr'\], but the model has one output"),
            (X, Y, {"group": "user"}, "group names the column 'user', but x has"),
            (X, Y, {"group": [1, 2]}, "group has 2 rows, but the labels have 23"),
            (X, Y, {"batch_size": 0}, "batch_size must be at least 1"),
            (X, Y * 5, {}, "labels must be 0 or 1, got 5.0"),
            ({k: v[:0] for k, v in X.items()}, Y[:0], {}, "the data have no rows"),
            (dataset(X, Y), Y, {}, "a data set brings labels"),
            (dataset(X), None, {}, "gives no labels"),
            (pd.DataFrame({"hist": [[1], [1, 2]]}), [0, 1], {}, "'hist' have 1 to 2 elements"),
        ],
    )
    def test_errors(self, model, x, y, arguments, match):
        with pytest.raises(ValueError, match=match):
            evaluate_ctr(model, x, y, **arguments)

    @pytest.mark.parametrize(
        ("y", "match"),
        [
            ({"cvrr": Y}, r"y names 'cvrr', but the model's outputs are \['ctr', 'cvr'\]"),
            (Y, "y must be a dict of labels by task name, got ndarray"),
            ({"ctr": Y, "cvr": Y * 0}, "task 'cvr': .*is positive .* left out of y"),
        ],
    )
    def test_task_errors(self, two_task_model, y, match):
        with pytest.raises(ValueError, match=match):
            evaluate_ctr(two_task_model, X, y)

    def test_weights_by_name(self, model, two_task_model):
        expected = evaluate_ctr(model, X, Y, sample_weight=WEIGHT)
        assert evaluate_ctr(model, X, {"ctr": Y}, sample_weight={"ctr": WEIGHT}) == expected
        assert evaluate_ctr(model, X, {"ctr": Y}, sample_weight={}) == evaluate_ctr(model, X, Y)
        y, message = {"ctr": Y, "cvr": Y}, r"names 'cvrr', but y has the tasks \['ctr', 'cvr'\]"
        with pytest.raises(ValueError, match=message):
            evaluate_ctr(two_task_model, X, y, sample_weight={"ctr": WEIGHT, "cvrr": WEIGHT})
        with pytest.raises(ValueError, match=message):
            evaluate_ctr(two_task_model, dataset(X, y, {"cvrr": WEIGHT}))

    def test_groups_of_several_tasks_have_a_row_a_label(self, two_task_model):
        y = {"ctr": Y, "cvr": np.where(Y == 1, Y, np.nan)}
        with pytest.raises(ValueError, match="group has 5 rows, but the labels have 23"):
            evaluate_ctr(two_task_model, X, y, group=X["user_id"][:5])


class TestCTREvaluation:
    def compiled(self, model):
        model = keras.models.clone_model(model)
        model.compile(keras.optimizers.SGD(0.1), "binary_crossentropy")
        return model

    def fit(self, model, *callbacks, epochs=2):
        features = {k: X[k] for k in ("price", "hist")}
        return model.fit(features, Y, epochs=epochs, verbose=0, callbacks=list(callbacks)).history

    def test_writes_what_evaluate_ctr_measures(self, model):
        model = self.compiled(model)
        history = self.fit(model, CTREvaluation((X, Y), group="user_id"))
        for name, score in evaluate_ctr(model, X, Y, "user_id").items():
            assert len(history[f"val_{name}"]) == 2
            assert history[f"val_{name}"][-1] == pytest.approx(score)

    def test_data_set_and_weights(self, model):
        model = self.compiled(model)
        history = self.fit(model, CTREvaluation(dataset(X, Y, WEIGHT)), epochs=1)
        expected = evaluate_ctr(model, X, Y, sample_weight=WEIGHT)
        assert history["val_auc"] == pytest.approx([expected["auc"]])
        history = self.fit(model, CTREvaluation((X, Y, WEIGHT)), epochs=1)
        expected = evaluate_ctr(model, X, Y, sample_weight=WEIGHT)
        assert history["val_log_loss"] == pytest.approx([expected["log_loss"]])

    def test_early_stopping_after_it_sees_the_score(self, model):
        model = self.compiled(model)
        stop = keras.callbacks.EarlyStopping("val_gauc", mode="max", min_delta=1, patience=1)
        history = self.fit(model, CTREvaluation((X, Y), "user_id"), stop, epochs=5)
        assert len(history["val_gauc"]) == 2
        assert stop.best == history["val_gauc"][0]

    def test_every_second_epoch(self, model):
        history = self.fit(self.compiled(model), CTREvaluation((X, Y), every=2), epochs=5)
        assert (len(history["loss"]), len(history["val_auc"])) == (5, 2)

    def test_training_goes_on_as_without_it(self, model):
        keras.utils.set_random_seed(5)
        plain = self.fit(self.compiled(model))
        keras.utils.set_random_seed(5)
        watched = self.fit(self.compiled(model), CTREvaluation((X, Y)))
        assert watched["loss"] == plain["loss"]

    def test_every_must_be_positive(self):
        with pytest.raises(ValueError, match="at least 1 epoch, got 0"):
            CTREvaluation((X, Y), every=0)


def test_a_data_set_that_never_ends(model):
    data = tf.data.Dataset.from_tensor_slices(({n: X[n] for n in ("price", "hist")}, Y)).batch(8)
    with pytest.raises(ValueError, match="the data set never ends. Give one pass"):
        evaluate_ctr(model, data.repeat())
