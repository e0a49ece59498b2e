import copy
import json
import pickle
import re

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from deeprec_tf import SparseFeat
from deeprec_tf.evaluation import evaluate_retrieval
from deeprec_tf.export import item_encoder, load_saved_model, user_encoder
from deeprec_tf.models import DSSM
from deeprec_tf.retrieval import Backend, ItemIndex, export_retriever
from tests.reference import retrieval as twin
from tests.retrieval.samples import Few, catalogue, seen, towers, whole_numbers


def test_ids_are_row_numbers_when_left_out():
    index = ItemIndex().build([[1.0], [3.0], [2.0]])
    assert index.search([[1.0]], 3).ids.tolist() == [[1, 2, 0]]
    assert len(index) == 3 and repr(index) == "ItemIndex('exact', 3 items)"


def test_the_order_of_the_items_does_not_matter():
    vectors, ids = catalogue(80)
    queries, order = whole_numbers(5, 4), np.random.default_rng(4).permutation(80)
    found = ItemIndex().build(vectors, ids).search(queries, 20)
    again = ItemIndex().build(vectors[order], ids[order]).search(queries, 20)
    np.testing.assert_array_equal(found.ids, again.ids)
    np.testing.assert_array_equal(found.scores, again.scores)


def test_building_again_replaces_the_items():
    index = ItemIndex().build(np.eye(2), [1, 2])
    index.search(np.eye(2), 1)
    index.build(np.eye(3), [7, 8, 9])
    assert index.search(np.eye(3), 1).ids.tolist() == [[7], [8], [9]]


@pytest.mark.parametrize("dtype", ["float64", "float16", "int32"])
def test_other_numbers_become_float32(dtype):
    index = ItemIndex().build(np.eye(3, dtype=dtype))
    assert index.vectors.dtype == "float32"
    assert index.search(np.eye(3, dtype=dtype), 1).ids.tolist() == [[0], [1], [2]]


def test_large_integers_stay_whole():
    index = ItemIndex().build(np.eye(2), np.array([2**62, 2**62 + 1]))
    assert index.search(np.eye(2), 1, exclude=[[], [2**62]]).ids.tolist() == [[2**62], [2**62 + 1]]


def test_positions_of_ids():
    index = ItemIndex().build(np.eye(3), [30, 10, 20])
    assert index.positions([[10, 30], [5, 99]]).tolist() == [[0, 2], [-1, -1]]


# ---- of a model --------------------------------------------------------------------------


@pytest.mark.parametrize("interests", [None, 3])
def test_of_a_model_it_ranks_by_the_models_own_score(interests):
    model = towers(interests)
    items = {"item_id": np.arange(1, 50)}
    index = ItemIndex.of_model(model, items, batch_size=20)
    users = {"user": np.arange(4), "hist_item_id": np.array([[1, 2], [3, 0], [0, 0], [9, 8]])}
    queries = user_encoder(model).predict(users, verbose=0)["user_vector"]
    found = index.search(queries, 49)
    for row in range(4):
        every = {name: np.repeat(values[[row]], 49, axis=0) for name, values in users.items()}
        probability = model.predict({**every, **items}, verbose=0)[:, 0]
        order = np.argsort(-probability, kind="stable")
        np.testing.assert_array_equal(found.ids[row], items["item_id"][order])


def test_of_a_model_ids_are_named_or_given():
    model = towers(item_fields=2)
    items = pd.DataFrame(
        {"item_id": np.arange(1, 50), "cate_id": np.arange(1, 50) % 5, "title": ["?"] * 49}
    )
    index = ItemIndex.of_model(model, items, ids="item_id")
    arrays = {name: items[name].to_numpy() for name in ("item_id", "cate_id")}
    vectors = item_encoder(model).predict(arrays, verbose=0)["item_vector"]
    np.testing.assert_allclose(index.vectors, vectors, atol=1e-6)
    named = ItemIndex.of_model(model, items, ids=[f"{number:02}" for number in range(1, 50)])
    assert named.ids[:2].tolist() == ["01", "02"]
    with pytest.raises(ValueError, match="say which of them holds the items' ids"):
        ItemIndex.of_model(model, items)
    with pytest.raises(ValueError, match="ids='name' is no column of items"):
        ItemIndex.of_model(model, items, ids="name")
    with pytest.raises(ValueError, match="input 'cate_id' of towers_item_encoder is missing"):
        ItemIndex.of_model(model, items[["item_id"]], ids="item_id")


def test_of_a_model_that_holds_the_features_of_its_items(tmp_path):
    table = {"cate": np.arange(10) % 4}
    columns = [SparseFeat("item_id", 10), SparseFeat("cate", 4)]
    model = DSSM([SparseFeat("user", 5)], columns, hidden_units=(4,), negatives="all",
                 item_table=table)  # fmt: skip
    items = {"item_id": np.arange(1, 10), "cate": table["cate"][1:]}
    index, given = ItemIndex.of_model(model), ItemIndex.of_model(model, items, "item_id")
    np.testing.assert_array_equal(index.ids, given.ids)
    np.testing.assert_array_equal(index.vectors, given.vectors)
    users = {"user": np.arange(5)}
    served = load_saved_model(export_retriever(model, None, tmp_path, k=3))(users)
    queries = user_encoder(model).predict(users, verbose=0)["user_vector"]
    np.testing.assert_array_equal(served["ids"], given.search(queries, 3).ids)
    by_default = DSSM([SparseFeat("user", 5)], columns, hidden_units=(4,), item_table=table)
    by_default.save(tmp_path / "m.keras")
    for one in (by_default, keras.saving.load_model(tmp_path / "m.keras")):
        np.testing.assert_array_equal(ItemIndex.of_model(one).ids, index.ids)
        assert 0 <= evaluate_retrieval(one, {"user": [1]}, [3], k=3)["hr@3"] <= 1
    bare = DSSM([SparseFeat("user", 5)], columns, hidden_units=(4,))
    with pytest.raises(ValueError, match="ItemIndex: items is missing. The item tower reads"):
        ItemIndex.of_model(bare)


def test_padding_is_no_item_of_a_model():
    model = towers()
    with_padding = ItemIndex.of_model(model, {"item_id": np.arange(50)})
    assert with_padding.ids.tolist() == list(range(1, 50))
    np.testing.assert_array_equal(with_padding.vectors, ItemIndex.of_model(model).vectors)


KEYS = np.arange(100, 150)


@pytest.mark.parametrize(
    "form",
    [
        np.array, list, pd.Series, lambda keys: pd.Series(keys, index=keys), tf.constant,
        lambda keys: [None, *map(str, keys[1:])], lambda keys: "key",
    ],
    ids=["array", "list", "series", "index", "tensor", "texts", "column"],
)  # fmt: skip
@pytest.mark.parametrize("item_fields", [1, 2])
def test_padding_is_no_item_whatever_the_ids(item_fields, form):
    model = towers(item_fields=item_fields)
    items = {"item_id": np.arange(50), "cate_id": np.arange(50) % 5, "key": KEYS}
    index = ItemIndex.of_model(model, items, form(KEYS))
    named = ItemIndex.of_model(model, items, "item_id")
    column = ItemIndex.of_model(model, items | {"item_id": items["item_id"][:, None]}, form(KEYS))
    np.testing.assert_array_equal(column.ids, index.ids)
    assert index.ids.astype(int).tolist() == KEYS[1:].tolist()
    np.testing.assert_array_equal(index.vectors, named.vectors)
    with pytest.raises(ValueError, match=r"ids must have shape \(50,\), .* got \(49,\)"):
        ItemIndex.of_model(model, items, KEYS[1:])


def test_padding_is_told_by_the_item_that_a_recall_model_names():
    columns = [SparseFeat("item_id", 10), SparseFeat("country", 4)]
    users = [SparseFeat("user_country", 4, embedding_name="country")]
    model = DSSM(users, columns, hidden_units=(4,))
    items = {"item_id": np.arange(10), "country": np.arange(10) % 4}
    index = ItemIndex.of_model(model, items, KEYS[:10])
    assert index.ids.tolist() == KEYS[1:10].tolist()  # also those of country 0


def test_of_a_model_without_towers():
    entry = keras.Input((1,), name="x")
    model = keras.Model({"x": entry}, {"score": keras.layers.Dense(1)(entry)}, name="plain")
    with pytest.raises(ValueError, match="plain: there is no layer 'item_vector'"):
        ItemIndex.of_model(model, {"x": [1]})


# ---- candidates of a library -------------------------------------------------------------


@pytest.mark.parametrize("interests", [None, 3])
@pytest.mark.parametrize("with_exclude", [False, True])
def test_complete_candidates_give_the_exact_answer(interests, with_exclude):
    vectors, ids = catalogue(70)
    # Numbers without ties: which of equals a library proposes is its own affair.
    generator = np.random.default_rng(8)
    vectors = generator.normal(size=(70, 4)).astype("float32")
    queries = generator.normal(size=(9, 4) if interests is None else (9, interests, 4))
    if interests:
        queries[0] = 0
        queries[1:4, 1] = 0
    exclude = seen(ids, 9, 30) if with_exclude else None
    index = ItemIndex(Few()).build(vectors, ids)
    found = index.search(queries, 6, exclude=exclude)
    wanted_ids, wanted_scores = twin.search(
        queries.astype("float32"), vectors, ids.tolist(), 6, exclude
    )
    np.testing.assert_array_equal(found.ids, wanted_ids)
    np.testing.assert_allclose(found.scores, wanted_scores, rtol=1e-5, atol=1e-6)
    assert index.recall_against_exact(queries, 6, exclude=exclude) == 1


def test_two_indexes_with_one_backend_share_nothing():
    backend = Few()
    first = ItemIndex(backend).build(np.eye(4), [1, 2, 3, 4])
    ItemIndex(backend).build(-np.eye(4)[::-1], [1, 2, 3, 4])
    assert first.search(np.eye(4), 1).ids.tolist() == [[1], [2], [3], [4]]
    assert first.backend == backend and first.backend is not backend


def test_recall_counts_what_is_missed():
    vectors = np.diag(np.arange(12.0, 0, -1))
    index = ItemIndex(Few(step=2)).build(vectors)
    queries = np.ones((3, 12))
    assert index.search(queries, 4).ids.tolist() == [[0, 2, 4, 6]] * 3
    assert index.recall_against_exact(queries, 4) == 0.5  # of 0, 1, 2, 3
    assert index.recall_against_exact(queries, 4, exclude=[[1, 3]] * 3) == 0.75  # of 0, 2, 4, 5
    assert ItemIndex().build(vectors).recall_against_exact(queries, 4) == 1
    assert index.search(queries, 8).ids[0].tolist() == [0, 2, 4, 6, 8, 10, -1, -1]
    with pytest.raises(ValueError, match="at least one query"):
        index.recall_against_exact(queries[:0], 4)


# ---- saving ------------------------------------------------------------------------------


@pytest.mark.parametrize("as_text", [False, True])
def test_save_and_load(tmp_path, as_text):
    vectors, ids = catalogue(40)
    ids = np.array([f"ö{number}" for number in ids], dtype=object) if as_text else ids
    index = ItemIndex().build(vectors, ids)
    index.save(tmp_path / "deep" / "index")
    again = ItemIndex.load(tmp_path / "deep" / "index")
    queries, exclude = whole_numbers(6, 4), [ids[:3].tolist()] * 6
    for found, wanted in zip(
        again.search(queries, 9, exclude=exclude), index.search(queries, 9, exclude=exclude),
        strict=True,
    ):
        np.testing.assert_array_equal(found, wanted)
    with pytest.raises(ValueError, match="exists already"):
        index.save(tmp_path / "deep" / "index")
    assert [entry.name for entry in (tmp_path / "deep").iterdir()] == ["index"]


def test_a_backend_of_ones_own_is_given_to_load(tmp_path):
    vectors, ids = catalogue(40)
    index, queries = ItemIndex(Few(step=2)).build(vectors, ids), whole_numbers(6, 4)
    index.save(tmp_path / "few")
    again = ItemIndex.load(tmp_path / "few", Few(step=2))
    assert again.backend == Few(step=2)
    np.testing.assert_array_equal(again.search(queries, 9), index.search(queries, 9))
    with pytest.raises(ValueError, match="a back-end of one's own, 'few'. Give it with the"):
        ItemIndex.load(tmp_path / "few")
    with pytest.raises(ValueError, match=r"with 'few' and the options \{'step': 2\}, got Few\(st"):
        ItemIndex.load(tmp_path / "few", Few())
    with pytest.raises(TypeError, match="takes a back-end with its options, got 'few'"):
        ItemIndex.load(tmp_path / "few", "few")
    ItemIndex().build(vectors, ids).save(tmp_path / "exact")
    with pytest.raises(ValueError, match="was saved with 'exact' and the options"):
        ItemIndex.load(tmp_path / "exact", Few())


def test_a_failed_save_leaves_nothing(tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError("disk full")

    index = ItemIndex().build(np.eye(2))
    monkeypatch.setattr(json, "dumps", fail)
    with pytest.raises(OSError, match="disk full"):
        index.save(tmp_path / "index")
    assert list(tmp_path.iterdir()) == []


def test_loading_what_is_no_index(tmp_path):
    with pytest.raises(ValueError, match="no index.json"):
        ItemIndex.load(tmp_path)
    (tmp_path / "index.json").write_text('{"format": 2}')
    with pytest.raises(ValueError, match="has format 2, this version reads 1"):
        ItemIndex.load(tmp_path)


# ---- errors ------------------------------------------------------------------------------

BUILD = {
    "vectors must have shape": (np.ones(3), None),
    "vectors must have shape (number of items, width), got (0, 3)": (np.ones((0, 3)), None),
    "vectors must hold numbers, got <U1": ([["a"]], None),
    "vectors must be finite, but 1 rows hold NaN or infinity, the first is row 1": (
        [[1.0], [np.nan]], None,
    ),
    "ids must have shape (2,), one for each vector, got (3,)": (np.eye(2), [1, 2, 3]),
    "ids must differ, but 5 stands there 2 times": (np.eye(3), [5, 4, 5]),
    "the id -1 stands for 'no item'": (np.eye(2), [-1, 4]),
    "the id '' stands for 'no item'": (np.eye(2), ["", "a"]),
    "ids must hold integers or text, got float64": (np.eye(2), [1.0, 2.0]),
    "ids has integers beyond int64": (np.eye(2), np.array([1, 2**63], "uint64")),
}  # fmt: skip


@pytest.mark.parametrize("message", BUILD)
def test_what_cannot_be_built(message):
    with pytest.raises((ValueError, TypeError), match=re.escape(message)):
        ItemIndex().build(*BUILD[message])


SEARCH = {
    "k must be a whole number from 1 to 3, the number of items, got 4": {"k": 4},
    "k must be a whole number from 1 to 3, the number of items, got 0": {"k": 0},
    "k must be a whole number from 1 to 3, the number of items, got 1.0": {"k": 1.0},
    "queries must have shape (N, 3)": {"queries": np.ones((2, 4))},
    "queries must have shape (N, 3), or": {"queries": np.ones(3)},
    "queries must be finite, but 2 rows": {"queries": np.full((2, 3), np.inf)},
    "exclude has 1 rows, the queries have 2": {"exclude": [[1]]},
    "exclude must hold a list of ids for each query": {"exclude": [1, 2]},
    "exclude holds text, the index's ids are integers": {"exclude": [["a"], []]},
    "exclude must hold integers or text, got float64": {"exclude": np.ones((2, 2))},
    "a 0 in the array exclude could be padding or the item 0": {"exclude": np.zeros((2, 1), int)},
}


@pytest.mark.parametrize("message", SEARCH)
def test_what_cannot_be_searched(message):
    index = ItemIndex().build(np.eye(3))
    arguments = {"queries": np.ones((2, 3)), "k": 2} | SEARCH[message]
    with pytest.raises((ValueError, TypeError), match=re.escape(message)):
        index.search(**arguments)


def test_an_empty_index_says_so(tmp_path):
    for call in (
        lambda index: index.search(np.eye(2), 1), lambda index: index.save(tmp_path / "x"),
        lambda index: index.ids, lambda index: index.vectors,
    ):
        with pytest.raises(ValueError, match="no items yet. Call build"):
            call(ItemIndex())


def test_an_unknown_backend():
    with pytest.raises(ValueError, match="backend must be one of .*'exact'.*got 'annoy'"):
        ItemIndex("annoy")


def test_a_backend_that_is_no_dataclass():
    class Plain(Backend):
        name, build, candidates = "plain", Few.build, Few.candidates

    with pytest.raises(TypeError, match="the back-end Plain must be a dataclass"):
        ItemIndex(Plain())


def test_copies_of_an_index_that_has_searched():
    vectors, ids = catalogue(30)
    index, queries = ItemIndex().build(vectors, ids), whole_numbers(3, 4)
    wanted = index.search(queries, 5).ids
    for again in (pickle.loads(pickle.dumps(index)), copy.deepcopy(index)):
        np.testing.assert_array_equal(again.search(queries, 5).ids, wanted)
