import numpy as np
import pytest

from deeprec_tf import DenseFeat, SparseFeat, VarLenSparseFeat
from deeprec_tf.candidates import InBatch, Sampled
from deeprec_tf.export import item_encoder, user_encoder
from deeprec_tf.models import DSSM
from deeprec_tf.tables import table_values

USER = SparseFeat("user", 7, embedding_dim=4)
PAST = VarLenSparseFeat(SparseFeat("hist_item_id", 9, embedding_name="item_id"), maxlen=5)
ITEM, PRICE = SparseFeat("item_id", 9), DenseFeat("price")
GENERATOR = np.random.default_rng(0)
X = {
    "user": GENERATOR.integers(0, 7, 6),
    "hist_item_id": GENERATOR.integers(1, 9, (6, 3)),
    "item_id": GENERATOR.integers(1, 9, 6),
    "price": GENERATOR.normal(size=6).astype("float32"),
}
PRICES = {"price": GENERATOR.normal(size=9).astype("float32")}


def build(**options):
    return DSSM([USER, PAST], [ITEM, PRICE], hidden_units=(8, 4), **options)


def test_the_score_is_the_cosine_of_what_the_encoders_give():
    model = build()
    model.fit(X, verbose=0)
    users = user_encoder(model).predict({k: X[k] for k in ("user", "hist_item_id")}, verbose=0)
    items = item_encoder(model).predict({k: X[k] for k in ("item_id", "price")}, verbose=0)
    u, v = users["user_vector"], items["item_vector"]
    np.testing.assert_allclose(np.linalg.norm(u, axis=1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(v, axis=1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(model.predict(X, verbose=0)[:, 0], (u * v).sum(1), atol=1e-6)


def test_rewards_and_weights_weigh_the_rows():
    model = build(optimizer="sgd")
    whole = model.evaluate(X, verbose=0)
    assert whole == pytest.approx(model.evaluate(X, np.ones(6), verbose=0))
    halves = model.evaluate(X, np.full(6, 0.5), sample_weight=np.full(6, 0.5), verbose=0)
    assert halves == pytest.approx(whole / 4, rel=1e-5)
    only = [1.0, 0, 0, 0, 0, 0]
    as_reward = model.evaluate(X, np.array(only), verbose=0)
    as_weight = model.evaluate(X, sample_weight=np.array(only), verbose=0)
    assert as_reward == pytest.approx(as_weight, rel=1e-6) and 0 < as_reward < whole


def test_the_histories_table_is_the_items_own():
    model = build()
    assert table_values(model, "item_id").shape == (9, 8)
    assert len([layer for layer in model.layers if "embedding_item_id" in layer.name]) == 1


def test_logits_of_a_cosine_have_a_learned_scale():
    model = build(loss="bce", negatives=InBatch(), temperature="learned")
    names = [weight.path for weight in model.trainable_weights]
    assert "row_loss/log_scale" in names and "row_loss/bias" in names


def test_negatives_from_the_catalogue_need_the_items_features():
    with pytest.raises(ValueError, match="DSSM: 'price' is wanted of items .*item_table"):
        build(negatives=Sampled(4))
    build(negatives=Sampled(4), item_table=PRICES)
    with pytest.raises(ValueError, match=r"item_table\['price'\] has 5 rows, but 'item_id' has 9"):
        build(negatives="all", item_table={"price": PRICES["price"][:5]})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: DSSM([USER], [PRICE]), "the first of item_feature_columns must be the SparseFeat"),
        (lambda: DSSM([USER], [ITEM], hidden_units=8), "user_tower: hidden_units must be a list"),
        (lambda: DSSM([USER], []), "the first of item_feature_columns"),
        (lambda: build(loss="binary_crossentropy"), "DSSM: loss must be"),
        (lambda: build(negatives="all", loss="bpr", item_table=PRICES), "negatives='all' is for"),
        (
            lambda: DSSM([USER], [ITEM], negatives=InBatch(hide_seen=True)),
            "hide_seen needs a history",
        ),
        (lambda: build().compile(loss="mse"), "part of its graph, got loss='mse'"),
        (lambda: build().fit({**X, "item_id": X["item_id"] * 0}), "'item_id' is 0 in row 0"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
