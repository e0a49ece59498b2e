import numpy as np
import pytest

from deeprec_tf import next_item_columns
from deeprec_tf.export import item_encoder, user_encoder
from deeprec_tf.models import BERT4Rec
from tests.models.recall.sessions import noise, sessions, users_of
from tests.models.recall.test_sasrec import COLUMNS, ITEMS, walks
from tests.reference.recall import catalogue_loss
from tests.reference.sessions import bert4rec


def noisy(**options):
    return noise(BERT4Rec(*COLUMNS, **{"dropout": 0.0, "num_layers": 2, **options}), scale=0.4)


def twin(w, x):
    """User vectors and items (V, d + 1) by the equations."""
    table = w["embedding_item_id/embeddings"]
    users = []
    for ids in x["hist_item_id"]:
        vectors = np.array([*table[ids[ids != 0]], np.zeros(8)])
        hidden = [False] * (len(vectors) - 1) + [True]
        users.append(bert4rec(vectors, hidden, w, 2, 2)[-1])
    return np.array(users), np.concatenate([table, w["item_bias/embeddings"]], axis=1)


def test_numbers_of_the_whole_model():
    (model, w), x = noisy(), sessions()
    users, items = twin(w, x)
    np.testing.assert_allclose(users_of(model, x), users, atol=1e-4)
    vectors = item_encoder(model).predict({"item_id": x["item_id"]}, verbose=0)["item_vector"]
    np.testing.assert_allclose(vectors, items[x["item_id"]], rtol=1e-6)
    np.testing.assert_allclose(
        model.predict(x, verbose=0)[:, 0], (users * vectors).sum(axis=1), atol=1e-4
    )
    # Evaluation hides the positive item alone: the user's own state is what it trains then.
    loss = catalogue_loss(users, x["item_id"], items, 1.0).mean()
    assert model.evaluate(x, verbose=0) == pytest.approx(loss, rel=1e-4)


def test_the_user_is_asked_by_a_mask_behind_the_history():
    (model, _), x = noisy(), sessions()
    assert list(user_encoder(model).input) == ["hist_item_id"]
    before = users_of(model, x)
    token = model.get_layer("mask_token").token
    token.assign(-token)
    assert np.abs(users_of(model, x) - before).max(axis=1).min() > 1e-3, "also without a history"


def test_a_full_history_leaves_a_place_for_the_mask():
    model, _ = noisy()
    full = np.arange(1, 9)[None]
    assert model.get_layer("positions").maxlen == full.shape[1] + 1
    whole = users_of(model, {"hist_item_id": full})
    oldest = full.copy()
    oldest[0, 0] = 15
    assert np.abs(users_of(model, {"hist_item_id": oldest}) - whole).max() > 1e-4


def test_attention_looks_both_ways():
    model, _ = noisy()
    block = model.get_layer("block_0")
    states = np.random.default_rng(0).normal(size=(1, 4, 8)).astype("float32")
    other = states.copy()
    other[0, 3] += 1.0
    mask = np.ones((1, 4), bool)
    moved = np.abs(np.asarray(block(states, mask) - block(other, mask)))[0]
    assert moved.max(axis=1).min() > 1e-4, "what comes later does not reach the first step"


def test_training_hides_steps_at_random_and_its_loss_counts_them_alone():
    (model, w), x = noisy(mask_share=0.5, last_only=0.0), sessions()
    hidden_steps = model.get_layer("hidden")
    state = np.asarray(hidden_steps.seed_generator.state)
    y, seed = np.ones((5, 1), "float32"), hidden_steps.seed_generator.state
    arrays = {name: array.astype("int32") for name, array in x.items()}
    got = float(model.compute_loss(arrays, y, model(arrays, training=True), None, training=True))
    seed.assign(state)
    table = w["embedding_item_id/embeddings"]
    ids = np.zeros((5, 7), "int32")
    for row, history in enumerate(x["hist_item_id"]):
        own = [*history[history != 0], x["item_id"][row]]
        ids[row, : len(own)] = own
    real = ids != 0
    is_last = np.arange(7) == real.sum(axis=1, keepdims=True) - 1
    hidden, labels = map(np.asarray, hidden_steps(ids, real, is_last, training=True))
    assert hidden.sum() > 5 and (hidden != is_last).any()
    queries = np.zeros((5, 7, 9))
    for row in range(5):
        own = slice(0, real[row].sum())
        queries[row, own] = bert4rec(table[ids[row, own]], hidden[row, own], w, 2, 2)
    items = np.concatenate([table, w["item_bias/embeddings"]], axis=1)
    wanted = catalogue_loss(queries, labels, items, 1.0).mean()
    assert got == pytest.approx(wanted, rel=1e-4)


def test_a_hidden_item_does_not_leak():
    """The loss of the last step, hidden alone, must not depend on what its vector adds there."""
    (model, w), x = noisy(last_only=1.0), sessions()
    users, items = twin(w, x)
    wanted = catalogue_loss(users, x["item_id"], items, 1.0).mean()
    arrays = {name: array.astype("int32") for name, array in x.items()}
    y = np.ones((5, 1), "float32")
    got = model.compute_loss(arrays, y, model(arrays, training=True), None, training=True)
    assert float(got) == pytest.approx(wanted, rel=1e-4)


def test_both_sequences_share_one_set_of_weights_also_with_context():
    from deeprec_tf import SparseFeat

    user = SparseFeat("user", 5, embedding_dim=3)
    model = BERT4Rec([*COLUMNS[0], user], COLUMNS[1], num_layers=1)
    plain = BERT4Rec(*COLUMNS, num_layers=1)
    more = len(model.trainable_weights) - len(plain.trainable_weights)
    assert more == 4, "a table, two kernels and a bias"
    assert len([w for w in model.weights if "attention/query_kernel" in w.path]) == 1


def test_it_learns_a_walk():
    model = BERT4Rec(*COLUMNS, dropout=0.0, hidden_size=16, last_only=0.5)
    model.optimizer.learning_rate = 0.01
    model.fit(walks(256), epochs=50, batch_size=32, verbose=0)
    x = walks(40, seed=1)
    items = item_encoder(model).predict({"item_id": np.arange(1, ITEMS + 1)}, verbose=0)
    best = (users_of(model, x) @ items["item_vector"].T).argmax(axis=1) + 1
    assert (best == x["item_id"]).mean() > 0.7


@pytest.mark.parametrize(("options", "message"), [
    ({"mask_share": 0.0}, "hidden: share must be above 0"),
    ({"last_only": 2.0}, "hidden: last_only must be in"),
    ({"num_heads": 3}, "3 heads"),
    ({"loss": "bpr"}, "BERT4Rec: negatives='all' is for loss='softmax'"),
])  # fmt: skip
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        BERT4Rec(*next_item_columns(ITEMS, maxlen=8, embedding_dim=8), **options)
