import numpy as np
import pytest

from deeprec_tf.models import FM, FwFM
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


@pytest.mark.parametrize(
    ("columns", "message"), [*REFUSED, (FIELDS[:1], "pairs need two fields or more, got 1")]
)
def test_errors(columns, message):
    with pytest.raises(ValueError, match=message):
        FwFM(columns)
