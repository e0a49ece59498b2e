import numpy as np
import pytest

from deeprec_tf import VarLenSparseFeat
from deeprec_tf.models import FM, DeepFM
from deeprec_tf.tables import table_values
from tests.layers.contract import randomize
from tests.models.ranking.pair_samples import (
    FIELDS,
    NUMBERS,
    PRICE,
    REFUSED,
    X,
    copy_first_order_and_tables,
    first_order_of,
    probabilities,
    vectors_of,
)
from tests.reference.interaction import fm


def test_prediction_is_that_of_the_equations():
    model = FM(FIELDS)
    randomize(model)
    wanted = probabilities(fm(vectors_of(model))[:, 0] + first_order_of(model))
    np.testing.assert_allclose(model.predict(X, verbose=0)[:, 0], wanted, atol=1e-5)


def test_numbers_are_fields_that_meet_the_others_and_each_other():
    model = FM([*FIELDS, PRICE])
    randomize(model)
    price = NUMBERS["price"]
    wanted = fm(vectors_of(model, price))[:, 0] + first_order_of(model, price)
    got = model.predict(X | NUMBERS, verbose=0)[:, 0]
    np.testing.assert_allclose(got, probabilities(wanted), atol=1e-5)


def test_it_is_deepfm_without_a_tower():
    model, known = FM(FIELDS), DeepFM(FIELDS, hidden_units=())
    randomize(known)
    copy_first_order_and_tables(known, model)
    np.testing.assert_allclose(
        model.predict(X, verbose=0), known.predict(X, verbose=0), atol=1e-6
    )


def test_linear_part_has_columns_of_its_own_where_two_lists_are_given():
    model = FM(FIELDS[:1], FIELDS)
    assert table_values(model, "user", linear=True).shape == (5, 1)
    with pytest.raises(KeyError, match="no linear_table 'item'"):
        table_values(model, "item", linear=True)


@pytest.mark.parametrize(("columns", "message"), REFUSED)
def test_errors(columns, message):
    with pytest.raises(ValueError, match=message):
        FM(columns)


def test_a_history_counts_as_one_field():
    history = VarLenSparseFeat(FIELDS[0], maxlen=3)
    model = FM([history, FIELDS[1]])
    randomize(model)
    x = {"user": np.array([[1, 2, 0]] * 6), "item": X["item"]}
    fields = np.stack([
        np.repeat(table_values(model, "user")[[1, 2]].mean(axis=0)[None], 6, axis=0),
        table_values(model, "item")[X["item"]],
    ], axis=1)
    logit = fm(fields)[:, 0] + table_values(model, "user", linear=True)[[1, 2]].mean()
    logit += table_values(model, "item", linear=True)[X["item"], 0]
    logit += model.get_layer("probability").bias.numpy()[0]
    np.testing.assert_allclose(model.predict(x, verbose=0)[:, 0], probabilities(logit), atol=1e-5)
