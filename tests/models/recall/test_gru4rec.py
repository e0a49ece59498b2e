import numpy as np
import pytest

from deeprec_tf import SparseFeat, VarLenSparseFeat, next_item_columns
from deeprec_tf.candidates import InBatch, Sampled
from deeprec_tf.export import item_encoder, user_encoder
from deeprec_tf.models import GRU4Rec
from deeprec_tf.tables import set_table_values, table_values
from tests.models.recall.sessions import noise, sessions, users_of
from tests.models.recall.test_sasrec import COLUMNS, ITEMS, walks
from tests.reference.recall import bpr_max, catalogue_loss
from tests.reference.sessions import gru_states


def noisy(**options):
    return noise(GRU4Rec(*COLUMNS, **{"dropout": 0.0, "hidden_size": 5, **options}))


def twin(model, w, x, num_layers):
    """Queries (B, T, D + 1), labels (B, T) and items (V, D + 1) by the equations."""
    table = table_values(model, "item_id").astype("float64")
    rows, steps = x["hist_item_id"].shape
    queries = np.zeros((rows, steps, table.shape[1] + 1))
    labels = np.zeros((rows, steps), int)
    for row, ids in enumerate(x["hist_item_id"]):
        ids = ids[ids != 0]
        vectors = table[ids]
        for i in range(num_layers):
            vectors = gru_states(vectors, w, f"gru_{i}/rnn/cell")
        if len(ids):
            queries[row, : len(ids), :-1] = vectors @ w["output_projection/kernel"]
            queries[row, : len(ids), -1] = 1.0
            labels[row, : len(ids)] = [*ids[1:], x["item_id"][row]]
    return queries, labels, np.concatenate([table, w["item_bias/embeddings"]], axis=1)


@pytest.mark.parametrize("num_layers", [1, 2])
def test_numbers_of_the_whole_model(num_layers):
    (model, w), x = noisy(num_layers=num_layers), sessions()
    queries, labels, items = twin(model, w, x, num_layers)
    users = users_of(model, x)
    lengths = (x["hist_item_id"] != 0).sum(axis=1)
    for user, query, length in zip(users, queries, lengths, strict=True):
        nobody = np.eye(len(user))[-1]  # without a history the bias alone ranks
        np.testing.assert_allclose(user, query[length - 1] if length else nobody, atol=1e-5)
    vectors = item_encoder(model).predict({"item_id": x["item_id"]}, verbose=0)["item_vector"]
    np.testing.assert_allclose(vectors, items[x["item_id"]], rtol=1e-6)
    np.testing.assert_allclose(
        model.predict(x, verbose=0)[:, 0], (users * vectors).sum(1), atol=1e-5
    )
    wanted = catalogue_loss(queries, labels, items, 1.0).mean()
    assert model.evaluate(x, verbose=0) == pytest.approx(wanted, rel=1e-5)


def test_sampled_losses_read_the_bias_too():
    draws = Sampled(400, "popularity", counts=np.eye(ITEMS + 1)[7])  # always item 7
    (model, w), x = noisy(loss="bpr_max", negatives=draws), sessions()
    queries, labels, items = twin(model, w, x, 1)
    losses = [
        bpr_max(queries[at] @ items[labels[at]], [queries[at] @ items[7]], 0.0)
        for at in map(tuple, np.argwhere(labels)) if labels[at] != 7
    ]
    wanted = sum(losses) / np.count_nonzero(labels)
    assert model.evaluate(x, verbose=0) == pytest.approx(wanted, rel=1e-4)


def test_items_are_not_alike_for_being_popular():
    (model, _), x = noisy(negatives=Sampled(50, hide_similar=0.95)), sessions()
    (without, _), biases = noisy(negatives=Sampled(50)), np.full((ITEMS + 1, 1), 30.0)
    for one in (model, without):
        one.get_layer("item_bias").embeddings.assign(biases)
    losses = [one.evaluate(x, verbose=0) for one in (model, without)]
    assert losses[0] == pytest.approx(losses[1], rel=0.2)  # negatives are drawn anew


def test_the_state_starts_anew_in_every_row():
    (model, _), x = noisy(), sessions()
    whole = model.predict(x, verbose=0)
    order = np.array([4, 3, 2, 1, 0])
    turned = model.predict({name: array[order] for name, array in x.items()}, verbose=0)
    np.testing.assert_allclose(turned, whole[order], atol=1e-6)


@pytest.mark.parametrize("options", [
    {}, {"loss": "bpr_max", "negatives": [InBatch(64), Sampled(8)]},
    {"loss": "top1_max", "negatives": [InBatch(64), Sampled(8)]},
    {"negatives": [InBatch(64, counts=np.ones(ITEMS + 1)), Sampled(8)]},
])  # fmt: skip
def test_it_learns_a_walk(options):
    model = GRU4Rec(*COLUMNS, dropout=0.0, hidden_size=16, **options)
    model.optimizer.learning_rate = 0.03
    model.fit(walks(128), epochs=15, batch_size=32, verbose=0)
    user = user_encoder(model).predict({"hist_item_id": np.array([[7, 8, 0, 0]])}, verbose=0)
    items = item_encoder(model).predict({"item_id": np.arange(1, ITEMS + 1)}, verbose=0)
    scores = items["item_vector"] @ user["user_vector"][0]
    assert scores.argmax() + 1 == 9


def test_without_a_bias_the_item_is_its_row():
    model = GRU4Rec(*COLUMNS, item_bias=False)
    item = item_encoder(model).predict({"item_id": np.array([3, 4])}, verbose=0)["item_vector"]
    np.testing.assert_allclose(item, table_values(model, "item_id")[[3, 4]], rtol=1e-6)
    assert not [weight.path for weight in model.weights if "projection" in weight.path]


def test_padding_steps_are_not_in_the_loss():
    (model, _), x = noisy(), sessions()
    set_table_values(model, "item_id", np.zeros((ITEMS + 1, 8)))
    model.get_layer("item_bias").embeddings.assign(np.zeros((ITEMS + 1, 1)))
    assert model.evaluate(x, verbose=0) == pytest.approx(np.log(ITEMS), rel=1e-5)


def test_features_of_the_items_count_and_have_a_bias_too():
    category = SparseFeat("cate_id", 5)
    table = {"cate_id": np.random.default_rng(0).integers(1, 5, ITEMS + 1)}
    past = VarLenSparseFeat(SparseFeat("hist_item_id", ITEMS + 1, embedding_name="item_id"), 8)
    model = GRU4Rec([past], [SparseFeat("item_id", ITEMS + 1), category], item_table=table)
    x = walks(8)
    x["cate_id"] = table["cate_id"][x["item_id"]]
    before = model.predict(x, verbose=0)
    model.fit(x, verbose=0)
    assert np.abs(model.predict(x, verbose=0) - before).max() > 0
    assert model.output["score"].shape == (None, 1)


@pytest.mark.parametrize(("options", "message"), [
    ({"num_layers": 0}, "GRU4Rec: num_layers must be a whole number from 1 on"),
    ({"dropout": (0.1, 0.2, 0.3)}, "GRU4Rec: dropout must be one number"),
    ({"dropout": 1.0}, "GRU4Rec: dropout must be one number"),
    ({"loss": "bpr_max"}, "GRU4Rec: negatives='all' is for loss='softmax'"),
])  # fmt: skip
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        GRU4Rec(*next_item_columns(ITEMS, maxlen=8, embedding_dim=8), **options)
