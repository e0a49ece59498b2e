"""What the accuracy benchmarks let a model see, and what a training may cost."""

import time

import keras
import numpy as np
import pandas as pd
import pytest

from deeprec_tf.data import data_dir
from tests.benchmarks.own_data import read_or_skip


def test_unseen_items_are_nowhere_before_the_test(scripts):
    module = scripts("language_items")
    parts = read_or_skip(lambda: module.Parts(module.DATA["beauty"], 0.1, 0))
    assert parts.known == parts.items - parts.items // 10
    for rows in (parts.train, parts.validation):
        assert max(values.max() for values in rows.values()) <= parts.known
    assert parts.test["hist_item_id"].max() <= parts.known
    assert 0.05 < parts.unseen.mean() < 0.2
    np.testing.assert_array_equal(parts.unseen, parts.test["item_id"] > parts.known)
    assert 0.2 < parts.few.mean() < 0.5
    # What a user had is no answer, known or not; the target is one.
    assert parts.seen_test.max() > parts.known
    for i in range(0, len(parts.unseen), 997):
        seen = set(parts.seen_test[i].tolist()) - {0}
        assert set(parts.test["hist_item_id"][i].tolist()) - {0} <= seen
        assert int(parts.test["item_id"][i]) not in seen
        assert int(parts.validation["item_id"][i]) in seen


def test_shuffled_items_keep_what_is_known_of_their_order(scripts):
    """Users keep their items, and all that lay behind a descent of the numbers stays behind it."""
    module = scripts("next_item")
    log = pd.DataFrame({"user_id": [1] * 7 + [2] * 3, "item_id": [1, 5, 9, 4, 6, 8, 2, 3, 4, 7]})
    found = module.without_order_of_numbers(log, log["item_id"].to_numpy())["item_id"].tolist()
    runs = [found[:3], found[3:6], found[6:7], found[7:]]
    assert [sorted(run) for run in runs] == [[1, 5, 9], [4, 6, 8], [2], [3, 4, 7]]
    assert found != log["item_id"].tolist()
    raw, shuffled = (
        read_or_skip(lambda key=key: module.LeaveOneOut(module.DATA[key]))
        for key in ("beauty", "beauty-shuffled")
    )
    assert raw.items == shuffled.items == 12_101
    np.testing.assert_array_equal(*(
        np.sort(np.column_stack([parts.seen_test, parts.test["item_id"]]), axis=1)
        for parts in (raw, shuffled)
    ))  # fmt: skip
    changed = (raw.test["item_id"] != shuffled.test["item_id"]).mean()
    assert 0.3 < changed < 0.7


def test_half_of_the_ratings_are_ties_in_no_order(scripts):
    """Of pairs that are neighbours in a second of ten users and more, either is first by chance."""
    log = read_or_skip(lambda: pd.read_parquet(data_dir() / "movielens-1m" / "ratings.parquet"))
    log = log.sort_values(["user_id", "position"], kind="stable")
    before = log.groupby("user_id")[["timestamp", "movie_id"]].shift()
    is_known = log["timestamp"].notna() & before["timestamp"].notna()
    is_tied = (is_known & (log["timestamp"] == before["timestamp"])).fillna(False)
    assert round(is_tied.sum() / is_known.sum(), 2) == 0.49
    assert round(is_tied[~log["user_id"].duplicated(keep="last")].mean(), 2) == 0.40
    first, second = before["movie_id"][is_tied], log["movie_id"][is_tied]
    pairs = np.minimum(first, second) * 10_000 + np.maximum(first, second)
    found = (first < second).astype(float).groupby(pairs).agg(["mean", "size"])
    found = found[found["size"] >= 10]
    draws = np.random.default_rng(0).binomial(found["size"], 0.5, (100, len(found)))
    by_chance = np.abs(draws / found["size"].to_numpy() - 0.5).mean(axis=1)
    off = (found["mean"] - 0.5).abs().mean()
    assert len(found) > 1000 and by_chance.min() < off < by_chance.max()


def test_ties_by_number_move_nothing_else(scripts):
    """Within a user's second the numbers ascend; other places and unknown times stay."""
    module = scripts("next_item")
    log = pd.DataFrame({
        "user_id": [1] * 7 + [2] * 3,
        "item_id": [9, 4, 8, 5, 2, 1, 3, 7, 6, 5],
        "timestamp": pd.array([pd.NA, pd.NA, 3, 3, 3, 4, 5, 5, 5, 6], "Int64"),
    })  # fmt: skip
    found = module.ties_by_number(log)["item_id"].tolist()
    assert found == [9, 4, 2, 5, 8, 1, 3, 6, 7, 5]
    given, numbered = (
        read_or_skip(lambda key=key: module.LeaveOneOut(module.DATA[key]))
        for key in ("movielens", "movielens-numbered")
    )
    changed = (given.test["item_id"] != numbered.test["item_id"]).mean()
    assert 0.2 < changed < 0.5


def test_baselines_read_whole_lists(scripts):
    """Those of the rows end with the same items; on MovieLens-1M they hold two thirds of all."""
    module = scripts("next_item")
    parts = read_or_skip(lambda: module.LeaveOneOut(module.DATA["movielens"]))
    lists = parts.lists()
    longest = parts.seen_test.shape[1]
    assert sum(map(len, lists)) == np.count_nonzero(parts.seen_test) - len(lists)
    assert max(map(len, lists)) == longest - 2 > 2000
    for i in range(0, len(lists), 97):
        history = parts.train["hist_item_id"][i][parts.train["hist_item_id"][i] > 0].tolist()
        assert [*history, parts.train["item_id"][i]] == lists[i][-1 - len(history) :]
        assert parts.seen_test[i][: len(lists[i])].tolist() == lists[i]


def test_baselines_of_sessions_read_whole_lists(scripts):
    parts = read_or_skip(lambda: scripts("sessions").Sessions("yoochoose"))
    lists = parts.lists()
    assert len(lists) == len(parts.train["item_id"]) and max(map(len, lists)) > 21
    for items, last in zip(lists[::97], parts.train["item_id"][::97], strict=True):
        assert len(items) > 1 and items[-1] == last


def test_users_and_items_of_few_rows_are_told_apart(scripts):
    generative = scripts("generative")
    data = generative.DATA["beauty"]
    parts = read_or_skip(lambda: generative.Prefixes(data))
    few, rare = parts.parts["few_"], parts.parts["rare_"]
    assert 0.2 < few.mean() < 0.5 and 0.1 < rare.mean() < 0.5
    assert {len(parts.seen[i]) for i in np.flatnonzero(few)} == {4}, "three, and the validation's"
    trained = np.concatenate([row[:-1] for row in parts.seen])
    counts = np.bincount(trained, minlength=parts.items + 1)[parts.test["item_id"]]
    np.testing.assert_array_equal(counts < scripts("parts").RARE, rare)
    found = parts.measured(lambda rows: {"rows": len(rows)}, 100)
    assert found == {"rows": 100, "few_rows": few[:100].sum(), "rare_rows": rare[:100].sum()}
    # SASRec is asked for the same users in the same order.
    others = generative.LeaveOneOut(data)
    np.testing.assert_array_equal(others.test["item_id"], parts.test["item_id"])
    for part, is_in in parts.parts.items():
        np.testing.assert_array_equal(others.parts[part], is_in)


def test_a_users_items_are_in_one_part_each(scripts):
    colarec = scripts("colarec")
    data = read_or_skip(lambda: colarec.General(colarec.AMAZON["beauty"], 0))
    train = set(map(tuple, data.train[["user_id", "item_id"]].to_numpy().tolist()))
    for targets in (data.targets, data.validation):
        assert not train & set(zip(data.users.tolist(), targets.tolist(), strict=True))
    assert not (data.targets == data.validation).any()
    assert all(len(seen) >= 3 for seen in data.seen)
    assert data.name == "Amazon Beauty, general", "as in the rows that are there"
    drawn = data.drawn(1024, seed=0)
    assert len(set(drawn.tolist())) == 1024 and drawn.max() > len(data.users) * 3 // 4
    np.testing.assert_array_equal(data.drawn(64, seed=0), drawn[:64])
    parts = colarec.ByTime(data)
    for i in range(0, len(data.users), 997):
        assert set(parts.asked["hist_item_id"][i].tolist()) - {0} <= set(data.seen[i])
    assert parts.validation["hist_item_id"] is parts.asked["hist_item_id"]


def test_places_and_histories_of_gowalla_hold_what_else_the_user_has(scripts):
    gowalla = scripts("gowalla")
    data = read_or_skip(lambda: gowalla.Gowalla("valid"))
    rows = data.histories(0)
    assert (data.histories(0, epoch=1)["hist_item_id"] != rows["hist_item_id"]).any()
    of_user = data.train.groupby("user_id")["item_id"].agg(set)
    log = data.train.sample(frac=1.0, random_state=0).sort_values("user_id", kind="stable")
    users = log["user_id"].to_numpy()
    for i in range(0, len(users), 79_999):
        history = rows["hist_item_id"][i][rows["hist_item_id"][i] > 0].tolist()
        others = of_user[users[i]] - {int(rows["item_id"][i])}
        assert set(history) <= others
        assert len(history) == len(set(history)) == min(len(others), gowalla.FEW)


def test_a_budget_holds_over_pieces(scripts, tmp_path):
    budget = scripts("budget").Budget
    file = tmp_path / "run.seconds"
    file.write_text("100.0")
    model = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x = np.zeros((8, 1))

    class Killed(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            end = time.process_time() + 0.3
            while time.process_time() < end:
                pass
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):  # what came after the last epoch is not counted
        model.fit(x, x, batch_size=1, callbacks=[budget(file=file), Killed()], verbose=0)
    first = float(file.read_text())
    assert 100.0 <= first < 130.0
    again = budget(first + 1e-6, file=file)
    history = model.fit(x, x, batch_size=1, epochs=5, callbacks=[again], verbose=0)
    assert again.earlier == first and again.spent > first
    assert len(history.epoch) == 1 and not file.exists()
    steps = budget(steps=3)
    model.fit(x, x, batch_size=1, epochs=5, callbacks=[steps], verbose=0)
    assert int(model.optimizer.iterations) == 8 + 1 + 3


def test_the_rate_falls_in_a_straight_line_after_the_steady_epochs(scripts):
    def rates_of(*arguments):
        schedule = scripts("rates").falling(*arguments).schedule
        return [schedule(epoch) for epoch in range(arguments[1])]

    assert rates_of(0.5, 6, 3) == pytest.approx([0.5, 0.5, 0.5, 0.375, 0.25, 0.125])
    assert rates_of(0.4, 4, 1) == pytest.approx([0.4, 0.3, 0.2, 0.1])


def test_a_runs_own_epochs_say_when_its_rate_falls(scripts):
    module = scripts("next_item")

    def rates_of(**arguments):
        run = module.Run("SASRec", **arguments)
        return [callback.schedule(8) for callback in module.rate_of(run, data)]

    data = module.Data("", "", 5, 0.0, "", rate=0.1, epochs=10, steady=5)
    assert rates_of() == pytest.approx([0.1 * 2 / 6])
    assert rates_of(rate=0.4, epochs=9, steady=8) == pytest.approx([0.4 * 1 / 2])
    schedule = module.WarmUp(1e-4, 10, 100)
    assert rates_of(rate=lambda: schedule, epochs=20) == []
    data = module.Data("", "", 5, 0.0, "", epochs=10)
    assert rates_of(epochs=20) == []
