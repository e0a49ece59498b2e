import json
import tracemalloc

import keras
import numpy as np
import pandas as pd
import pytest

from deeprec_tf.data import ColaRecRows, read_colarec, tokenize_texts
from deeprec_tf.export import inference_model
from deeprec_tf.identifiers import random_codes
from deeprec_tf.models import ColaRec

GENERATOR = np.random.default_rng(0)
CODES = np.array(
    [[0, 0], *([group, place] for group in (1, 2, 3, 4) for place in (1, 2, 3)), [5, 1]]
)
PAIRS = np.unique(
    np.stack([GENERATOR.integers(1, 9, 40), GENERATOR.integers(1, 13, 40)], axis=1), axis=0
)
PAIRS = np.concatenate([PAIRS, [[9, 13]]])  # a user of one item, an item of one user


def sets(epoch=0, **options):
    x = ColaRecRows(PAIRS, CODES, **options)(epoch)
    has = {}
    for user, item in PAIRS:
        has.setdefault(int(user), set()).add(int(item))
    return x, has


def test_a_row_an_interaction():
    x, _ = sets()
    got = {tuple(pair) for pair in np.stack([x["user_id"], x["item_id"]], axis=1).tolist()}
    assert got == set(map(tuple, PAIRS.tolist())) and len(x["user_id"]) == len(PAIRS)


def test_the_context_is_the_users_and_never_holds_the_target():
    for most in (2, 10):
        x, has = sets(context=most)
        assert x["hist_item_id"].shape == (len(PAIRS), most)
        for user, item, context in zip(
            x["user_id"], x["item_id"], x["hist_item_id"], strict=True
        ):
            found = [i for i in context.tolist() if i]
            assert len(set(found)) == len(found) == min(most, len(has[user]) - 1)
            assert set(found) <= has[user] - {item}
            assert not context[len(found) :].any()


def test_negatives_are_not_the_users_and_of_another_prefix():
    for epoch in range(5):
        x, has = sets(epoch)
        for user, item, negative in zip(
            x["user_id"], x["item_id"], x["neg_item_id"], strict=True
        ):
            assert negative not in has[user] and 1 <= negative <= 13
            assert CODES[negative, 0] != CODES[item, 0]


def test_near_items_share_all_codes_but_the_last():
    x, _ = sets()
    for item, near in zip(x["item_id"], x["near_item_id"], strict=True):
        assert CODES[near, 0] == CODES[item, 0]
        assert (near == item) == (item == 13), "itself only where there is no other"


def test_users_of_all_three_items_and_never_the_rows_own():
    x, has = sets(num_users_of_item=3)
    for name in ("item", "neg_item", "near_item"):
        for user, item, users in zip(
            x["user_id"], x[f"{name}_id"], x[f"{name}_users"], strict=True
        ):
            others = {u for u, items in has.items() if item in items} - {user}
            found = [u for u in users.tolist() if u]
            assert set(found) <= others and len(found) == min(3, len(others))


def test_users_of_nearly_all_items_get_those_they_have_not():
    pairs = [(1, item) for item in range(1, 199)] + [(2, 1)]
    rows = ColaRecRows(pairs, random_codes(200))
    for epoch in range(5):
        x = rows(epoch)
        of_one = x["neg_item_id"][x["user_id"] == 1]
        assert set(of_one.tolist()) == {199, 200}


def test_a_user_of_all_items_and_ids_that_are_none():
    with pytest.raises(ValueError, match="user 7 has all 3 items, so nothing is left"):
        ColaRecRows([(7, 1), (7, 2), (7, 3), (2, 1)], random_codes(3))
    with pytest.raises(TypeError, match="users and items must be integers, got float64"):
        ColaRecRows([(1, 1.5), (2, 1)], random_codes(3))


def test_epochs_differ_and_repeat():
    rows = ColaRecRows(PAIRS, CODES, context=2)
    one, two, again = rows(0), rows(1), ColaRecRows(PAIRS, CODES, context=2)(0)
    assert (one["neg_item_id"] != two["neg_item_id"]).any()
    assert (one["hist_item_id"] != two["hist_item_id"]).any()
    for name, values in one.items():
        np.testing.assert_array_equal(values, again[name])


def test_all_training_items_are_the_context_of_the_trained_model():
    _, has = sets()
    users = np.array([3, 9, 50])
    x = ColaRecRows(PAIRS, CODES).contexts(users, 20)
    assert [set(row[row > 0].tolist()) for row in x["hist_item_id"]] == [has[3], {13}, set()]
    assert ColaRecRows(PAIRS, CODES).contexts(users, 2)["hist_item_id"].shape == (3, 2)


def test_the_newest_items_stand_last_where_times_are_known():
    log = pd.DataFrame(
        {"user_id": [1, 2, 1, 1, 1, 2, 1], "item_id": [4, 9, 2, 7, 5, 1, 2],
         "time": [30, 1, 10, 20, 40, None, 50]}
    )  # fmt: skip
    users = np.array([2, 1, 3])
    rows = ColaRecRows(log, CODES)
    wanted = [[1, 9, 0, 0, 0], [7, 4, 5, 2, 0], [0] * 5]  # item 2 counts by its later time
    assert rows.contexts(users, 5)["hist_item_id"].tolist() == wanted
    assert rows.contexts(users, 2)["hist_item_id"].tolist() == [[1, 9], [5, 2], [0, 0]]
    days = log.assign(day=pd.to_datetime(log["time"], unit="D")).drop(columns="time")
    named = ColaRecRows(days, CODES, time="day").contexts(users, 5)
    assert named["hist_item_id"].tolist() == wanted
    without = ColaRecRows(days, CODES)
    assert sorted(without.contexts(users, 5)["hist_item_id"][1]) == [0, 2, 4, 5, 7]
    for name, values in rows(0).items():  # training draws as without times
        np.testing.assert_array_equal(values, without(0)[name])


def test_each_of_the_others_is_drawn_as_often_and_at_each_place():
    pairs = [[1, item] for item in range(1, 7)] + [[user, 1] for user in range(2, 7)]
    rows = ColaRecRows(pairs, CODES, context=3, num_users_of_item=3)
    contexts, users = np.zeros((3, 7)), np.zeros((3, 7))
    for epoch in range(2000):
        x = rows(epoch)
        (row,) = np.flatnonzero((x["user_id"] == 1) & (x["item_id"] == 1))
        contexts[range(3), x["hist_item_id"][row]] += 1
        users[range(3), x["item_users"][row]] += 1
    for counts in (contexts, users):  # five others: a fifth of 2000, 18 the standard deviation
        assert not counts[:, :2].any() and np.abs(counts[:, 2:] - 400).max() < 80


def test_memory_grows_with_what_is_drawn_not_with_what_is_drawn_from():
    pairs = [[user, item] for user in (1, 2) for item in range(1, 4001)]  # sum of squares: 3.2e7
    rows = ColaRecRows(pairs, [[0, 0], *([1, code] for code in range(1, 4101))])
    tracemalloc.start()
    rows(0), rows.contexts([1, 2] * 4000, 10)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2e7


def test_words():
    tokens, words = tokenize_texts(["", "a b c d", "A b; a"], num_tokens=3, vocabulary_size=4)
    assert words == ["", "[other]", "a", "b"]
    assert tokens.tolist() == [[0, 0, 0], [2, 3, 1], [2, 3, 2]]


def test_missing_texts_have_no_words():
    tokens, words = tokenize_texts(["", None, float("nan"), pd.NA, "red"], num_tokens=2)
    assert words == ["", "[other]", "red"] and tokens[:4].sum() == 0


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: tokenize_texts("red lip"), TypeError, "texts must be many texts, got one"),
        (lambda: tokenize_texts(["a", b"b"]), TypeError, "text 1 must be a text, got b'b'"),
        (lambda: tokenize_texts(["a"], vocabulary_size=1), ValueError, "must be at least 2"),
        (lambda: tokenize_texts(["a"], num_tokens=0), ValueError, "num_tokens must be a whole"),
        (lambda: ColaRecRows([[3 * 10**9, 1], [1, 2]], CODES), ValueError, "fit into int32"),
        (lambda: ColaRecRows(PAIRS, CODES, context=2.7), ValueError, "context must be a whole"),
        (lambda: ColaRecRows(PAIRS, CODES[:, 0]), ValueError, r"a table \(V, L\)"),
        (lambda: ColaRecRows(PAIRS, CODES[:, :1]), ValueError, "codes that come twice"),
        (lambda: ColaRecRows(pd.DataFrame({"user_id": [1]}), CODES), ValueError,
         "have no column 'item_id', only"),
    ],
)  # fmt: skip
def test_more_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.fixture
def folder(tmp_path):
    corpus = {
        str(item): {"atom_id": item, "cid": CODES[item].tolist(), "content": f"title {item}"}
        for item in range(1, 14)
    }
    (tmp_path / "corpus.json").write_text(json.dumps(corpus))
    near = {"1": {"fst": [2, 3], "sec": [2, 3]}, "13": {"fst": [], "sec": []}}
    (tmp_path / "cid_neg_dict.json").write_text(json.dumps(near))
    for part, rows in (("train_time", PAIRS), ("valid", PAIRS[:2] + [100, 0]), ("test", PAIRS[:1])):
        table = pd.DataFrame(rows, columns=["user_id", "item_id"]).assign(time=7)
        table.to_csv(tmp_path / f"{part}_inter.csv", index=False)
    return tmp_path


def test_the_authors_files(folder):
    data = read_colarec(folder)
    np.testing.assert_array_equal(data.codes, CODES)
    assert data.texts[:3] == ["", "title 1", "title 2"]
    assert len(data.train) == len(PAIRS) and len(data.valid) == 2 and len(data.test) == 1
    assert data.train["user_id"].min() == 1
    assert data.users[data.valid["user_id"] - 1].tolist() == (PAIRS[:2, 0] + 100).tolist()
    ColaRecRows(data.train, data.codes)(0)


def test_a_model_trains_on_the_authors_files(folder):
    data = read_colarec(folder)
    tokens, _ = tokenize_texts(data.texts, num_tokens=2)
    rows = ColaRecRows(data.train, data.codes)
    keras.utils.set_random_seed(0)
    model = ColaRec(
        data.codes, tokens, num_users=len(data.users), preset=(10, 9, 64), hidden_size=8,
        num_layers=1, num_heads=2, dropout=0.0, num_results=3,
        optimizer=keras.optimizers.Adam(0.01),
    )  # fmt: skip
    losses = model.fit(rows(0), epochs=15, batch_size=16, verbose=0, redraw=rows).history["loss"]
    assert losses[-1] < losses[0] * 0.8
    users = data.test["user_id"].to_numpy()
    found = inference_model(model).predict(rows.contexts(users, 10), verbose=0)["ids"]
    assert found.shape == (len(users), 3) and found.max() < len(data.codes)
    for user, items in zip(users, found.tolist(), strict=True):
        assert not set(items) & set(data.train.loc[data.train["user_id"] == user, "item_id"])


def test_missing_files(folder):
    (folder / "test_inter.csv").unlink()
    with pytest.raises(ValueError, match="read_colarec: there is no test_inter.csv"):
        read_colarec(folder)
    (folder / "corpus.json").unlink()
    (folder / "test_inter.csv").write_text("user_id,item_id,time\n")
    with pytest.raises(ValueError, match="whose entries have 'cid'"):
        read_colarec(folder)


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([1, 2], r"a user and an item a row, \(N, 2\)"),
        ([[0, 1]], "users must count from 1 .* got a smallest id of 0"),
        ([[1, 14]], r"items lie in 1\.\.13, .* items up to 14"),
    ],
)
def test_errors(pairs, message):
    with pytest.raises(ValueError, match=message):
        ColaRecRows(pairs, CODES)


def test_a_column_of_times_that_is_not_there():
    for interactions in (PAIRS, pd.DataFrame(PAIRS, columns=["user_id", "item_id"])):
        with pytest.raises(ValueError, match="interactions have no column 'when' of times"):
            ColaRecRows(interactions, CODES, time="when")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda corpus, log: corpus["2"].pop("content"), "item 2 of .* must have 'cid'"),
        (lambda corpus, log: corpus["3"].update(cid=[1]), "item 3 of .* must have 'cid', 2 codes"),
        (lambda corpus, log: log.insert(0, "user_id", log.pop("user_id").replace(1, None)),
         "'user_id' is missing in row"),
        (lambda corpus, log: log.insert(0, "item_id", log.pop("item_id").replace(13, 14)),
         r"'item_id' must be an item of the corpus, 1\.\.13, got 14 in row"),
        (lambda corpus, log: log.pop("time"), "has no column 'time'"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_the_authors_files(change, message, folder):
    corpus = json.loads((folder / "corpus.json").read_text())
    log = pd.read_csv(folder / "train_time_inter.csv")
    change(corpus, log)
    (folder / "corpus.json").write_text(json.dumps(corpus))
    log.to_csv(folder / "train_time_inter.csv", index=False)
    with pytest.raises(ValueError, match=message):
        read_colarec(folder)
    (folder / "corpus.json").write_text("{")
    with pytest.raises(ValueError, match="corpus.json is no JSON"):
        read_colarec(folder)
