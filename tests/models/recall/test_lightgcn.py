import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from deeprec_tf import DenseFeat, SparseFeat, VarLenSparseFeat
from deeprec_tf.candidates import InBatch, Sampled
from deeprec_tf.evaluation import RetrievalEvaluation, evaluate_retrieval
from deeprec_tf.export import inference_model, item_encoder, user_encoder
from deeprec_tf.models import LightGCN
from deeprec_tf.optimizers import SparseAdam
from deeprec_tf.retrieval import ItemIndex
from deeprec_tf.tables import set_table_values, table_values
from deeprec_tf.training import warm_start
from tests.reference import graph as twin
from tests.reference import recall

USERS, ITEMS = 6, 9  # the highest ids
GENERATOR = np.random.default_rng(0)
PAIRS = GENERATOR.integers((0, 1), (USERS, ITEMS), size=(20, 2))  # the last ids have no edge
X = {"user_id": PAIRS[:8, 0], "item_id": PAIRS[:8, 1]}
EVERY_USER, EVERY_ITEM = np.arange(USERS + 1), np.arange(1, ITEMS + 1)


def build(**options):
    options = {"num_users": USERS, "num_items": ITEMS, "embedding_dim": 5, **options}
    return LightGCN(PAIRS, **options)


def tables(model):
    return [table_values(model, name).astype("float64") for name in ("user_id", "item_id")]


def encoded(model):
    users = user_encoder(model).predict({"user_id": EVERY_USER}, verbose=0)["user_vector"]
    items = item_encoder(model).predict({"item_id": EVERY_ITEM}, verbose=0)["item_vector"]
    return users, items


def check_vectors(model, num_layers=3):
    users, items = twin.propagated(*tables(model), PAIRS, num_layers)
    got_users, got_items = encoded(model)
    np.testing.assert_allclose(got_users, users, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(got_items, items[1:], rtol=1e-4, atol=1e-6)
    scores = (users[X["user_id"]] * items[X["item_id"]]).sum(axis=1)
    np.testing.assert_allclose(
        model.predict(X, verbose=0)[:, 0], scores, rtol=1e-4, atol=1e-6
    )
    return users, items


def test_vectors_and_the_pairwise_loss_by_their_equations():
    """With the batch's items as negatives, as those that are drawn are not known."""
    model = build(loss="bpr", negatives=InBatch(), l2=0.3, num_layers=2)
    users, items = check_vectors(model, 2)
    losses = []
    for u, i in zip(X["user_id"], X["item_id"], strict=True):
        others = [j for j in X["item_id"] if j != i]
        losses.append(recall.bpr(users[u] @ items[i], [users[u] @ items[j] for j in others]))
    before = tables(model)
    penalty = sum(twin.penalty(t[ids]) for t, ids in zip(before, X.values(), strict=True))
    assert model.evaluate(X, verbose=0) == pytest.approx(np.mean(losses) + 0.3 * penalty, rel=1e-4)


def test_one_negative_is_drawn_a_row_and_penalized_like_the_others():
    """Of two items one is the row's own, so the other, where drawn, is known."""
    pairs = np.array([[0, 1], [1, 2], [1, 1]])
    model = LightGCN(pairs, embedding_dim=4, l2=0.0)
    users, items = twin.propagated(*tables(model), pairs, 3)
    x = {"user_id": np.zeros(2000, "int64"), "item_id": np.ones(2000, "int64")}
    drawn = recall.bpr(users[0] @ items[1], [users[0] @ items[2]])
    got = model.evaluate(x, batch_size=2000, verbose=0)
    assert got == pytest.approx(drawn / 2, rel=0.1)  # half of the draws are the item itself
    penalized = LightGCN(pairs, embedding_dim=4, l2=50.0)
    for name, values in zip(("user_id", "item_id"), tables(model), strict=True):
        set_table_values(penalized, name, values)
    of_users, of_items = tables(model)
    wanted = sum(map(twin.penalty, (of_users[:1], of_items[1:2], of_items[1:])))
    got = penalized.evaluate(x, batch_size=2000, verbose=0) - got
    assert got == pytest.approx(50.0 * wanted, rel=0.05)


def test_the_softmax_over_all_items_by_its_equation():
    model = build(negatives="all", l2=0.1, temperature=0.5)
    users, items = twin.propagated(*tables(model), PAIRS, 3)
    scores = users[X["user_id"]] @ items[1:].T / 0.5
    losses = np.log(np.exp(scores).sum(axis=1)) - scores[np.arange(8), X["item_id"] - 1]
    penalty = sum(twin.penalty(t[ids]) for t, ids in zip(tables(model), X.values(), strict=True))
    assert penalty > 0.01
    assert model.evaluate(X, verbose=0) == pytest.approx(losses.mean() + 0.1 * penalty, rel=1e-4)


def test_without_a_layer_it_is_matrix_factorization():
    model = build(num_layers=0)
    users, items = encoded(model)
    np.testing.assert_allclose(users, table_values(model, "user_id"), rtol=1e-6)
    np.testing.assert_allclose(items, table_values(model, "item_id")[1:], rtol=1e-6)


def test_cosines_have_unit_vectors():
    model = build(l2_normalize=True, negatives="in_batch")
    for vectors in encoded(model):
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, rtol=1e-5)
    assert model.get_layer("row_loss").temperature == 0.05


def test_ids_without_an_edge_and_user_0_have_finite_vectors():
    model = build()
    model.fit(X, epochs=2, verbose=0)
    users, items = encoded(model)
    assert np.isfinite(users).all() and np.isfinite(items).all()
    np.testing.assert_allclose(users[-1], table_values(model, "user_id")[-1] / 4, rtol=1e-5)
    assert PAIRS[:, 0].min() == 0 and np.isfinite(model.predict(X, verbose=0)).all()


def test_vectors_follow_whatever_changes_the_tables():
    model = build(optimizer=keras.optimizers.Adam(0.05))
    users, items = user_encoder(model), item_encoder(model)  # cut before all changes
    check_vectors(model)

    def check_cuts():
        wanted_users, wanted_items = check_vectors(model)
        got = users.predict({"user_id": EVERY_USER}, verbose=0)["user_vector"]
        np.testing.assert_allclose(got, wanted_users, rtol=1e-4, atol=1e-6)
        called = items({"item_id": tf.constant(EVERY_ITEM)})["item_vector"]
        np.testing.assert_allclose(called, wanted_items[1:], rtol=1e-4, atol=1e-6)

    changes = [
        lambda: model.fit(X, epochs=1, verbose=0),
        lambda: model.train_on_batch(X),
        lambda: set_table_values(model, "item_id", GENERATOR.normal(size=(ITEMS + 1, 5))),
        lambda: model.set_weights([
            w + 1.0 if w.shape == (USERS + 1, 5) else w for w in model.get_weights()
        ]),
    ]
    for change in changes:
        before = encoded(model)[1]
        change()
        check_cuts()
        assert np.abs(encoded(model)[1] - before).max() > 1e-3


def test_encoders_look_up_and_know_nothing_of_the_graph():
    model = build()
    for cut, names in (
        (user_encoder(model), ["user_id"]), (item_encoder(model), ["item_id"]),
        (inference_model(model), ["user_id", "item_id"]),
    ):
        assert sorted(tensor.name for tensor in cut.inputs) == sorted(names)
        kinds = {type(layer).__name__ for layer in cut.layers}
        assert not kinds & {"GraphPropagation", "GraphRows"}, kinds


def test_a_reloaded_model_has_its_graph_and_trains_on(tmp_path):
    model = build(optimizer=keras.optimizers.Adam(0.01), negatives="all")
    model.fit(X, epochs=1, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(encoded(loaded)[0], encoded(model)[0], rtol=1e-6)
    for _ in range(2):
        losses = [float(m.train_on_batch(X, return_dict=True)["loss"]) for m in (model, loaded)]
        assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    check_vectors(loaded)


def test_a_warm_start_keeps_its_own_graph():
    old = build(negatives="all")
    old.fit(X, epochs=2, verbose=0)
    grown = np.concatenate([PAIRS, [[USERS + 1, ITEMS + 1], [0, ITEMS]]])
    new = LightGCN(grown, embedding_dim=5, negatives="all")
    done = warm_start(new, old)
    assert done.tables["embedding_item_id"] == (ITEMS + 1, ITEMS + 2)
    assert not done.fresh and not done.unused and len(done.given) == 6
    users, items = twin.propagated(*tables(new), grown, 3)
    np.testing.assert_allclose(tables(new)[0][:-1], tables(old)[0])
    got = user_encoder(new).predict({"user_id": EVERY_USER}, verbose=0)["user_vector"]
    np.testing.assert_allclose(got, users[:-1], rtol=1e-4, atol=1e-6)


def test_evaluation_and_index_find_the_same_items():
    model = build(negatives="all", optimizer=keras.optimizers.Adam(0.05))
    x, targets = {"user_id": np.arange(3)}, [[1], [2, 3], [4]]
    found = RetrievalEvaluation((x, targets), k=2, metrics=["recall"])
    history = model.fit(X, epochs=3, callbacks=[found], verbose=0).history
    wanted = evaluate_retrieval(model, x, targets, k=2, metrics=["recall"])["recall@2"]
    assert [v for n, v in history.items() if "recall@2" in n][0][-1] == pytest.approx(wanted)
    users, items = encoded(model)
    index = ItemIndex.of_model(model, {"item_id": EVERY_ITEM})
    got = index.search(users, k=ITEMS).ids
    np.testing.assert_array_equal(got[:, 0], EVERY_ITEM[(users @ items.T).argmax(axis=1)])


def test_dense_gradients_take_the_step_of_plain_adam():
    models = [
        build(negatives="all", optimizer=optimizer)
        for optimizer in (SparseAdam(0.01), keras.optimizers.AdamW(0.01, weight_decay=0.0))
    ]
    models[1].set_weights(models[0].get_weights())
    for model in models:
        model.fit(X, epochs=3, shuffle=False, batch_size=4, verbose=0)
    assert isinstance(models[0].optimizer, SparseAdam)
    for one, other in zip(*map(tables, models), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    moved = np.abs(tables(models[0])[1] - 0).sum(axis=1)
    assert (moved > 0).all()


FEATURES = [
    SparseFeat("cate", 4, embedding_dim=3),
    VarLenSparseFeat(SparseFeat("tags", 5, embedding_dim=2), maxlen=2, combiner="sum"),
    DenseFeat("price"),
]
FEATURES_OF_ITEMS = {
    "cate": np.arange(ITEMS + 1) % 4,
    "tags": GENERATOR.integers(0, 5, size=(ITEMS + 1, 2)),
    "price": GENERATOR.normal(size=ITEMS + 1).astype("float32"),
}


def featured(**options):
    options = {"item_feature_columns": FEATURES, "item_table": FEATURES_OF_ITEMS, **options}
    return build(**options)


def vectors_of(model, num_layers=3):
    """Both sides' vectors by hand: an item starts with its row and a map of its features."""
    of_users, of_items = tables(model)
    cates, tags = (table_values(model, name).astype("float64") for name in ("cate", "tags"))
    kernel = model.get_layer("item_projection").kernel.numpy().astype("float64")
    for item in range(ITEMS + 1):
        pooled = sum((tags[tag] for tag in FEATURES_OF_ITEMS["tags"][item] if tag), np.zeros(2))
        price = model.get_layer("all_price").table.numpy()[item].astype("float64")
        of_items[item] += np.concatenate([cates[item % 4], pooled, price]) @ kernel
    return twin.propagated(of_users, of_items, PAIRS, num_layers), of_items


def test_features_of_items_are_propagated_with_their_ids():
    model = featured(negatives="all", l2=0.1, optimizer=keras.optimizers.Adam(0.05))
    for _ in range(2):
        (users, items), before = vectors_of(model)
        for got, wanted in zip(encoded(model), (users, items[1:]), strict=True):
            np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)
        scores = users[X["user_id"]] @ items[1:].T
        losses = np.log(np.exp(scores).sum(axis=1)) - scores[np.arange(8), X["item_id"] - 1]
        rows = tables(model)[0][X["user_id"]], before[X["item_id"]]
        wanted = losses.mean() + 0.1 * sum(map(twin.penalty, rows))
        assert model.evaluate(X, verbose=0) == pytest.approx(wanted, rel=1e-4)
        trained = model.get_layer("item_projection").kernel.numpy()
        model.fit(X, epochs=3, verbose=0)
    assert np.abs(model.get_layer("item_projection").kernel.numpy() - trained).max() > 0.01


def test_encoders_follow_what_changes_the_features():
    model = featured()
    items = item_encoder(model)
    for change in (
        lambda: set_table_values(model, "cate", GENERATOR.normal(size=(4, 3))),
        lambda: model.get_layer("item_projection").kernel.assign_add(np.ones((6, 5))),
        lambda: model.get_layer("all_price").table.assign_add(np.ones((ITEMS + 1, 1))),
    ):
        before = items.predict({"item_id": EVERY_ITEM}, verbose=0)["item_vector"]
        change()
        after = items.predict({"item_id": EVERY_ITEM}, verbose=0)["item_vector"]
        assert np.abs(after - before).max(axis=1).min() > 1e-3
        np.testing.assert_allclose(after, vectors_of(model)[0][1][1:], rtol=1e-4, atol=1e-5)


def test_a_warm_start_grows_items_with_features():
    old = featured(negatives="all")
    old.fit(X, epochs=2, verbose=0)
    grown = {name: np.append(of, of[1:2], axis=0) for name, of in FEATURES_OF_ITEMS.items()}
    grown["cate"][-1] = 4
    columns = [SparseFeat("cate", 5, embedding_dim=3), *FEATURES[1:]]
    new = build(num_items=ITEMS + 1, item_feature_columns=columns, item_table=grown)
    done = warm_start(new, old)
    assert done.tables["embedding_cate"] == (4, 5) and not done.fresh
    np.testing.assert_allclose(encoded(new)[1], encoded(old)[1], rtol=1e-5)
    np.testing.assert_array_equal(new.get_layer("all_cate").table, grown["cate"])


def test_an_item_without_interactions_is_near_those_of_its_features():
    """Users of items of one category: what no one has is found by its category alone."""
    users = np.arange(40)
    pairs = np.array([(u, 1 + (u % 2) * 4 + i) for u in users for i in range(4)])  # 9, 10 unseen
    cates = np.array([0, *([1] * 4), *([2] * 4), 1, 2])
    model = LightGCN(
        pairs, num_items=10, embedding_dim=8, negatives="all", l2=0.0,
        item_feature_columns=[SparseFeat("cate", 3, embedding_dim=4)], item_table={"cate": cates},
        optimizer=keras.optimizers.Adam(0.02),
    )
    model.fit({"user_id": pairs[:, 0], "item_id": pairs[:, 1]}, epochs=30, verbose=0)
    vectors = user_encoder(model).predict({"user_id": users}, verbose=0)["user_vector"]
    unseen = item_encoder(model).predict({"item_id": np.array([9, 10])}, verbose=0)["item_vector"]
    np.testing.assert_array_equal((vectors @ unseen.T).argmax(axis=1), users % 2)


def test_columns_of_a_table_name_the_inputs():
    log = pd.DataFrame({"who": PAIRS[:, 0], "what": PAIRS[:, 1]})
    model = LightGCN(log, embedding_dim=4)
    assert list(model.input) == ["who", "what"]
    model.fit(log, verbose=0)
    assert table_values(model, "what").shape == (PAIRS[:, 1].max() + 1, 4)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: LightGCN([[1, 2, 3]]), ValueError, r"LightGCN: interactions .* \(1, 3\)"),
        (lambda: LightGCN([]), ValueError, "must hold a user and an item a row"),
        (lambda: LightGCN([[0.5, 1.0]]), TypeError, "must be integer ids, got float64"),
        (lambda: LightGCN([[0, 0]]), ValueError, "'item_id' .* 1..0, got 0..0. Id 0 is no item"),
        (lambda: build(num_items=3), ValueError, "'item_id' .* 1..3, .* Re-encode the ids"),
        (lambda: build(num_layers=-1), ValueError, "num_layers must be a whole number and"),
        (lambda: build(l2=-1.0), ValueError, "l2 must be at least 0, got -1"),
        (lambda: featured(item_table={"cate": FEATURES_OF_ITEMS["cate"]}), ValueError,
         "LightGCN: item_table misses 'tags' of item_feature_columns"),
        (lambda: featured(item_feature_columns=FEATURES[:2]), ValueError,
         "item_table has 'price', which is no column of the item"),
        (lambda: build(item_table=FEATURES_OF_ITEMS), ValueError, "item_table has 'cate', which"),
        (lambda: build(item_feature_columns=FEATURES[:1], item_table={"cate": np.ones(3, "int64")}),
         ValueError, r"item_table\['cate'\] has 3 rows, but 'item_id' has 10 ids"),
        (lambda: featured(item_feature_columns=[SparseFeat("item_id", 10)],
                          item_table={"item_id": EVERY_ITEM}), ValueError,
         "'item_id' names the ids already. Leave it out of item_feature_columns"),
        (lambda: build().fit({**X, "item_id": 0 * X["item_id"]}), ValueError, "id 0 is padding"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_negatives_of_the_batch_bring_the_softmax_however_they_are_given():
    def loss_of(**options):
        keras.utils.set_random_seed(0)
        return build(**options).evaluate(X, batch_size=8, verbose=0)

    wanted = loss_of(negatives="in_batch")
    assert loss_of(negatives=InBatch()) == pytest.approx(wanted, rel=1e-6)
    assert loss_of(negatives=InBatch(), loss="bpr") != pytest.approx(wanted, rel=1e-2)
    one = Sampled(1, each=True)
    assert loss_of(negatives=[one]) == loss_of(negatives=one) == loss_of(negatives=one, loss="bpr")
