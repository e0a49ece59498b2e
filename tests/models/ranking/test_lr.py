import numpy as np
import pytest

from deeprec_tf import DenseFeat, SparseFeat, VarLenSparseFeat
from deeprec_tf.models import LR, WideDeep
from deeprec_tf.tables import set_table_values, table_values
from tests.reference.core import sigmoid

USER, ITEM, PRICE = SparseFeat("user", 2), SparseFeat("item", 2), DenseFeat("price")
X = {"user": np.array([0, 1]), "item": np.array([0, 1]), "price": np.array([2.0, -1.0])}


def test_probability_is_the_sigmoid_of_the_sum_of_weights():
    model = LR([USER, ITEM, PRICE])
    set_table_values(model, "user", [[0.5], [1.0]], linear=True)
    set_table_values(model, "item", [[-2.0], [0.25]], linear=True)
    model.get_layer("linear_dense").kernel.assign([[0.75]])
    model.get_layer("probability").bias.assign([0.1])
    wanted = [sigmoid(0.5 - 2.0 + 1.5 + 0.1), sigmoid(1.0 + 0.25 - 0.75 + 0.1)]
    np.testing.assert_allclose(model.predict(X, verbose=0)[:, 0], wanted, rtol=1e-6)


def test_before_training_all_ids_weigh_nothing():
    x = {name: X[name] for name in ("user", "item")}
    np.testing.assert_array_equal(LR([USER, ITEM]).predict(x, verbose=0), [[0.5], [0.5]])


def test_it_is_the_wide_part_of_wide_and_deep():
    wide, model = WideDeep([USER, ITEM, PRICE], hidden_units=(3,)), LR([USER, ITEM, PRICE])
    for layer in (wide, model):
        layer.get_layer("linear_dense").kernel.assign([[-0.3]])
        for column in (USER, ITEM):
            set_table_values(layer, column.name, [[0.2], [-0.9]], linear=True)
    wide.get_layer("tower_logit").kernel.assign(np.zeros((3, 1)))
    np.testing.assert_allclose(
        model.predict(X, verbose=0), wide.predict(X, verbose=0), atol=1e-6
    )


def test_a_multivalued_column_is_pooled_by_its_combiner():
    genres = VarLenSparseFeat(SparseFeat("genres", 3), maxlen=3, combiner="mean")
    model = LR([genres])
    set_table_values(model, "genres", [[9.0], [1.0], [-0.5]], linear=True)
    got = model.predict({"genres": np.array([[1, 2, 0], [0, 0, 0]])}, verbose=0)
    np.testing.assert_allclose(got[:, 0], [sigmoid(0.25), 0.5], rtol=1e-6)


def test_two_lists_are_one():
    model = LR([USER], [USER, ITEM])
    assert set(model.input) == {"user", "item"}
    assert table_values(model, "user", linear=True).shape == (2, 1)


def test_errors():
    with pytest.raises(ValueError, match="no columns were given"):
        LR([])
    genres = VarLenSparseFeat(SparseFeat("genres", 3), maxlen=3, combiner="none")
    with pytest.raises(ValueError, match="'genres' has combiner 'none'"):
        LR([USER, genres])
