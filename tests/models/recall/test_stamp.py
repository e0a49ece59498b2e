import numpy as np
import pytest

from deeprec_tf.export import item_encoder, user_encoder
from deeprec_tf.models import STAMP
from deeprec_tf.tables import table_values
from tests.models.recall.sessions import noise, sessions, users_of
from tests.models.recall.test_sasrec import COLUMNS, ITEMS, walks
from tests.reference.recall import catalogue_loss
from tests.reference.sessions import stamp


def noisy(**options):
    return noise(STAMP(*COLUMNS, **options))


@pytest.mark.parametrize("add_mean", [True, False])
def test_numbers_of_the_whole_model(add_mean):
    (model, w), x = noisy(add_mean=add_mean, attention_size=3), sessions()
    table = table_values(model, "item_id").astype("float64")
    of_none = np.tanh(w["general_tower/bias"]) * np.tanh(w["last_tower/bias"])
    wanted = np.array([
        stamp(table[ids[ids != 0]], w, add_mean) if ids.any() else of_none
        for ids in x["hist_item_id"]
    ])
    np.testing.assert_allclose(users_of(model, x), wanted, atol=1e-4)
    loss = catalogue_loss(wanted, x["item_id"], table, 1.0).mean()
    assert model.evaluate(x, verbose=0) == pytest.approx(loss, rel=1e-4)


def test_the_score_is_trilinear():
    (model, _), x = noisy(), sessions()
    item = item_encoder(model).predict({"item_id": x["item_id"]}, verbose=0)["item_vector"]
    np.testing.assert_allclose(
        model.predict(x, verbose=0)[:, 0], (users_of(model, x) * item).sum(axis=1), atol=1e-5
    )
    assert np.abs(users_of(model, x)).max() <= 1.0, "a product of two tanh"


def test_the_attention_is_no_softmax_and_padding_is_masked():
    model, _ = noisy()
    layer = model.get_layer("attention")
    vectors = np.random.default_rng(0).normal(size=(2, 4, 8)).astype("float32")
    query = np.ones((2, 16), "float32")
    mask = np.array([[True, True, False, False], [True] * 4])
    weights = layer.explain(query, vectors, mask)["weights"].numpy()
    assert not weights[0, 2:].any()
    assert np.abs(weights.sum(axis=1) - 1.0).min() > 0.01
    x = sessions()
    longer = np.pad(x["hist_item_id"], [(0, 0), (0, 2)])
    np.testing.assert_allclose(
        users_of(model, {"hist_item_id": longer}), users_of(model, x), atol=1e-6
    )


def test_the_last_click_has_a_say_of_its_own():
    (model, _), x = noisy(), sessions()
    turned = x["hist_item_id"][:, [1, 0, 2, 3, 4, 5]]
    last = x["hist_item_id"][:, [0, 1, 2, 3, 5, 4]]
    whole = users_of(model, x)[1]
    np.testing.assert_allclose(users_of(model, {"hist_item_id": turned})[1], whole, atol=1e-5)
    assert np.abs(users_of(model, {"hist_item_id": last})[1] - whole).max() > 1e-3


def test_weights_start_as_in_the_paper():
    model = STAMP(*COLUMNS, embedding_dim=100)
    for name in ("general_tower", "last_tower"):
        assert np.std(model.get_layer(name).kernel) == pytest.approx(0.05, rel=0.05)


def test_it_learns_a_walk():
    model = STAMP(*COLUMNS, embedding_dim=16)
    model.optimizer.learning_rate = 0.03
    model.fit(walks(128), epochs=25, batch_size=32, verbose=0)
    x = walks(40, seed=1)
    user = user_encoder(model).predict({"hist_item_id": x["hist_item_id"]}, verbose=0)
    items = item_encoder(model).predict({"item_id": np.arange(1, ITEMS + 1)}, verbose=0)
    best = (user["user_vector"] @ items["item_vector"].T).argmax(axis=1) + 1
    np.testing.assert_array_equal(best, x["item_id"])


@pytest.mark.parametrize(("options", "message"), [
    ({"attention_size": 0}, "attention: units must be at least 1"),
    ({"loss": "bce"}, "STAMP: negatives='all' is for loss='softmax'"),
])  # fmt: skip
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        STAMP(*COLUMNS, **options)
