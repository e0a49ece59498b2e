import numpy as np
import pytest

from deeprec_tf.models import DNN, PNN
from deeprec_tf.tables import set_table_values, table_values
from tests.layers.contract import randomize
from tests.models.ranking.pair_samples import (
    FIELDS,
    NUMBERS,
    PRICE,
    REFUSED,
    X,
    copy_first_order_and_tables,
    probabilities,
    vectors_of,
    weights_of,
)
from tests.reference.core import mlp
from tests.reference.interaction_rest import inner_products
from tests.reference.pairs import bilinear, outer_product

PRODUCTS = {
    "inner": lambda fields, w: inner_products(fields),
    "outer": lambda fields, w: outer_product(fields),
    "kernel": lambda fields, w: bilinear(
        fields, lambda i, j, p: w["products/pairs/kernel"][p]
    ).sum(axis=2),
}


@pytest.mark.parametrize("product_type", PRODUCTS)
def test_prediction_is_that_of_the_equations(product_type):
    model = PNN(
        [*FIELDS, PRICE], product_type=product_type, hidden_units=(4,), activation="tanh"
    )
    randomize(model, scale=0.5)
    w, fields = weights_of(model), vectors_of(model)
    flat = np.concatenate(
        [fields.reshape(6, 9), PRODUCTS[product_type](fields, w), NUMBERS["price"]], axis=1
    )
    tower = mlp(flat, [(w["tower/dense_0/kernel"], w["tower/dense_0/bias"], None)], "tanh")
    logit = (tower @ w["tower_logit/kernel"])[:, 0] + w["probability/bias"][0]
    got = model.predict(X | NUMBERS, verbose=0)[:, 0]
    np.testing.assert_allclose(got, probabilities(logit), atol=1e-5)


def test_outer_is_the_outer_product_of_sums():
    model = PNN(FIELDS, product_type="outer", hidden_units=())
    randomize(model)
    # Only the products count, and of them only the entry of row 0 and column 2.
    kernel = np.zeros((9 + 9, 1))
    kernel[9 + 2] = 1
    model.get_layer("tower_logit").kernel.assign(kernel)
    total = vectors_of(model).sum(axis=1)
    logit = total[:, 0] * total[:, 2] + weights_of(model)["probability/bias"][0]
    np.testing.assert_allclose(
        model.predict(X, verbose=0)[:, 0], probabilities(logit), atol=1e-5
    )


@pytest.mark.parametrize("product_type", PRODUCTS)
def test_products_of_weight_0_leave_a_tower_over_the_embeddings(product_type):
    model, known = PNN(FIELDS, product_type=product_type, hidden_units=(4,)), DNN(
        FIELDS, hidden_units=(4,)
    )
    randomize(known)
    for column in FIELDS:
        set_table_values(model, column.name, table_values(known, column.name))
    first, wanted = (m.get_layer("tower").blocks[0][0] for m in (model, known))
    kernel = np.zeros(first.kernel.shape)
    kernel[:9] = wanted.kernel
    first.kernel.assign(kernel)
    first.bias.assign(wanted.bias)
    for name in ("tower_logit", "probability"):
        model.get_layer(name).set_weights(known.get_layer(name).get_weights())
    np.testing.assert_allclose(
        model.predict(X, verbose=0), known.predict(X, verbose=0), atol=1e-6
    )


def test_two_lists_bring_a_linear_part():
    model, known = PNN(FIELDS, FIELDS, hidden_units=()), DNN(FIELDS, FIELDS, hidden_units=())
    randomize(known)
    copy_first_order_and_tables(known, model)
    kernel = np.zeros((9 + 3, 1))
    kernel[:9] = known.get_layer("tower_logit").kernel
    model.get_layer("tower_logit").kernel.assign(kernel)
    np.testing.assert_allclose(
        model.predict(X, verbose=0), known.predict(X, verbose=0), atol=1e-6
    )
    with pytest.raises(KeyError, match="no linear_table"):
        table_values(PNN(FIELDS), "user", linear=True)


@pytest.mark.parametrize(
    ("columns", "message"), [*REFUSED, (FIELDS[:1], "pairs need two fields or more, got 1")]
)
def test_errors(columns, message):
    with pytest.raises(ValueError, match=message):
        PNN(columns)


def test_unknown_product():
    with pytest.raises(ValueError, match="PNN: product_type must be one of .*'kernel'.*'cross'"):
        PNN(FIELDS, product_type="cross")
