import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deeprec_tf.data import leave_one_out, load_movielens, random_split, take, temporal_split
from deeprec_tf.data.tables import time_limit, time_values


def assert_a_partition(split, count):
    assert sorted(np.concatenate(split).tolist()) == list(range(count))
    for part in split:
        assert part.dtype == np.int64 and (np.diff(part) > 0).all()


times_lists = st.lists(st.integers(0, 30), min_size=3, max_size=60)


@settings(max_examples=150, deadline=None)
@given(times_lists, st.sampled_from([(0.8, 0.1, 0.1), (0.5, 0.25, 0.25), (0.1, 0.1, 0.8)]))
def test_temporal_parts_do_not_overlap_in_time(times, fractions):
    if len(set(times)) < 3:
        with pytest.raises(ValueError, match="too few"):
            temporal_split({"timestamp": times}, fractions=fractions)
        return
    split = temporal_split({"timestamp": times}, fractions=fractions)
    assert_a_partition(split, len(times))
    times = np.array(times)
    assert times[split.train].max() < times[split.validation].min()
    assert times[split.validation].max() < times[split.test].min()


@settings(max_examples=50, deadline=None)
@given(times_lists, st.sampled_from([(0.8, 0.0, 0.2), (1.0, 0.0, 0.0), (0.0, 0.5, 0.5)]))
def test_a_share_of_zero_gives_an_empty_part(times, fractions):
    if len(set(times)) < 2:
        return
    split = temporal_split({"timestamp": times}, fractions=fractions)
    assert_a_partition(split, len(times))
    assert [len(part) == 0 for part in split] == [share == 0 for share in fractions]


def test_temporal_split_cuts_nearest_to_the_fractions():
    split = temporal_split({"timestamp": np.arange(100)[::-1]})
    assert [len(part) for part in split] == [80, 10, 10]
    assert split.test.tolist() == list(range(10))
    tied = temporal_split({"timestamp": [1] * 7 + [2] * 2 + [3]}, fractions=(0.8, 0.1, 0.1))
    assert [len(part) for part in tied] == [7, 2, 1]


def test_temporal_split_takes_dates():
    frame = pd.DataFrame({"when": pd.date_range("2020-01-01", periods=10)})
    assert [len(part) for part in temporal_split(frame, time="when")] == [8, 1, 1]


@pytest.mark.parametrize("zone", ["", ", tz=Europe/Rome"])
def test_temporal_split_takes_dates_of_arrow(zone):
    pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install pyarrow")
    days = pd.Series(pd.date_range("2020-01-01", periods=10, tz="Europe/Rome" if zone else None))
    for unit in ("s", "ns"):
        when = days.astype(f"timestamp[{unit}{zone}][pyarrow]")
        frame = pd.DataFrame({"when": when, "user_id": 1})
        assert temporal_split(frame, time="when").test.tolist() == [9]
        limit = time_limit("f", "from", days[3], frame, "when")
        assert (time_values("f", frame, "when") < limit).sum() == 3
    frame.loc[4, "when"] = None
    with pytest.raises(ValueError, match="'when' has 1 missing values, the first in row 4"):
        temporal_split(frame, time="when")


def test_temporal_split_of_movielens():
    ratings = load_movielens().ratings
    split = temporal_split(ratings)
    assert_a_partition(split, len(ratings))
    shares = np.array([len(part) for part in split]) / len(ratings)
    np.testing.assert_allclose(shares, [0.8, 0.1, 0.1], atol=1e-3)


def test_leave_one_out_by_hand():
    users = [1, 1, 1, 1, 2, 2, 3, 3, 3]
    times = [4, 3, 2, 1, 1, 2, 5, 5, 5]
    split = leave_one_out({"user_id": users, "timestamp": times})
    assert split.test.tolist() == [0, 8]  # of equal times the later row is the later one
    assert split.validation.tolist() == [1, 7]
    assert split.train.tolist() == [2, 3, 4, 5, 6]  # user 2 has too few


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 9)), max_size=40), st.integers(3, 5))
def test_leave_one_out_takes_the_last_two_of_each_user(rows, least):
    users = np.array([user for user, _ in rows], int)
    times = np.array([time for _, time in rows], int)
    split = leave_one_out({"user_id": users, "timestamp": times}, min_interactions=least)
    assert_a_partition(split, len(rows))
    for user in set(users.tolist()):
        mine = [np.flatnonzero(users[part] == user) for part in split]
        held_out = int((users == user).sum() >= least)
        assert len(mine[1]) == len(mine[2]) == held_out
        if held_out:
            validation = times[split.validation][mine[1]][0]
            assert times[split.train][mine[0]].max() <= validation
            assert validation <= times[split.test][mine[2]][0]


def test_random_split_is_reproducible_and_keeps_groups_together():
    table = {"user_id": np.repeat(np.arange(50), 7)}
    split = random_split(table, seed=3)
    assert_a_partition(split, 350)
    assert [len(part) for part in split] == [280, 35, 35]
    assert all(
        np.array_equal(a, b) for a, b in zip(split, random_split(table, seed=3), strict=True)
    )
    assert not np.array_equal(split.test, random_split(table, seed=4).test)

    grouped = random_split(table, by="user_id", seed=3)
    assert_a_partition(grouped, 350)
    owners = [set(table["user_id"][part].tolist()) for part in grouped]
    assert [len(users) for users in owners] == [40, 5, 5]
    assert not (owners[0] & owners[1] or owners[0] & owners[2] or owners[1] & owners[2])


@pytest.mark.parametrize("fractions", [(0.8, 0.2), (0.5, 0.1, 0.1), (1.2, -0.1, -0.1)])
def test_fractions_must_add_up(fractions):
    for split in (temporal_split, random_split):
        with pytest.raises(ValueError, match="three shares.*add up to 1"):
            split({"timestamp": np.arange(9)}, fractions=fractions)


def test_other_errors():
    with pytest.raises(ValueError, match="min_interactions must be at least 3"):
        leave_one_out({"user_id": [1], "timestamp": [1]}, min_interactions=2)
    with pytest.raises(ValueError, match="no column 'timestamp'"):
        temporal_split({"time": [1]})


def test_take_keeps_the_kind_of_table():
    frame = pd.DataFrame({"x": [1, 2, 3]}, index=[5, 6, 7])
    assert take(frame, np.array([2, 0]))["x"].tolist() == [3, 1]
    assert take(frame, np.array([False, True, False])).index.tolist() == [0]
    assert take({"x": [[1, 2], [3, 4]]}, np.array([1]))["x"].tolist() == [[3, 4]]
