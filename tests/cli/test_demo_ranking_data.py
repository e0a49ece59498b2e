"""The ranking demo's examples: no event of a later time reaches an earlier one."""

import numpy as np
import pandas as pd
import pytest

from deeprec_tf.cli.demo.movies import (
    FIELDS,
    ITEM,
    OUT_OF_VOCABULARY,
    describe,
    newest_ratings,
)
from deeprec_tf.cli.demo.ranking.data import BEHAVIORS, prepare
from deeprec_tf.cli.demo.settings import RankingSettings
from deeprec_tf.cli.errors import CommandError
from deeprec_tf.data import load_movielens

SETTINGS = RankingSettings(rows=3000, maxlen=8, seed=3)
PARTS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def ratings():
    return newest_ratings(load_movielens(), SETTINGS.rows)


@pytest.fixture(scope="module")
def data(ratings):
    return prepare(ratings, SETTINGS)


def test_newest_ratings(ratings):
    everything = load_movielens().ratings
    assert len(ratings) == 3000
    assert ratings["timestamp"].is_monotonic_increasing
    assert ratings["timestamp"].iloc[0] >= np.sort(everything["timestamp"])[-3000]
    assert len(newest_ratings(load_movielens(), 0)) == len(everything)


def test_what_is_known_of_a_movie():
    movies = pd.DataFrame(
        {
            "movie_id": [1, 2, 3],
            "title": ["Heat", "Brazil", "Undated"],
            "year": pd.array([1995, 1984, None], dtype="Int64"),
            "genres": ["Action|Crime", "Fantasy", "(no genres listed)"],
        }
    )
    described = describe(movies)
    assert described["title"].tolist() == ["Heat (1995)", "Brazil (1984)", "Undated"]
    assert described["genre"].tolist() == ["Action", "Fantasy", "(no genres listed)"]
    assert described["period"].tolist() == ["1995-1999", "1980-1984", "unknown"]


def test_parts_follow_each_other_in_time(data):
    times = [data.parts[name]["timestamp"] for name in PARTS]
    assert times[0].max() < times[1].min()
    assert times[1].max() < times[2].min()


@pytest.mark.parametrize("name", PARTS)
def test_histories_are_the_users_earlier_ratings(name, data, ratings):
    part = data.parts[name]
    users, times = ratings["user_id"].to_numpy(), ratings["timestamp"].to_numpy()
    some = np.random.default_rng(0).permutation(len(part["label"]))[:300]
    for row in some:
        earlier = (users == part["user_id"][row]) & (times < part["timestamp"][row])
        newest = np.flatnonzero(earlier)[-SETTINGS.maxlen :]
        assert part["hist_length"][row] == len(newest)
        for column in BEHAVIORS:
            expected = np.zeros(SETTINGS.maxlen, np.int64)
            expected[: len(newest)] = data.ids[column][newest]
            np.testing.assert_array_equal(part["hist_" + column][row], expected)


def test_the_encoder_knows_the_training_part_alone(data, ratings):
    training = ratings.iloc[data.split.train]
    for column in BEHAVIORS:
        assert set(data.encoder.vocabulary(column).values) == set(training[column])
    counts = training[ITEM].value_counts()
    known = data.encoder.decode(ITEM, data.known_movies)
    np.testing.assert_array_equal(data.train_counts[data.known_movies], counts[known])
    assert data.train_counts.sum() == len(training)
    # The order of the ids, by falling frequency, is the training part's too.
    assert (np.diff(data.train_counts[data.known_movies]) <= 0).all()


@pytest.mark.parametrize("name", PARTS)
def test_negatives_are_known_movies_the_user_does_not_have(name, data, ratings):
    part = data.parts[name]
    positive = part["label"] == 1
    assert positive.mean() == 0.5
    rows = np.concatenate(data.split[: 1 + PARTS.index(name)])
    users = ratings["user_id"].to_numpy()[rows]
    owned = set(zip(users.tolist(), data.ids[ITEM][rows].tolist(), strict=True))
    pairs = list(zip(part["user_id"].tolist(), part[ITEM].tolist(), strict=True))
    assert all((pair in owned) == bool(is_positive)
               for pair, is_positive in zip(pairs, positive, strict=True))
    assert part[ITEM].min() > OUT_OF_VOCABULARY
    for column in FIELDS:
        np.testing.assert_array_equal(part[column], data.fields[column][part[ITEM]])


def test_negative_histories(data, ratings):
    part = data.parts["train"]
    real = part["hist_" + ITEM] > 0
    for column in BEHAVIORS:
        np.testing.assert_array_equal(part["neg_hist_" + column] > 0, real)
    users = ratings["user_id"].to_numpy()[data.split.train].tolist()
    owned = set(zip(users, data.ids[ITEM][data.split.train].tolist(), strict=True))
    row, step = np.nonzero(real)
    drawn = part["neg_hist_" + ITEM][row, step].tolist()
    assert not owned & set(zip(part["user_id"][row].tolist(), drawn, strict=True))
    assert "neg_hist_" + ITEM not in data.parts["test"]


def test_the_future_changes_nothing_before_it(data, ratings):
    changed = ratings.copy()
    rows = data.split.test
    for column in (*BEHAVIORS, "title"):  # the users' later ratings are of other movies
        values = np.roll(changed[column].to_numpy()[rows], 1)
        values[:5] = -7 if column == ITEM else "new"
        changed.loc[rows, column] = values
    again = prepare(changed, SETTINGS)
    for name in ("train", "validation"):
        assert again.parts[name].keys() == data.parts[name].keys()
        for column, values in data.parts[name].items():
            np.testing.assert_array_equal(again.parts[name][column], values)
    before, after = (set(one.parts["test"][ITEM]) for one in (data, again))
    assert before != after


def test_targets_that_are_left_out(data):
    for name, rows in zip(PARTS, data.split, strict=True):
        unknown = data.ids[ITEM][rows] == OUT_OF_VOCABULARY
        assert data.left_out[name] == unknown.sum()
        assert data.parts[name]["label"].sum() == (~unknown).sum()
    assert data.left_out["train"] == 0
    assert data.left_out["test"] > 0


def test_the_seed_changes_the_negatives_only(data, ratings):
    other = prepare(ratings, RankingSettings(rows=3000, maxlen=8, seed=4)).parts["test"]
    part = data.parts["test"]
    positive = part["label"] == 1
    np.testing.assert_array_equal(other[ITEM][positive], part[ITEM][positive])
    assert (other[ITEM][~positive] != part[ITEM][~positive]).any()


def test_raw_values_encode_to_the_ids(data):
    part = {name: values[:200] for name, values in data.parts["test"].items()}
    raw = data.raw(part)
    again = data.encoder.transform({name: raw[name] for name in BEHAVIORS})
    for name in BEHAVIORS:
        np.testing.assert_array_equal(again[name], part[name])
        np.testing.assert_array_equal(raw["hist_" + name] == ("" if name != ITEM else 0),
                                      part["hist_" + name] == 0)


def test_too_few_ratings():
    with pytest.raises(CommandError, match="300 ratings leave 5 validation targets"):
        prepare(newest_ratings(load_movielens(), 300), SETTINGS)
