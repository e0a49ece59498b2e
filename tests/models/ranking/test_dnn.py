import numpy as np
import pytest

from deeprec_tf import DenseFeat, SparseFeat, VarLenDenseFeat, VarLenSparseFeat
from deeprec_tf.models import DNN, LR, WideDeep
from deeprec_tf.tables import set_table_values, table_values
from tests.layers.contract import randomize
from tests.models.samples import ITEM, batch, history
from tests.reference.core import mlp, sigmoid

USER, GENRE = SparseFeat("user", 5, embedding_dim=2), SparseFeat("genre", 4, embedding_dim=3)
PRICE = DenseFeat("price")
X = {"user": np.array([0, 4, 2]), "genre": np.array([3, 1, 0]), "price": np.array([0.5, -1.0, 2.0])}


def weights_of(model):
    return {weight.path: weight.numpy().astype("float64") for weight in model.weights}


def test_prediction_is_that_of_the_equations():
    model = DNN([USER, GENRE, PRICE], hidden_units=(4, 3), activation="tanh")
    randomize(model)
    w = weights_of(model)
    flat = np.concatenate([
        table_values(model, "user")[X["user"]], table_values(model, "genre")[X["genre"]],
        X["price"][:, None],
    ], axis=1)
    hidden = [(w[f"tower/dense_{i}/kernel"], w[f"tower/dense_{i}/bias"], None) for i in range(2)]
    logit = mlp(flat, hidden, "tanh") @ w["tower_logit/kernel"] + w["probability/bias"]
    wanted = [sigmoid(value) for value in logit[:, 0]]
    np.testing.assert_allclose(model.predict(X, verbose=0)[:, 0], wanted, atol=1e-5)


def test_one_list_has_no_linear_part_and_two_make_it_wide_and_deep():
    with pytest.raises(KeyError, match="no linear_table 'user'"):
        table_values(DNN([USER, GENRE, PRICE]), "user", linear=True)
    columns = [USER, GENRE, PRICE]
    model, known = (build(columns, columns, hidden_units=(4,)) for build in (DNN, WideDeep))
    for one in (model, known):
        randomize(one, scale=0.3)
    for name in ("user", "genre"):
        for linear in (False, True):
            set_table_values(
                model, name, table_values(known, name, linear=linear), linear=linear
            )
    for name in ("tower", "tower_logit", "linear_dense", "probability"):
        model.get_layer(name).set_weights(known.get_layer(name).get_weights())
    np.testing.assert_allclose(
        model.predict(X, verbose=0), known.predict(X, verbose=0), atol=1e-6
    )


def test_without_hidden_units_it_is_linear():
    ids = [SparseFeat("user", 5, embedding_dim=1), SparseFeat("genre", 4, embedding_dim=1)]
    model, known = DNN(ids, hidden_units=()), LR(ids)
    randomize(model)
    model.get_layer("tower_logit").kernel.assign(np.ones((2, 1)))
    for name in ("user", "genre"):
        set_table_values(known, name, table_values(model, name), linear=True)
    known.get_layer("probability").bias.assign(model.get_layer("probability").bias)
    x = {name: X[name] for name in ("user", "genre")}
    np.testing.assert_allclose(
        model.predict(x, verbose=0), known.predict(x, verbose=0), atol=1e-6
    )


def test_a_history_is_the_mean_of_its_steps_in_the_target_items_table():
    columns = [ITEM, history("hist_item_id")]
    model = DNN(columns, hidden_units=())
    randomize(model)
    x, table, w = batch(columns), table_values(model, "item_id"), weights_of(model)
    pooled = []
    for ids in x["hist_item_id"]:
        vectors = [table[i] for i in ids if i != 0]
        pooled.append(np.mean(vectors, axis=0) if vectors else np.zeros(table.shape[1]))
    flat = np.concatenate([table[x["item_id"]], pooled], axis=1)
    logit = flat @ w["tower_logit/kernel"][:, 0] + w["probability/bias"][0]
    wanted = [sigmoid(value) for value in logit]
    np.testing.assert_allclose(model.predict(x, verbose=0)[:, 0], wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ([], "no columns were given"),
        ([ITEM, history("hist_item_id", combiner="none")],
         "DNN: 'hist_item_id' has combiner 'none' .* Set combiner to 'mean'"),
        ([ITEM, VarLenDenseFeat("times", 4)], "DNN: 'times' has no combiner"),
    ],
)  # fmt: skip
def test_errors(columns, message):
    with pytest.raises(ValueError, match=message):
        DNN(columns)


def test_an_unpooled_column_of_either_list_is_named():
    genres = VarLenSparseFeat(SparseFeat("genres", 6), maxlen=3, combiner="none")
    with pytest.raises(ValueError, match="DNN: 'genres'"):
        DNN([USER], [USER, genres])
    with pytest.raises(ValueError, match="linear_logit: 'genres'"):
        DNN([USER, genres], [USER])
