import numpy as np
import pytest

from deeprec_tf import VarLenSparseFeat
from deeprec_tf.models import DCN
from deeprec_tf.tables import table_values
from tests.layers.contract import randomize
from tests.models.crosses import COLUMNS, FIELDS, FLAT, PRICE, X, flat_of, probability, weights_of
from tests.reference.core import mlp, sigmoid
from tests.reference.cross import vector_cross


def crossed(model, layers):
    w, x0 = weights_of(model), flat_of(model)
    x = x0
    for i in range(layers):
        x = vector_cross(x0, x, w[f"cross_{i}/kernel"][:, 0], w[f"cross_{i}/bias"])
    return x


def squashed(logit, model):
    bias = weights_of(model)["probability/bias"][0]
    return [sigmoid(value + bias) for value in logit]


def test_numbers():
    model = DCN(COLUMNS, cross_num=2, hidden_units=(4,))
    randomize(model, scale=0.4)
    w = weights_of(model)
    tower = [(w["tower/dense_0/kernel"], w["tower/dense_0/bias"], None)]
    branches = np.concatenate([crossed(model, 2), mlp(flat_of(model), tower, "relu")], axis=1)
    logit = branches @ w["branches_logit/kernel"][:, 0]
    np.testing.assert_allclose(probability(model), squashed(logit, model), atol=1e-5)


def test_every_layer_crosses_with_the_first_input():
    """Crossing with the layer before instead would square the degree at every layer."""
    model = DCN(FIELDS[:1], cross_num=3, hidden_units=())
    for i in range(3):
        model.get_layer(f"cross_{i}").set_weights([np.array([[1.0], [0], [0]]), np.zeros(3)])
    model.get_layer("branches_logit").set_weights([np.array([[1.0], [0], [0]])])
    first = table_values(model, "user")[X["user"], 0].astype("float64")
    logit = first * (1 + first) ** 3
    np.testing.assert_allclose(probability(model), squashed(logit, model), atol=1e-6)


def test_without_cross_layers_it_is_a_tower_beside_its_input():
    model = DCN(COLUMNS, cross_num=0, hidden_units=(4,))
    randomize(model)
    w, x0 = weights_of(model), flat_of(model)
    tower = [(w["tower/dense_0/kernel"], w["tower/dense_0/bias"], None)]
    logit = x0 @ w["branches_logit/kernel"][:FLAT, 0]
    logit += mlp(x0, tower, "relu") @ w["branches_logit/kernel"][FLAT:, 0]
    np.testing.assert_allclose(probability(model), squashed(logit, model), atol=1e-5)


def test_without_either_it_is_linear_in_the_embeddings():
    model = DCN(COLUMNS, cross_num=0, hidden_units=())
    randomize(model)
    logit = flat_of(model) @ weights_of(model)["branches_logit/kernel"][:, 0]
    np.testing.assert_allclose(probability(model), squashed(logit, model), atol=1e-5)


def test_linear_part_only_with_two_lists():
    alone = DCN(COLUMNS, hidden_units=(4,))
    with pytest.raises(KeyError, match="linear_table"):
        table_values(alone, "user", linear=True)
    both = DCN([FIELDS[0], PRICE], FIELDS, cross_num=1, hidden_units=())
    assert set(both.input) == set(X)
    randomize(both)
    w = weights_of(both)
    x0 = flat_of(both)[:, :9]
    x = vector_cross(x0, x0, w["cross_0/kernel"][:, 0], w["cross_0/bias"])
    logit = x @ w["branches_logit/kernel"][:, 0] + X["price"] @ w["linear_dense/kernel"][:, 0]
    logit += table_values(both, "user", linear=True)[X["user"], 0]
    np.testing.assert_allclose(probability(both), squashed(logit, both), atol=1e-5)


def test_errors():
    with pytest.raises(ValueError, match="DCN: cross_num must be 0 or more, got -1"):
        DCN(COLUMNS, cross_num=-1)
    with pytest.raises(ValueError, match="no columns|at least one"):
        DCN([])
    genres = VarLenSparseFeat(FIELDS[0], maxlen=3, combiner="none")
    with pytest.raises(ValueError, match="DCN: 'user' has combiner 'none'"):
        DCN([FIELDS[1], genres])
