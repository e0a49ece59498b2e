import numpy as np
import pytest

from deeprec_tf.models import FiBiNET
from tests.layers.contract import randomize
from tests.models.ranking.pair_samples import (
    FIELDS,
    NUMBERS,
    PRICE,
    REFUSED,
    X,
    first_order_of,
    probabilities,
    vectors_of,
    weights_of,
)
from tests.reference.core import mlp
from tests.reference.pairs import bilinear, hadamard_pairs, senet

MATRIX = {
    "field_all": lambda i, j, p: 0,
    "field_each": lambda i, j, p: i,
    "field_interaction": lambda i, j, p: p,
}


@pytest.mark.parametrize("bilinear_type", MATRIX)
def test_prediction_is_that_of_the_equations(bilinear_type):
    model = FiBiNET(
        [*FIELDS, PRICE], bilinear_type=bilinear_type, hidden_units=(4,), activation="tanh"
    )
    randomize(model, scale=0.5)
    for name in ("squeeze_kernel", "excite_kernel"):  # positive, so that no field is cut off
        weight = getattr(model.get_layer("senet"), name)
        weight.assign(np.abs(weight))
    w, fields, chosen = weights_of(model), vectors_of(model), MATRIX[bilinear_type]
    _, weighted = senet(fields, w["senet/squeeze_kernel"], w["senet/excite_kernel"])
    assert np.any(weighted), "some fields count"
    flat = [
        bilinear(these, lambda *pair, kernel=w[f"{name}/kernel"]: kernel[chosen(*pair)])
        for name, these in (("bilinear", fields), ("bilinear_senet", weighted))
    ]
    flat = np.concatenate([*(pairs.reshape(6, 9) for pairs in flat), NUMBERS["price"]], axis=1)
    tower = mlp(flat, [(w["tower/dense_0/kernel"], w["tower/dense_0/bias"], None)], "tanh")
    logit = (tower @ w["tower_logit/kernel"])[:, 0] + first_order_of(model, NUMBERS["price"])
    got = model.predict(X | NUMBERS, verbose=0)[:, 0]
    np.testing.assert_allclose(got, probabilities(logit), atol=1e-5)


@pytest.mark.parametrize("bilinear_type", MATRIX)
def test_identity_matrices_give_plain_hadamard_pairs(bilinear_type):
    model = FiBiNET(FIELDS, bilinear_type=bilinear_type, hidden_units=())
    randomize(model)
    kernel = model.get_layer("bilinear").kernel
    kernel.assign(np.broadcast_to(np.eye(3), kernel.shape))
    weights = np.concatenate([np.ones((9, 1)), np.zeros((9, 1))])  # the re-weighted do not count
    model.get_layer("tower_logit").kernel.assign(weights)
    logit = hadamard_pairs(vectors_of(model)).sum(axis=(1, 2)) + first_order_of(model)
    np.testing.assert_allclose(
        model.predict(X, verbose=0)[:, 0], probabilities(logit), atol=1e-5
    )


def test_both_interactions_have_matrices_of_their_own():
    model = FiBiNET(FIELDS, bilinear_type="all")
    paths = [weight.path for weight in model.weights if weight.path.startswith("bilinear")]
    assert sorted(paths) == ["bilinear/kernel", "bilinear_senet/kernel"]


@pytest.mark.parametrize(("bilinear_type", "count"), [("all", 1), ("each", 2), ("interaction", 3)])
def test_short_names_and_number_of_matrices(bilinear_type, count):
    model = FiBiNET(FIELDS, bilinear_type=bilinear_type)
    assert model.get_layer("bilinear").kernel.shape == (count, 3, 3)


def test_reduction_ratio_reaches_the_bottleneck():
    assert FiBiNET(FIELDS).get_layer("senet").squeeze_kernel.shape == (3, 1)
    assert FiBiNET(FIELDS, reduction_ratio=1).get_layer("senet").squeeze_kernel.shape == (3, 3)


@pytest.mark.parametrize(
    ("columns", "message"), [*REFUSED, (FIELDS[:1], "pairs need two fields or more, got 1")]
)
def test_errors(columns, message):
    with pytest.raises(ValueError, match=message):
        FiBiNET(columns)


def test_unknown_type():
    with pytest.raises(ValueError, match="bilinear: bilinear_type must be one of .*got 'both'"):
        FiBiNET(FIELDS, bilinear_type="both")
