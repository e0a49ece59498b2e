import keras
import numpy as np
import pytest

from deeprec_tf import DenseFeat, SparseFeat, VarLenDenseFeat, build_embedding_layers
from deeprec_tf.inputs import build_input_layers
from deeprec_tf.interactions import add_logits, all_fields, interaction_columns
from deeprec_tf.tables import table_values

USER, ITEM = SparseFeat("user", 5, embedding_dim=3), SparseFeat("item", 4, embedding_dim=3)
PRICE = DenseFeat("price", 2)
X = {
    "user": np.array([1, 4]), "item": np.array([3, 0]),
    "price": np.array([[0.5, -2.0], [0.0, 1.0]], "float32"),
}


def fields_model(columns):
    inputs = build_input_layers(columns)
    fields = all_fields(inputs, build_embedding_layers(columns), columns, owner="Model")
    return keras.Model(inputs, fields)


def test_one_list_serves_both_parts_where_the_paper_has_a_linear_part():
    assert interaction_columns([USER, ITEM], None, has_linear=True) == ([USER, ITEM], [USER, ITEM])
    assert interaction_columns([USER, ITEM], None, has_linear=False) == ([], [USER, ITEM])


@pytest.mark.parametrize("has_linear", [True, False])
def test_two_lists_are_a_linear_part_and_the_rest(has_linear):
    assert interaction_columns([USER], [ITEM], has_linear=has_linear) == ([USER], [ITEM])
    assert interaction_columns([], (ITEM,), has_linear=has_linear) == ([], [ITEM])


def test_a_column_that_stands_twice_is_one_field():
    wanted = ([USER, ITEM], [ITEM, USER])
    assert interaction_columns([USER, ITEM, USER], [ITEM, USER, ITEM], has_linear=True) == wanted
    assert interaction_columns([USER, USER], None, has_linear=True) == ([USER], [USER])


def test_numbers_are_fields_behind_the_categories():
    model = fields_model([PRICE, USER, ITEM])
    got = np.asarray(model(X))
    vectors = np.asarray(model.get_layer("number_fields").vectors)
    for row in range(2):
        wanted = [
            table_values(model, "user")[X["user"][row]],
            table_values(model, "item")[X["item"][row]],
            X["price"][row, 0] * vectors[0],
            X["price"][row, 1] * vectors[1],
        ]
        np.testing.assert_allclose(got[row], wanted, rtol=1e-6)


def test_categories_alone():
    assert fields_model([USER, ITEM]).output.shape == (None, 2, 3)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ([PRICE], "Model: interactions need at least one"),
        ([USER, VarLenDenseFeat("times", 4)], "Model: 'times' .*stays a sequence"),
        ([USER, SparseFeat("city", 3, embedding_dim=7)], "one embedding_dim"),
    ],
)
def test_fields_refuse(columns, message):
    with pytest.raises(ValueError, match=message):
        fields_model(columns)


@pytest.mark.parametrize("parts", [1, 2])
def test_the_logit_is_one_named_layer(parts):
    inputs = [keras.Input((1,)) for _ in range(parts)]
    logit = add_logits(inputs)
    assert logit._keras_history.operation.name == "logit"
    assert logit.dtype == "float32"
    values = [np.array([[1.5]], "float32"), np.array([[2.0]], "float32")][:parts]
    assert float(keras.Model(inputs, logit)(values)[0, 0]) == sum(v[0, 0] for v in values)
