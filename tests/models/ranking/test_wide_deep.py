import keras
import numpy as np
import pytest

from deeprec_tf import DenseFeat, SparseFeat, VarLenSparseFeat, get_model
from deeprec_tf.models import WDL, WideDeep
from deeprec_tf.tables import table_values
from tests.layers.contract import randomize
from tests.reference.core import mlp, sigmoid

USER, ITEM = SparseFeat("user", 5, embedding_dim=2), SparseFeat("item", 4, embedding_dim=3)
PRICE = DenseFeat("price")
X = {"user": np.array([0, 4, 2]), "item": np.array([3, 1, 0]), "price": np.array([0.5, -1.0, 2.0])}


def test_prediction_is_that_of_the_equations():
    model = WideDeep([USER, PRICE], [USER, ITEM, PRICE], hidden_units=(4,), activation="tanh")
    randomize(model)
    w = {weight.path: weight.numpy().astype("float64") for weight in model.weights}
    deep = np.concatenate([
        table_values(model, "user")[X["user"]], table_values(model, "item")[X["item"]],
        X["price"][:, None],
    ], axis=1)
    tower = mlp(deep, [(w["tower/dense_0/kernel"], w["tower/dense_0/bias"], None)], "tanh")
    logit = (tower @ w["tower_logit/kernel"])[:, 0]
    logit += table_values(model, "user", linear=True)[X["user"], 0]
    logit += X["price"] * w["linear_dense/kernel"][0, 0] + w["probability/bias"][0]
    wanted = [sigmoid(value) for value in logit]
    np.testing.assert_allclose(model.predict(X, verbose=0)[:, 0], wanted, atol=1e-5)


def test_linear_weights_start_at_zero():
    model = WideDeep([USER, ITEM])
    for name in ("user", "item"):
        assert not np.any(table_values(model, name, linear=True))
        assert np.all(table_values(model, name))


def test_columns_of_any_width_and_one_list():
    model = WideDeep([USER, ITEM, PRICE])
    assert set(model.input) == {"user", "item", "price"}


def test_regression():
    model = WideDeep([USER, ITEM, PRICE], task="regression", hidden_units=(4,))
    assert model.output.name and "regression" in {layer.name for layer in model.layers}
    assert isinstance(model.loss, keras.losses.MeanSquaredError)
    history = model.fit(X, np.array([10.0, -5.0, 3.0]), epochs=3, verbose=0).history
    assert "rmse" in history


def test_alias():
    assert WDL is WideDeep
    assert get_model("WDL").builder is WideDeep


def test_sequences_that_are_not_pooled_are_refused():
    genres = VarLenSparseFeat(SparseFeat("genres", 6), maxlen=3, combiner="none")
    with pytest.raises(ValueError, match="genres.*combiner"):
        WideDeep([USER, genres])


def test_no_columns():
    with pytest.raises(ValueError, match="no columns were given"):
        WideDeep([])


def test_no_deep_columns():
    with pytest.raises(ValueError, match="no columns were given"):
        WideDeep([USER], [])


def test_the_deep_part_refuses_sequences_that_are_not_pooled():
    genres = VarLenSparseFeat(SparseFeat("genres", 6), maxlen=3, combiner="none")
    with pytest.raises(ValueError, match="WideDeep: 'genres' has combiner 'none'"):
        WideDeep([USER], [genres])
