import numpy as np
import pytest

from deeprec_tf.export import item_encoder, user_encoder
from deeprec_tf.models import NARM
from deeprec_tf.tables import table_values
from tests.models.recall.sessions import noise, sessions, users_of
from tests.models.recall.test_sasrec import COLUMNS, ITEMS, walks
from tests.reference.recall import catalogue_loss
from tests.reference.sessions import narm


def noisy(**options):
    return noise(NARM(*COLUMNS, **{"dropout": 0.0, "hidden_size": 5, **options}))


@pytest.mark.parametrize("normalize", [True, False])
def test_numbers_of_the_whole_model(normalize):
    (model, w), x = noisy(normalize=normalize, attention_size=3), sessions()
    table = table_values(model, "item_id").astype("float64")
    wanted = np.array([
        narm(table[ids[ids != 0]], w, normalize) if ids.any() else np.zeros(8)
        for ids in x["hist_item_id"]
    ])
    np.testing.assert_allclose(users_of(model, x), wanted, atol=1e-4)
    np.testing.assert_allclose(
        model.predict(x, verbose=0)[:, 0], (wanted * table[x["item_id"]]).sum(1), atol=1e-4
    )
    loss = catalogue_loss(wanted, x["item_id"], table, 1.0).mean()
    assert model.evaluate(x, verbose=0) == pytest.approx(loss, rel=1e-4)


def test_the_attention_is_a_softmax_by_default_and_the_papers_sum_without():
    weights = {}
    for normalize in (True, False):
        model, _ = noisy(normalize=normalize)
        states = np.random.default_rng(0).normal(size=(1, 4, 5)).astype("float32")
        mask = np.array([[True, True, True, False]])
        layer = model.get_layer("attention")
        weights[normalize] = layer.explain(states[:, 2], states, mask)["weights"].numpy()
        assert weights[normalize][0, 3] == 0
    assert weights[True].sum() == pytest.approx(1.0, rel=1e-5)
    powers = np.exp(weights[False][0, :3])
    np.testing.assert_allclose(weights[True][0, :3], powers / powers.sum(), rtol=1e-4)


def test_the_last_state_is_that_of_the_last_real_step():
    (model, _), x = noisy(), sessions()
    longer = np.pad(x["hist_item_id"], [(0, 0), (0, 2)])
    np.testing.assert_allclose(
        users_of(model, {"hist_item_id": longer}), users_of(model, x), atol=1e-6
    )


def test_large_scores_stay_finite():
    (model, _), x = noisy(), sessions()
    kernel = model.get_layer("attention").score_kernel
    kernel.assign(np.full(kernel.shape, 1e4))
    assert np.isfinite(users_of(model, x)).all()


def test_a_row_is_trained_on_its_item_alone():
    (model, _), x = noisy(), sessions()
    assert model.get_layer("row_loss").input[1].name == "item_id"
    whole = model.evaluate(x, verbose=0, batch_size=5)
    alone = [
        model.evaluate({name: array[row : row + 1] for name, array in x.items()}, verbose=0)
        for row in range(5)
    ]
    assert whole == pytest.approx(np.mean(alone), rel=1e-5)


def test_dropout_of_the_embeddings_and_of_the_session():
    model = NARM(*COLUMNS)
    assert model.get_layer("embedding_dropout").rate == 0.25
    assert model.get_layer("session_dropout").rate == 0.5


def test_it_learns_a_walk():
    model = NARM(*COLUMNS, dropout=0.0, hidden_size=16)
    model.optimizer.learning_rate = 0.03
    model.fit(walks(128), epochs=40, batch_size=32, verbose=0)
    user = user_encoder(model).predict({"hist_item_id": walks(40, seed=1)["hist_item_id"]},
                                       verbose=0)
    items = item_encoder(model).predict({"item_id": np.arange(1, ITEMS + 1)}, verbose=0)
    best = (user["user_vector"] @ items["item_vector"].T).argmax(axis=1) + 1
    np.testing.assert_array_equal(best, walks(40, seed=1)["item_id"])


@pytest.mark.parametrize(("options", "message"), [
    ({"dropout": (0.1,)}, "NARM: dropout must be one number"),
    ({"attention_size": 0}, "attention: units must be at least 1"),
    ({"loss": "bpr_max"}, "NARM: negatives='all' is for loss='softmax'"),
])  # fmt: skip
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        NARM(*COLUMNS, **options)
