import numpy as np
import pytest

from deeprec_tf.models import FM, NFM
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
from tests.reference.core import mlp
from tests.reference.pairs import bi_interaction


def test_prediction_is_that_of_the_equations():
    model = NFM([*FIELDS, PRICE], hidden_units=(4,), activation="tanh")
    randomize(model)
    w, price = weights_of(model), NUMBERS["price"]
    pooled = bi_interaction(vectors_of(model, price))
    tower = mlp(pooled, [(w["tower/dense_0/kernel"], w["tower/dense_0/bias"], None)], "tanh")
    logit = (tower @ w["tower_logit/kernel"])[:, 0] + first_order_of(model, price)
    got = model.predict(X | NUMBERS, verbose=0)[:, 0]
    np.testing.assert_allclose(got, probabilities(logit), atol=1e-5)


def test_without_tower_and_with_weights_of_1_it_is_a_factorization_machine():
    model, known = NFM(FIELDS, hidden_units=()), FM(FIELDS)
    randomize(known)
    copy_first_order_and_tables(known, model)
    model.get_layer("tower_logit").kernel.assign(np.ones((3, 1)))
    np.testing.assert_allclose(
        model.predict(X, verbose=0), known.predict(X, verbose=0), atol=1e-6
    )


def test_pooled_pairs_are_no_sum_over_the_width():
    model = NFM(FIELDS, hidden_units=(4,))
    assert model.get_layer("bi_interaction").output.shape == (None, 3)
    assert model.get_layer("tower").blocks[0][0].kernel.shape == (3, 4)


def test_batch_norm_and_dropout_stand_before_the_tower():
    model = NFM(FIELDS, hidden_units=(4,), batch_norm=True, interaction_dropout=0.3)
    names = [layer.name for layer in model.layers]
    order = ["bi_interaction", "interaction_norm", "interaction_dropout", "tower"]
    assert [name for name in names if name in order] == order
    assert not {"interaction_norm", "interaction_dropout"} & {x.name for x in NFM(FIELDS).layers}


@pytest.mark.parametrize(("columns", "message"), REFUSED)
def test_errors(columns, message):
    with pytest.raises(ValueError, match=message):
        NFM(columns)
