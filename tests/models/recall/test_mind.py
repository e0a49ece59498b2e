import numpy as np
import pytest

from deeprec_tf import DenseFeat, SparseFeat, next_item_columns
from deeprec_tf.export import item_encoder, user_encoder
from deeprec_tf.models import MIND
from deeprec_tf.retrieval import ItemIndex
from deeprec_tf.tables import set_table_values, table_values
from tests.reference import interests as twin

ITEMS = 20
COLUMNS = next_item_columns(ITEMS, maxlen=8, embedding_dim=6)
AGE = DenseFeat("age")
GENERATOR = np.random.default_rng(0)
LENGTHS = np.array([8, 4, 1, 0, 3])
X = {
    "hist_item_id": GENERATOR.integers(1, ITEMS + 1, (5, 8)) * (np.arange(8) < LENGTHS[:, None]),
    "item_id": GENERATOR.integers(1, ITEMS + 1, 5),
    "age": GENERATOR.normal(size=5).astype("float32"),
}


def build(**options):
    model = MIND([*COLUMNS[0], AGE], COLUMNS[1], num_interests=3, hidden_units=(16,), **options)
    set_table_values(model, "item_id", np.random.default_rng(1).normal(size=(ITEMS + 1, 6)))
    return model


def encoded(model):
    user = user_encoder(model).predict({n: X[n] for n in ("hist_item_id", "age")}, verbose=0)
    item = item_encoder(model).predict({"item_id": X["item_id"]}, verbose=0)
    return user["user_vector"], item["item_vector"]


def numbers(model):
    """Interests (B, K, d) by the equations."""
    table = table_values(model, "item_id").astype("float64")
    routing, tower = model.get_layer("routing"), model.get_layer("interest_tower")
    kernel, bias = (weight.numpy() for weight in tower.weights)
    outer = model.get_layer("interest_projection").weights[0].numpy()
    users = np.zeros((5, 3, 6))
    for row, length in enumerate(LENGTHS):
        behaviors = table[X["hist_item_id"][row, :length]]
        interests, _ = twin.routing(behaviors, routing.kernel.numpy(), routing.start.numpy(), 3)
        for k in range(3 if length == 0 else twin.interests_of(length, 3)):
            inner = np.concatenate([interests[k], X["age"][row, None]]) @ kernel + bias
            users[row, k] = np.maximum(inner, 0) @ outer
    return users


def test_interests_and_the_label_aware_loss_by_their_equations():
    model = build(power=2.0)
    wanted = numbers(model)
    user, item = encoded(model)
    np.testing.assert_allclose(user, wanted, rtol=1e-3, atol=1e-5)
    table = table_values(model, "item_id").astype("float64")
    np.testing.assert_allclose(item, table[X["item_id"]], rtol=1e-6)
    losses = []
    for row in range(5):
        query = twin.label_aware(wanted[row], item[row].astype("float64"), 2.0)
        scores = table[1:] @ query
        losses.append(np.log(np.exp(scores).sum()) - scores[X["item_id"][row] - 1])
    assert model.evaluate(X, verbose=0) == pytest.approx(np.mean(losses), rel=1e-4)


def test_unused_interests_are_zeros_and_never_win_in_score_and_index():
    model = build()
    user, item = encoded(model)
    used = np.any(user != 0, axis=2)
    assert used.sum(axis=1).tolist()[:3] == [3, 2, 1] and used.sum(axis=1)[4] == 1
    scores = np.einsum("bkd,bd->bk", user, item)
    wanted = np.where(used, scores, -np.inf).max(axis=1)
    got = model.predict(X, verbose=0)[:, 0]
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-6)
    index = ItemIndex().build(item, ids=np.arange(5))
    for row in range(5):
        found = index.search(user[row : row + 1], k=5)
        at = found.ids[0].tolist().index(row)
        assert found.scores[0, at] == pytest.approx(got[row], rel=1e-4, abs=1e-5)
    assert (got < 0).any(), "no score is negative, so nothing was shown"


def test_one_user_gets_the_same_interests_twice_and_after_a_reload(tmp_path):
    import keras

    model = build()
    once, _ = encoded(model)
    again, _ = encoded(model)
    np.testing.assert_array_equal(once, again)
    model.save(tmp_path / "mind.keras")
    loaded, _ = encoded(keras.saving.load_model(tmp_path / "mind.keras"))
    np.testing.assert_array_equal(once, loaded)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: MIND([SparseFeat("user", 3)], COLUMNS[1]), "MIND: 'item_id' needs its history"),
        (lambda: build(power=-1.0), "power must be at least 0 or 'hard', got -1.0"),
        (lambda: build(routing_iterations=0), "routing_iterations must be a whole"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
