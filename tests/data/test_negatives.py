import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deeprec_tf.data import NegativeSampler, add_negatives, item_table


def random_log(users=40, items=60, rows=900, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "user_id": rng.integers(1, users + 1, rows),
        "item_id": np.minimum(rng.geometric(0.08, rows), items),
    }


def owned_by(log):
    return set(zip(log["user_id"].tolist(), log["item_id"].tolist(), strict=True))


pairs = st.lists(st.tuples(st.integers(1, 4), st.integers(1, 7)), min_size=1, max_size=40)


@settings(max_examples=150, deadline=None)
@given(pairs, st.sampled_from(["uniform", "popularity"]), st.integers(0, 7), st.integers(0, 2**31))
def test_never_an_item_that_the_user_has(drawn, strategy, exclude, seed):
    log = {"user_id": np.array([u for u, _ in drawn]), "item_id": np.array([i for _, i in drawn])}
    sampler = NegativeSampler(log, strategy=strategy, candidates=7)
    can_be_drawn = set(log["item_id"].tolist()) if strategy == "popularity" else set(range(1, 8))
    for user in (1, 2, 3, 4, 5):
        free = {i for i in can_be_drawn if (user, i) not in owned_by(log)} - {exclude}
        if not free:
            with pytest.raises(ValueError, match=f"user {user} has every one"):
                sampler.sample([user], 5, exclude=[exclude], seed=seed)
            continue
        draws = sampler.sample([user], 60, exclude=[exclude], seed=seed)
        assert draws.shape == (1, 60) and draws.dtype == np.int32
        assert set(draws.ravel().tolist()) <= free
        distinct = sampler.sample([user], len(free), exclude=[exclude], replace=False, seed=seed)
        assert set(distinct.ravel().tolist()) == free


def test_uniform_draws_are_uniform_over_what_is_free():
    log = random_log()
    draws = NegativeSampler(log, candidates=60).sample(np.full(3000, 7), 20).ravel()
    free = sorted(set(range(1, 61)) - {i for u, i in owned_by(log) if u == 7})
    counts = np.bincount(draws, minlength=61)[free]
    assert counts.sum() == draws.size
    expected = draws.size / len(free)
    chi_square = ((counts - expected) ** 2 / expected).sum()
    assert chi_square < len(free) + 5 * np.sqrt(2 * len(free))


@pytest.mark.parametrize("exclude", [None, 5])
def test_popularity_draws_follow_count_to_the_alpha(exclude):
    log = random_log()
    sampler = NegativeSampler(log, strategy="popularity", alpha=0.75)
    excluded = None if exclude is None else np.full(4000, exclude)
    draws = sampler.sample(np.full(4000, 999), 20, exclude=excluded).ravel()
    weights = np.bincount(log["item_id"], minlength=61) ** 0.75
    if exclude is not None:
        weights[exclude] = 0
    expected = weights / weights.sum() * draws.size
    counts = np.bincount(draws, minlength=61)
    assert (counts[expected == 0] == 0).all()
    likely = expected > 0
    chi_square = ((counts - expected)[likely] ** 2 / expected[likely]).sum()
    assert chi_square < likely.sum() + 5 * np.sqrt(2 * likely.sum())


def test_distinct_draws_also_where_one_item_is_nearly_everything():
    items = np.array([1] * 100_000 + [2, 3, 4])
    log = {"user_id": np.arange(len(items)) + 10, "item_id": items}
    sampler = NegativeSampler(log, strategy="popularity", alpha=1.5)
    draws = sampler.sample([1] * 50, 3, replace=False)
    assert all(len(set(row)) == 3 for row in draws.tolist())
    assert (draws == 1).any(axis=1).all()
    assert {i for row in draws.tolist() for i in row} == {1, 2, 3, 4}
    with pytest.raises(ValueError, match="user 1 has only 4 items left.*5 distinct"):
        sampler.sample([1], 5, replace=False)


def test_seeds():
    log = random_log()
    sampler = NegativeSampler(log, seed=5)
    users = log["user_id"]
    first = sampler.sample(users, 3)
    assert np.array_equal(first, sampler.sample(users, 3))
    assert np.array_equal(first, sampler.sample(users, 3, seed=5))
    epochs = [sampler.sample(users, 3, seed=(5, epoch)) for epoch in (0, 1, 1)]
    assert not np.array_equal(epochs[0], epochs[1])
    assert np.array_equal(epochs[1], epochs[2])
    rng = np.random.default_rng(0)
    assert not np.array_equal(
        sampler.sample(users, 3, seed=rng), sampler.sample(users, 3, seed=rng)
    )
    for seed in (-1, 0.5, "x"):
        with pytest.raises(ValueError, match="seed must be a whole number"):
            sampler.sample(users, seed=seed)


def test_a_long_call_is_drawn_in_parts(monkeypatch):
    log = random_log()
    monkeypatch.setattr("deeprec_tf.data.negatives._DRAWS_AT_ONCE", 64)
    sampler = NegativeSampler(log, candidates=60)
    draws = sampler.sample(log["user_id"], 3)
    owned = owned_by(log)
    assert draws.shape == (900, 3)
    assert not any(
        (u, i) in owned for u, row in zip(log["user_id"], draws.tolist(), strict=True) for i in row
    )


def test_histories_get_one_negative_a_step():
    log = random_log()
    owned = owned_by(log)
    categories = np.arange(61) % 5 + 1
    categories[0] = 0
    sampler = NegativeSampler(log, candidates=60, item_fields={"cate_id": categories})
    histories = np.array([[3, 5, 9], [4, 0, 0], [0, 0, 0]])
    result = sampler.sample_histories([1, 2, 3], histories)
    items = result["neg_hist_item_id"]
    assert list(result) == ["neg_hist_item_id", "neg_hist_cate_id"]
    assert items.shape == (3, 3) and items.dtype == np.int32
    assert ((items > 0) == (histories > 0)).all() and (items != histories)[histories > 0].all()
    assert not any((u, i) in owned for u, row in zip([1, 2, 3], items, strict=True) for i in row)
    assert np.array_equal(result["neg_hist_cate_id"], categories[items])

    several = sampler.sample_histories([1, 2, 3], histories, num_negatives=4, prefix="n_")
    assert several["n_item_id"].shape == (3, 3, 4)
    assert ((several["n_item_id"] > 0) == (histories > 0)[..., None]).all()


def test_a_step_never_gets_its_own_item():
    sampler = NegativeSampler({"user_id": [1], "item_id": [1]}, candidates=3)
    result = sampler.sample_histories([9] * 200, np.full((200, 1), 2))["neg_hist_item_id"]
    assert set(result.ravel().tolist()) == {1, 3}


def test_candidates_of_large_ids_and_text_users():
    log = {"user_id": ["a", "b"], "item_id": [2**40, 5]}
    sampler = NegativeSampler(log)
    assert sampler.candidates.dtype == np.int64
    assert sampler.sample(["a", "b"]).tolist() == [[5], [2**40]]
    only = NegativeSampler(log, candidates=[5, 6])
    assert only.sample(["b"]).tolist() == [[6]] and only.candidates.dtype == np.int32


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"strategy": "hard"}, ValueError, "strategy must be one of"),
        ({"candidates": []}, TypeError, "integer ids"),
        ({"candidates": [0, 1]}, ValueError, "at least 1"),
        ({"candidates": 0}, ValueError, "no candidate"),
        ({"user": "who"}, ValueError, "no column 'who'"),
        ({"item_fields": {"cate": [1, 2]}}, ValueError, "'cate' must have a row for every id up"),
    ],
)
def test_errors_at_construction(arguments, error, match):
    with pytest.raises(error, match=match):
        NegativeSampler({"user_id": [1, 2], "item_id": [1, 2]}, **arguments)


def test_errors_of_calls():
    sampler = NegativeSampler({"user_id": [1, 2], "item_id": [1, 2]})
    with pytest.raises(ValueError, match="num_negatives must be an integer of at least 1, got 0"):
        sampler.sample([1], 0)
    with pytest.raises(ValueError, match=r"exclude must hold one item a row, shape \(1,\)"):
        sampler.sample([1], exclude=[1, 2])
    with pytest.raises(ValueError, match=r"histories must have shape \(1, T\)"):
        sampler.sample_histories([1], [1, 2])
    with pytest.raises(TypeError, match="'item_id' must hold integer ids"):
        NegativeSampler({"user_id": [1], "item_id": ["x"]})
    full = NegativeSampler({"user_id": ["ann"] * 2, "item_id": [1, 2]})
    with pytest.raises(ValueError, match="user 'ann' has every one of the 2 items"):
        full.sample(["bob", "ann"])
    with pytest.raises(ValueError, match="user 'ann' has every one"):
        full.sample_histories(["bob", "ann"], [[1, 2], [0, 1]])


def test_add_negatives_copies_the_row_and_changes_the_item():
    log = random_log(rows=50)
    categories = np.arange(61) * 2
    sampler = NegativeSampler(log, candidates=60, item_fields={"cate_id": categories})
    table = {
        **log,
        "cate_id": categories[log["item_id"]],
        "hist_item_id": np.arange(100).reshape(50, 2),
    }
    result = add_negatives(table, sampler, 3)
    assert result["label"].tolist() == [1.0, 0.0, 0.0, 0.0] * 50
    assert result["label"].dtype == np.float32
    assert np.array_equal(result["user_id"], np.repeat(log["user_id"], 4))
    assert np.array_equal(result["hist_item_id"], np.repeat(table["hist_item_id"], 4, axis=0))
    assert np.array_equal(result["item_id"][::4], log["item_id"])
    assert np.array_equal(result["cate_id"], categories[result["item_id"]])
    negative = result["label"] == 0
    owned = owned_by(log)
    assert not any(
        pair in owned
        for pair in zip(result["user_id"][negative], result["item_id"][negative], strict=True)
    )
    frame = add_negatives(
        pd.DataFrame({k: table[k] for k in ("user_id", "item_id", "cate_id")}), sampler, 3
    )
    assert np.array_equal(frame["item_id"], result["item_id"])
    assert np.array_equal(frame["cate_id"], result["cate_id"])


def test_add_negatives_changes_no_value_of_an_item():
    genres = np.array(["", "War", "War", "Comedy", "Romance"])
    prices = np.array([0, 1, 1, 3.5, 2.5])
    log, fields = {"user_id": [1], "item_id": [1]}, {"genre": genres, "price": prices}
    sampler = NegativeSampler(log, candidates=4, item_fields=fields)
    table = {**log, "genre": ["War"], "price": [1]}
    result = add_negatives(table, sampler, 30)
    assert set(result["item_id"].tolist()) == {1, 2, 3, 4}
    assert result["genre"].tolist() == genres[result["item_id"]].tolist()
    assert result["price"].tolist() == prices[result["item_id"]].tolist()
    many = NegativeSampler(log, candidates=1000)
    narrow = {"user_id": np.array([1]), "item_id": np.array([1], "int8")}
    drawn = add_negatives(narrow, many, 500)["item_id"]
    assert drawn.min() == 1 and drawn.max() > 127
    few = add_negatives(table | {"item_id": np.array([1], "int32")}, sampler)
    assert few["item_id"].dtype == "int32"


@pytest.mark.parametrize("as_frame", [True, False])
def test_add_negatives_of_lists(as_frame):
    items = {"item_id": [1, 2, 3], "tags": np.array([[1, 2], [3, 0], [4, 4]])}
    log = {"user_id": [1, 1, 2], **items}
    sampler = NegativeSampler(log, item_fields=item_table(items, ["tags"]))
    table = pd.DataFrame(log | {"tags": log["tags"].tolist()}) if as_frame else log
    result = add_negatives(table, sampler, 2)
    assert len(result["tags"]) == 9
    for item, tags in zip(result["item_id"], result["tags"], strict=True):
        assert list(tags) == log["tags"][item - 1].tolist()
        assert isinstance(tags, list) == as_frame


def test_add_negatives_leaves_labelled_negatives_alone():
    sampler = NegativeSampler({"user_id": [1], "item_id": [1]}, candidates=9)
    frame = pd.DataFrame({"user_id": [1, 1], "item_id": [1, 7], "label": [1, 0]}, index=[4, 4])
    result = add_negatives(frame, sampler, 2)
    assert result["label"].tolist() == [1, 0, 0, 0] and result["item_id"].tolist()[3] == 7
    with pytest.raises(ValueError, match="'label' must hold 0 and 1"):
        add_negatives(frame.assign(label=[1, 5]), sampler)


def test_add_negatives_excludes_the_row_s_own_item():
    sampler = NegativeSampler({"user_id": [1], "item_id": [1]}, candidates=3)
    later = {"user_id": np.ones(200, int), "item_id": np.full(200, 2)}
    result = add_negatives(later, sampler, seed=(1, 2))
    assert set(result["item_id"][1::2].tolist()) == {3}


def test_item_table():
    items = {"item_id": [3, 1, 3], "cate": [7, 8, 9], "genres": np.array([[1, 2], [3, 0], [5, 5]])}
    tables = item_table(items, ["cate", "genres"], size=5)
    assert tables["cate"].tolist() == [0, 8, 0, 7, 0]
    assert tables["genres"].tolist() == [[0, 0], [3, 0], [0, 0], [1, 2], [0, 0]]
    frame = pd.DataFrame({**items, "genres": items["genres"].tolist(), "title": ["c", "a", "c"]})
    tables = item_table(frame, ["genres", "title"])
    assert tables["genres"].dtype == np.int64
    assert tables["genres"].tolist() == [[0, 0], [3, 0], [0, 0], [1, 2]]
    assert tables["title"].tolist() == ["", "a", "", "c"]
    with pytest.raises(ValueError, match="lists of column 'x' have 1 to 2 elements. Pad them"):
        item_table(pd.DataFrame({"item_id": [1, 2], "x": [[1], [1, 2]]}), ["x"])
    with pytest.raises(ValueError, match="size 3 is too small for item id 3"):
        item_table(items, ["cate"], size=3)
