import numpy as np
import pytest

from deeprec_tf import DenseFeat, SparseFeat, VarLenDenseFeat, VarLenSparseFeat
from deeprec_tf.models import DLRM, DeepFM
from deeprec_tf.tables import set_table_values, table_values
from tests.layers.contract import randomize
from tests.reference.core import sigmoid
from tests.reference.interaction_rest import inner_products

FIELDS = [SparseFeat("user", 5, embedding_dim=3), SparseFeat("item", 4, embedding_dim=3),
          SparseFeat("city", 3, embedding_dim=3)]  # fmt: skip
PRICE = DenseFeat("price", 2)
GENERATOR = np.random.default_rng(0)
X = {
    "user": GENERATOR.integers(0, 5, size=6), "item": GENERATOR.integers(0, 4, size=6),
    "city": GENERATOR.integers(0, 3, size=6),
}
NUMBERS = {"price": GENERATOR.normal(size=(6, 2)).astype("float32")}


def weights_of(model):
    return {weight.path: weight.numpy().astype("float64") for weight in model.weights}


def vectors_of(model):
    return np.stack([table_values(model, c.name)[X[c.name]] for c in FIELDS], axis=1)


def test_without_towers_it_is_a_weighted_sum_of_pairwise_dots():
    model = DLRM(FIELDS, hidden_units=())
    randomize(model)
    w = weights_of(model)
    logit = inner_products(vectors_of(model)) @ w["top_logit/kernel"][:, 0]
    wanted = [sigmoid(value + w["probability/bias"][0]) for value in logit]
    np.testing.assert_allclose(model.predict(X, verbose=0)[:, 0], wanted, atol=1e-5)


def test_equal_weights_and_a_linear_part_make_it_a_factorization_machine():
    model, known = DLRM(FIELDS, FIELDS, hidden_units=()), DeepFM(FIELDS, hidden_units=())
    randomize(known)
    for column in FIELDS:
        for linear in (False, True):
            values = table_values(known, column.name, linear=linear)
            set_table_values(model, column.name, values, linear=linear)
    model.get_layer("top_logit").kernel.assign(np.ones((3, 1)))
    model.get_layer("probability").bias.assign(known.get_layer("probability").bias)
    np.testing.assert_allclose(
        model.predict(X, verbose=0), known.predict(X, verbose=0), atol=1e-5
    )


def test_numbers_are_one_more_field_and_join_the_top_tower_themselves():
    model = DLRM([*FIELDS, PRICE], bottom_hidden_units=(), hidden_units=())
    randomize(model)
    w = weights_of(model)
    bottom = NUMBERS["price"] @ w["bottom_tower/dense_0/kernel"] + w["bottom_tower/dense_0/bias"]
    bottom = np.maximum(bottom, 0)
    fields = np.concatenate([bottom[:, None], vectors_of(model)], axis=1)
    top = np.concatenate([bottom, inner_products(fields)], axis=1)
    assert top.shape == (6, 3 + 4 * 3 // 2)
    logit = top @ w["top_logit/kernel"][:, 0] + w["probability/bias"][0]
    wanted = [sigmoid(value) for value in logit]
    np.testing.assert_allclose(model.predict(X | NUMBERS, verbose=0)[:, 0], wanted, atol=1e-5)


def test_bottom_tower_ends_in_the_fields_width():
    model = DLRM([*FIELDS, PRICE], bottom_hidden_units=(7, 5), hidden_units=(4,))
    shapes = [block[0].kernel.shape for block in model.get_layer("bottom_tower").blocks]
    assert shapes == [(2, 7), (7, 5), (5, 3)]


def test_without_numbers_there_is_no_bottom_tower():
    names = [layer.name for layer in DLRM(FIELDS).layers]
    assert "interactions" in names and "bottom_tower" not in names


def test_no_field_meets_itself():
    model = DLRM(FIELDS[:2], hidden_units=())
    assert model.get_layer("top_logit").kernel.shape == (1, 1)


GENRES = VarLenSparseFeat(SparseFeat("genres", 6, embedding_dim=3), 3, combiner="none")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ([PRICE], "DLRM: interactions need at least one SparseFeat"),
        ([FIELDS[0]], "interactions: pairs need two fields or more, got 1"),
        ([FIELDS[0], SparseFeat("item", 4, embedding_dim=5)], "one embedding_dim, got .*item"),
        ([*FIELDS, GENRES], "genres.*combiner"),
        ([*FIELDS, VarLenDenseFeat("times", 4)], "DLRM: 'times' .*stays a sequence"),
    ],
)
def test_errors(columns, message):
    with pytest.raises(ValueError, match=message):
        DLRM(columns)


def test_widths_are_a_list():
    with pytest.raises(ValueError, match="DLRM: bottom_hidden_units must be a list of positive"):
        DLRM([*FIELDS, PRICE], bottom_hidden_units=8)
