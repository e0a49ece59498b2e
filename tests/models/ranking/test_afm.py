import numpy as np
import pytest

from deeprec_tf.models import AFM, FM
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
from tests.reference.pairs import pair_attention


def test_prediction_is_that_of_the_equations():
    model = AFM([*FIELDS, PRICE], attention_units=4)
    randomize(model)
    w, price = weights_of(model), NUMBERS["price"]
    weights, pooled = pair_attention(
        vectors_of(model, price), w["pair_attention/kernel"], w["pair_attention/bias"],
        w["pair_attention/projection"][:, 0],
    )
    assert weights.shape == (6, 10) and np.ptp(weights) > 0.01
    logit = pooled @ w["pair_logit/kernel"][:, 0] + first_order_of(model, price)
    got = model.predict(X | NUMBERS, verbose=0)[:, 0]
    np.testing.assert_allclose(got, probabilities(logit), atol=1e-5)


def test_uniform_attention_is_a_scaled_factorization_machine():
    model, known = AFM(FIELDS), FM(FIELDS)
    randomize(known)
    randomize(model)
    copy_first_order_and_tables(known, model)
    model.get_layer("pair_attention").projection.assign(np.zeros((16, 1)))
    model.get_layer("pair_logit").kernel.assign(np.full((3, 1), 3.0))  # 3 pairs of weight 1/3
    np.testing.assert_allclose(
        model.predict(X, verbose=0), known.predict(X, verbose=0), atol=1e-6
    )


def test_dropout_is_of_the_pooled_pairs_and_the_penalty_of_the_attention():
    model = AFM(FIELDS, dropout=0.3, attention_dropout=0.2, l2=0.5)
    assert model.get_layer("pooled_dropout").rate == 0.3
    layer = model.get_layer("pair_attention")
    assert layer.drop.rate == 0.2
    (penalty,) = model.losses
    np.testing.assert_allclose(penalty, 0.5 * np.sum(np.square(layer.kernel)), rtol=1e-5)


@pytest.mark.parametrize(
    ("columns", "message"), [*REFUSED, (FIELDS[:1], "pairs need two fields or more, got 1")]
)
def test_errors(columns, message):
    with pytest.raises(ValueError, match=message):
        AFM(columns)


def test_attention_units_are_one_number():
    with pytest.raises(ValueError, match=r"pair_attention: attention_units must be one .*\(8, 4\)"):
        AFM(FIELDS, attention_units=(8, 4))
