import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from deeprec_tf import RecModel, SparseFeat, VarLenSparseFeat
from deeprec_tf.data import Category, FeatureEncoder
from deeprec_tf.export import load_saved_model, user_encoder
from deeprec_tf.inputs import build_input_layers
from deeprec_tf.retrieval import Faiss, ItemIndex, export_retriever
from tests.export.test_saved_model import serve, signature
from tests.retrieval.samples import towers, two_towers

ITEMS = {"item_id": np.arange(1, 50)}
USERS = {
    "user": np.arange(5),
    "hist_item_id": np.array([[1, 2, 3], [4, 0, 0], [0, 0, 0], [7, 8, 0], [40, 41, 42]]),
}


def asked(model, users, k, exclude=None, items=ITEMS, ids=None):
    """What the index in Python answers."""
    queries = user_encoder(model).predict(users, verbose=0)["user_vector"]
    return ItemIndex.of_model(model, items, ids).search(queries, k, exclude=exclude)


def assert_same(got, wanted):
    np.testing.assert_array_equal(got["ids"], wanted.ids)
    np.testing.assert_allclose(got["scores"], wanted.scores, atol=1e-6)


@pytest.mark.parametrize("interests", [None, 3])
def test_a_server_answers_like_the_index(tmp_path, interests):
    model = towers(interests)
    folder = export_retriever(model, ITEMS, tmp_path / "items", k=7)
    assert folder == tmp_path / "items" / "1"
    inputs, outputs = signature(folder)
    assert inputs == {"user": ("int32", [-1]), "hist_item_id": ("int32", [-1, -1])}
    assert outputs == {"ids": ("int64", [-1, 7]), "scores": ("float32", [-1, 7])}
    wanted = asked(model, USERS, 7)
    assert len(np.unique(wanted.ids, axis=0)) > 2
    assert_same(serve(folder, USERS), wanted)
    # Loaded by the package; one row, another length.
    single = {"user": USERS["user"][:1], "hist_item_id": USERS["hist_item_id"][:1, :2]}
    assert_same(load_saved_model(tmp_path / "items")(single), asked(model, single, 7))


def test_the_export_keeps_the_weights_it_was_made_with(tmp_path):
    model = towers()
    wanted = asked(model, USERS, 5)
    folder = export_retriever(model, ITEMS, tmp_path, k=5)
    model.fit({**USERS, "item_id": np.arange(1, 6)}, np.ones(5), epochs=5, verbose=0)
    assert_same(load_saved_model(folder)(USERS), wanted)


def test_a_reloaded_model_exports_alike(tmp_path):
    model = towers(2)
    model.optimizer.build(model.trainable_variables)
    model.save(tmp_path / "towers.keras")
    again = keras.saving.load_model(tmp_path / "towers.keras")
    folder = export_retriever(again, ITEMS, tmp_path / "served", k=5, exclude="hist_item_id")
    wanted = asked(model, USERS, 5, USERS["hist_item_id"])
    assert_same(load_saved_model(folder)(USERS), wanted)


def test_the_users_history_is_left_out(tmp_path):
    model = towers(length_name="length")
    folder = export_retriever(model, ITEMS, tmp_path, k=49, exclude="hist_item_id")
    users = {**USERS, "length": np.array([3, 1, 0, 2, 3])}
    wanted = asked(model, users, 49, [[1, 2, 3], [4], [], [7, 8], [40, 41, 42]])
    assert (wanted.ids == -1).sum() == 9
    # What stands behind the length is no behavior.
    noisy = np.where(users["hist_item_id"] == 0, 30, users["hist_item_id"])
    assert_same(serve(folder, {**users, "hist_item_id": noisy}), wanted)


def test_a_history_of_groups_is_left_out(tmp_path):
    history = VarLenSparseFeat(SparseFeat("hist", 50), 6, group=2, length_name="length")
    inputs = build_input_layers([history, SparseFeat("item_id", 50)])
    vectors = keras.layers.Embedding(50, 3)(inputs["hist"])
    length = keras.ops.cast(inputs["length"], "float32")[:, None]
    user = keras.layers.Identity(name="user_vector")(keras.ops.mean(vectors, axis=(1, 2)) * length)
    item = keras.layers.Embedding(50, 3)(inputs["item_id"])
    item = keras.layers.Identity(name="item_vector")(item)
    columns = [history, SparseFeat("item_id", 50)]
    model = RecModel(inputs, keras.layers.Dot(1)([user, item]), feature_columns=columns)
    folder = export_retriever(model, ITEMS, tmp_path, k=49, exclude="hist")
    got = serve(folder, {"hist": np.array([[[1, 2], [3, 0], [9, 9]]]), "length": np.array([2])})
    assert set(ITEMS["item_id"]) - set(got["ids"][0]) == {1, 2, 3}


def test_a_further_input_is_left_out_and_may_be_empty(tmp_path):
    model = towers()
    folder = export_retriever(
        model, ITEMS, tmp_path, k=9, exclude=["hist_item_id"], exclude_input="seen"
    )
    assert signature(folder)[0]["seen"] == ("int64", [-1, -1])
    seen = np.random.default_rng(1).integers(0, 60, (5, 30))
    lists = [[*a[a > 0], *b] for a, b in zip(USERS["hist_item_id"], seen, strict=True)]
    assert_same(serve(folder, {**USERS, "seen": seen}), asked(model, USERS, 9, lists))
    wanted = asked(model, USERS, 9, USERS["hist_item_id"])
    assert_same(serve(folder, {**USERS, "seen": np.zeros((5, 0), int)}), wanted)
    assert_same(load_saved_model(folder)({**USERS, "seen": np.zeros((5, 0), int)}), wanted)


def test_padding_is_never_answered_under_another_id(tmp_path):
    model, keys = towers(), np.array([f"key {number}" for number in range(50)])
    folder = export_retriever(model, {"item_id": np.arange(50)}, tmp_path, k=49, ids=keys)
    wanted = asked(model, USERS, 49, items=ITEMS)
    np.testing.assert_array_equal(np.sort(serve(folder, USERS)["scores"]), np.sort(wanted.scores))
    assert "key 0" not in serve(folder, USERS)["ids"].astype(str)


def test_hashed_text_columns(tmp_path):
    model = towers(items=40, use_hash=True, dtype="string")
    names = np.array([f"song {number}" for number in range(60)], dtype=object)
    users = {**USERS, "hist_item_id": np.where(
        USERS["hist_item_id"] == 0, "", names[USERS["hist_item_id"]]
    ).astype(object)}  # fmt: skip
    folder = export_retriever(
        model, {"item_id": names}, tmp_path, k=60, exclude="hist_item_id", exclude_input="seen"
    )
    seen = np.array([["song 9", "never heard of"]] * 4 + [["", ""]], dtype=object)
    inputs, outputs = signature(folder)
    assert inputs["seen"] == ("string", [-1, -1]) and outputs["ids"] == ("string", [-1, 60])
    lists = [[*a, *b] for a, b in zip(users["hist_item_id"], seen, strict=True)]
    wanted = asked(model, users, 60, lists, {"item_id": names})
    got = serve(folder, {**users, "seen": seen})
    assert_same({**got, "ids": got["ids"].astype(str)}, wanted)
    assert "" in wanted.ids and "song 9" in wanted.ids[4] and "song 9" not in wanted.ids[0]


@pytest.mark.parametrize("backend", ["exact", Faiss("ivf", lists=8, probes=1)])
def test_a_built_index_is_taken_and_answers_exactly(tmp_path, backend):
    model = towers(item_fields=2)
    items = {"item_id": np.arange(1, 50), "cate_id": np.arange(1, 50) % 5}
    if backend != "exact":
        pytest.importorskip("faiss", reason="needs the extra faiss")
    index = ItemIndex.of_model(model, items, "item_id", backend=backend)
    folder = export_retriever(user_encoder(model), index, tmp_path, k=6, exclude="hist_item_id")
    wanted = asked(model, USERS, 6, USERS["hist_item_id"], items, "item_id")
    assert_same(serve(folder, USERS), wanted)


def test_half_precision_answers_in_float32(tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = towers(2)
    folder = export_retriever(model, ITEMS, tmp_path, k=5)
    got = serve(folder, USERS)
    assert got["scores"].dtype == "float32"
    np.testing.assert_array_equal(got["ids"], asked(model, USERS, 5).ids)


# ---- with an encoder ---------------------------------------------------------------------

SONGS = ["anna", "bella", "carla", "dora", "emma", "fanny"]


@pytest.fixture(scope="module")
def encoded():
    """(encoder, model) on text or on int64 items."""

    def make(kind):
        items = SONGS if kind == "text" else [0, 11, 2**40, 13, 14, 15]
        frame = pd.DataFrame({"item": items, "user": [5, 6, 7, 8, 5, 6]})
        encoder = FeatureEncoder([Category("item"), Category("user")]).fit(frame)
        size = encoder.vocabulary("item").size
        history = VarLenSparseFeat(
            SparseFeat("hist_item", size, embedding_dim=4, embedding_name="item"), 5
        )
        columns = encoder.feature_columns(["user"], embedding_dim=4)
        model = two_towers([*columns, history], encoder.feature_columns(["item"], embedding_dim=4))
        return encoder, model, items

    return make


@pytest.mark.parametrize("kind", ["text", "int64"])
def test_with_an_encoder_raw_values_go_in_and_raw_keys_come_out(tmp_path, encoded, kind):
    encoder, model, items = encoded(kind)
    ids = encoder.vocabulary("item").ids
    export_retriever(
        model, {"item": ids}, tmp_path / "written", k=6, encoder=encoder,
        exclude="hist_item", exclude_input="seen",
    )
    (tmp_path / "written").rename(tmp_path / "moved")  # vocabularies travel with the folder
    folder = tmp_path / "moved" / "1"
    dtype, padding = ("string", "") if kind == "text" else ("int64", -(2**63))
    inputs, outputs = signature(folder)
    assert inputs == {
        "user": ("int64", [-1]), "hist_item": (dtype, [-1, -1]), "seen": (dtype, [-1, -1]),
    }  # fmt: skip
    assert outputs["ids"] == (dtype, [-1, 6])
    array = np.array if kind == "int64" else lambda rows: np.array(rows, dtype=object)
    raw = {
        "user": np.array([5, 99, 8]),
        "hist_item": array([[items[0], items[2]], [items[4], padding], [padding, padding]]),
        "seen": array([[items[1]], [items[4]], [padding]]),
    }
    lists = [[items[0], items[2], items[1]], [items[4]], []]
    to_id = dict(zip(items, encoder.vocabulary("item").encode("item", items), strict=True))
    x = {
        "user": encoder.transform(pd.DataFrame({"item": items[:3], "user": raw["user"]}))["user"],
        "hist_item": np.array([[to_id[items[0]], to_id[items[2]]], [to_id[items[4]], 0], [0, 0]]),
    }
    wanted = asked(model, x, 6, [[to_id[key] for key in row] for row in lists], {"item": ids})
    got = serve(folder, raw)
    none = "" if kind == "text" else -1
    keys = {-1: none} | {number: key for key, number in to_id.items()}
    answers = got["ids"].astype(str) if kind == "text" else got["ids"]
    assert answers.tolist() == [[keys[number] for number in row] for row in wanted.ids.tolist()]
    np.testing.assert_allclose(got["scores"], wanted.scores, atol=1e-6)
    # The second signature takes and gives ids.
    seen = np.array([[to_id[items[1]]], [to_id[items[4]]], [0]])
    assert_same(serve(folder, {**x, "seen": seen}, "ids"), wanted)


def test_every_item_of_the_encoder_and_none_that_it_does_not_know(tmp_path, encoded):
    encoder, model, items = encoded("text")
    raw = {"user": np.array([5]), "hist_item": np.array([["anna"]], dtype=object)}
    folder = export_retriever(model, None, tmp_path, k=len(items), encoder=encoder)
    assert sorted(serve(folder, raw)["ids"][0].tolist()) == sorted(key.encode() for key in items)


def test_an_encoder_that_does_not_know_the_items(tmp_path, encoded):
    encoder, model, _ = encoded("text")
    with pytest.raises(ValueError, match="the item 1 stands for no key of 'item', whose ids are 2"):
        export_retriever(model, {"item": np.arange(5)}, tmp_path, k=2, encoder=encoder)
    ids = encoder.vocabulary("item").ids
    items = {"item": ids, "number": ids}
    with pytest.raises(ValueError, match="no vocabulary 'number'"):
        export_retriever(model, items, tmp_path, k=2, ids="number", encoder=encoder)
    with pytest.raises(ValueError, match="the encoder has no category 'number', only"):
        export_retriever(
            model, items, tmp_path, k=2, ids="number", encoder=encoder, exclude_input="seen"
        )
    with pytest.raises(TypeError, match="export_retriever: encoder must be a .*FeatureEncoder"):
        export_retriever(model, {"item": ids}, tmp_path, k=2, encoder="encoder.json")
    index = ItemIndex.of_model(model, {"item": ids}, [f"x{number}" for number in ids])
    with pytest.raises(ValueError, match="with an encoder the items' ids are those that it makes"):
        export_retriever(model, index, tmp_path, k=2, encoder=encoder)
    with pytest.raises(ValueError, match="the item column must be named"):
        export_retriever(user_encoder(model), index, tmp_path, k=2, encoder=encoder)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["int64", "text"])
def test_answers_of_another_name_than_histories_have(kind, tmp_path):
    """The history holds the model's ids, the answers the shop's."""
    model, items = towers(), {"item_id": np.arange(1, 50), "sku": np.arange(149, 100, -1)}
    if kind == "text":
        items["sku"] = items["sku"].astype(str)
    index = ItemIndex.of_model(model, items, "sku")
    index.save(tmp_path / "index")
    given = {
        "mapping": items, "index": index, "loaded": ItemIndex.load(tmp_path / "index"),
    }  # fmt: skip
    wanted = asked(model, USERS, 40, USERS["hist_item_id"])
    names = dict(zip(items["item_id"].tolist(), items["sku"].tolist(), strict=True))
    none = "" if kind == "text" else -1
    wanted_ids = [[names.get(item, none) for item in row] for row in wanted.ids.tolist()]
    seen = items["sku"][[20, 30]]
    for name, one in given.items():
        folder = export_retriever(
            model, one, tmp_path / name, k=40, ids="sku", exclude="hist_item_id",
            exclude_input="seen",
        )  # fmt: skip
        got = load_saved_model(folder)({**USERS, "seen": np.zeros((5, 0), items["sku"].dtype)})
        np.testing.assert_allclose(got["scores"], wanted.scores, rtol=1e-5)
        assert got["ids"].tolist() == wanted_ids
        got = load_saved_model(folder)({**USERS, "seen": np.tile(seen, (5, 1))})
        assert not np.isin(got["ids"], seen).any()


def test_histories_of_the_column_that_names_the_answers(tmp_path):
    """Not of the tower's first, which here is another."""
    def column(name, table):
        return SparseFeat(name, 10, embedding_dim=4, embedding_name=table)

    past = VarLenSparseFeat(column("hist_item_id", "item_id"), 4)
    model = two_towers([past], [column("sku", "sku"), column("item_id", "item_id")])
    items = {"item_id": np.arange(1, 10), "sku": np.arange(9, 0, -1)}
    folder = export_retriever(model, items, tmp_path, k=7, ids="item_id", exclude="hist_item_id")
    found = load_saved_model(folder)({"hist_item_id": [[1, 2, 0, 0]]})["ids"]
    assert sorted(found[0].tolist()) == list(range(3, 10))


# ---- errors ------------------------------------------------------------------------------


def test_what_cannot_be_exported(tmp_path):
    model = towers()
    index = ItemIndex().build(np.ones((3, 5)))
    named = ItemIndex().build(np.ones((49, 4)), [f"{number}" for number in range(49)])
    beyond = ItemIndex().build(np.ones((49, 4)), range(100, 149))
    cases = {
        "k must be a whole number from 1 to 49": {"k": 50},
        "exclude names 'user', which is no history .*\\['hist_item_id'\\]": {"exclude": "user"},
        "exclude names 'hist', which is no history": {"exclude": ["hist"]},
        "exclude_input='user' is an input of": {"exclude_input": "user"},
        "version must be a positive integer": {"version": 0},
        "an item has the id 0, which is padding where items are excluded": {
            "items": ItemIndex().build(np.ones((49, 4))), "exclude": "hist_item_id",
        },
        "holds ids 0..49, the items' are 100..148. Make the index with ItemIndex.of_model": {
            "items": beyond, "exclude": "hist_item_id",
        },
        "gives vectors of 4 numbers, the items have 5": {"items": index, "k": 2},
        "'hist_item_id' holds integers, the items' ids are text": {
            "items": named, "exclude": "hist_item_id",
        },
    }  # fmt: skip
    for message, arguments in cases.items():
        with pytest.raises(ValueError, match=f"export_retriever: .*{message}"):
            export_retriever(
                model, **{"items": ITEMS, "path": tmp_path, "k": 5} | arguments
            )
    assert not list(tmp_path.iterdir())


def test_a_history_of_something_else_is_refused(tmp_path):
    element = SparseFeat("hist_cate_id", 5, embedding_dim=3, embedding_name="cate_id")
    items = [SparseFeat("item_id", 50, embedding_dim=4), SparseFeat("cate_id", 5, embedding_dim=3)]
    user = SparseFeat("user", 30, embedding_dim=4)
    model = two_towers([user, VarLenSparseFeat(element, 6)], items)
    arrays = {**ITEMS, "cate_id": np.arange(49) % 5}
    with pytest.raises(ValueError, match="holds ids of 'cate_id', the items' ids are of 'item_id'"):
        export_retriever(model, arrays, tmp_path, k=5, ids="item_id", exclude="hist_cate_id")


def test_so_is_one_with_a_table_of_its_own(tmp_path):
    items = [SparseFeat("item_id", 50, embedding_dim=4)]
    brands = VarLenSparseFeat(SparseFeat("hist_brand", 9, embedding_dim=4), 6)
    own = VarLenSparseFeat(SparseFeat("hist_item_id", 50, embedding_dim=4), 6)
    model = two_towers([own, brands], items)
    with pytest.raises(ValueError, match="'hist_brand', which holds ids of its own, the items'"):
        export_retriever(model, ITEMS, tmp_path / "a", k=5, exclude="hist_brand")
    folder = export_retriever(model, ITEMS, tmp_path / "b", k=5, exclude="hist_item_id")
    past = USERS["hist_item_id"]
    found = serve(folder, {"hist_item_id": past, "hist_brand": past % 9})["ids"]
    assert not any(map(set.intersection, map(set, past), map(set, found)))


@pytest.mark.parametrize("history", ["hist_item_id", "past"])
def test_item_columns_of_one_table_have_their_own_histories(history, tmp_path):
    def column(name, table="item_id"):
        return SparseFeat(name, 50, embedding_dim=4, embedding_name=table)

    user = [
        column("user", "user"), column("last_item"), VarLenSparseFeat(column(history), 6),
        VarLenSparseFeat(column("hist_parent_id"), 6),
    ]  # fmt: skip
    model = two_towers(user, [column("item_id"), column("parent_id")])
    arrays = {**ITEMS, "parent_id": np.arange(49) % 7 + 1}
    options = {"k": 5, "ids": "item_id"}
    folder = export_retriever(model, arrays, tmp_path / "a", exclude=history, **options)
    past = USERS["hist_item_id"]
    asked = {"user": USERS["user"], "last_item": past[:, 0], history: past, "hist_parent_id": past}
    assert not any(map(set.intersection, map(set, past), map(set, serve(folder, asked)["ids"])))
    with pytest.raises(ValueError, match="holds ids of 'parent_id', the items' ids are of 'item"):
        export_retriever(model, arrays, tmp_path / "b", exclude="hist_parent_id", **options)


def test_a_failed_export_leaves_nothing(tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(tf.saved_model, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        export_retriever(towers(), ITEMS, tmp_path, k=5)
    assert list(tmp_path.iterdir()) == []
