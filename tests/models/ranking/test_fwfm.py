import numpy as np
import pytest

from deeprec_tf import SparseFeat, VarLenSparseFeat
from deeprec_tf.models import FM, FwFM
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
    weights_of,
)
from tests.reference.pairs import field_weighted_fm


def test_prediction_is_that_of_the_equations():
    model = FwFM([*FIELDS, PRICE])
    randomize(model)
    price = NUMBERS["price"]
    weights = weights_of(model)["field_weighted_fm/pair_weights"]
    assert len(weights) == 5 * 4 // 2, "one weight a pair of fields, numbers being fields"
    logit = field_weighted_fm(vectors_of(model, price), weights)[:, 0]
    wanted = probabilities(logit + first_order_of(model, price))
    np.testing.assert_allclose(
        model.predict(X | NUMBERS, verbose=0)[:, 0], wanted, atol=1e-5
    )


def test_equal_weights_of_1_make_it_a_factorization_machine():
    model, known = FwFM(FIELDS), FM(FIELDS)
    randomize(known)
    randomize(model)
    copy_first_order_and_tables(known, model)
    model.get_layer("field_weighted_fm").pair_weights.assign(np.ones(3))
    np.testing.assert_allclose(
        model.predict(X, verbose=0), known.predict(X, verbose=0), atol=1e-6
    )


@pytest.mark.parametrize("form", ["id_vectors", "field_vectors"])
def test_first_order_is_an_inner_product_with_a_vector(form):
    model = FwFM([*FIELDS, PRICE], linear_form=form)
    randomize(model)
    w, numbers = weights_of(model), NUMBERS["price"]
    fields = vectors_of(model, numbers)
    if form == "field_vectors":
        first = fields.reshape(6, -1) @ w["field_vectors/kernel"][:, 0]
    else:
        first = numbers @ w["linear_dense/kernel"][:, 0]
        for place, column in enumerate(FIELDS):
            vectors = table_values(model, column.name, linear=True)[X[column.name]]
            first += [v @ w for v, w in zip(fields[:, place], vectors, strict=True)]
    second = field_weighted_fm(fields, w["field_weighted_fm/pair_weights"])[:, 0]
    wanted = probabilities(second + first + w["probability/bias"][0])
    np.testing.assert_allclose(
        model.predict(X | NUMBERS, verbose=0)[:, 0], wanted, atol=1e-5
    )


def test_vectors_of_the_first_order_are_those_of_the_pairs():
    with pytest.raises(ValueError, match="columns of both lists must be the same"):
        FwFM(FIELDS[:2], FIELDS, linear_form="id_vectors")
    with pytest.raises(ValueError, match="linear_form must be one of .*got 'FeLV'"):
        FwFM(FIELDS, linear_form="FeLV")


@pytest.mark.parametrize(
    ("columns", "message"), [*REFUSED, (FIELDS[:1], "pairs need two fields or more, got 1")]
)
def test_errors(columns, message):
    with pytest.raises(ValueError, match=message):
        FwFM(columns)


def test_second_vectors_do_not_start_from_those_of_the_pairs():
    known = np.random.default_rng(0).normal(size=(10, 4)).astype("float32")
    user = SparseFeat("user", 10, embedding_dim=4, pretrained=known, trainable=False)
    pages = VarLenSparseFeat(SparseFeat("page", 10, embedding_dim=4, pretrained=known), 3)
    model = FwFM([user, pages], linear_form="id_vectors")
    for name in ("user", "page"):
        np.testing.assert_array_equal(table_values(model, name)[:10], known)
        assert not np.allclose(table_values(model, name, linear=True), known, atol=0.1)
    trained = sum(np.prod(weight.shape) for weight in model.trainable_weights)
    assert trained == 10 * 4 * 3 + 1 + 1, "both second tables, the pages' first, a pair, the bias"
