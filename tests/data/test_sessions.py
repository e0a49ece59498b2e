import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deeprec_tf.data import build_sequences, build_sessions


def log(users, items, times, **more):
    table = {"user_id": users, "item_id": items, "timestamp": times, **more}
    return {name: np.asarray(values, int) for name, values in table.items()}


def by_hand(table, row, gap, sessions, size, ties, events):
    """The sessions of one row with plain loops."""
    past = []
    for other in range(len(table["user_id"])):
        same_user = table["user_id"][other] == table["user_id"][row]
        earlier = table["timestamp"][other] < table["timestamp"][row]
        tied = table["timestamp"][other] == table["timestamp"][row]
        if same_user and events[other] and (earlier or (ties == "order" and tied and other < row)):
            past.append((table["timestamp"][other], other, table["item_id"][other]))
    found, before = [], None
    for when, _, item in sorted(past):
        if before is None or when - before > gap:
            found.append([])
        found[-1].append(item)
        before = when
    found = [session[-size:] for session in found[-sessions:]]
    padded = [session + [0] * (size - len(session)) for session in found]
    return padded + [[0] * size] * (sessions - len(found)), len(found)


def test_a_worked_case():
    """Half an hour of pause belongs to the session, a second more ends it."""
    table = log([1] * 6, [10, 11, 12, 13, 14, 15], [0, 1800, 3601, 3700, 9000, 9000])
    result = build_sessions(table, max_sessions=2, session_size=2)
    assert result["hist_item_id"].tolist() == [
        [[0, 0], [0, 0]], [[10, 0], [0, 0]], [[10, 11], [0, 0]], [[10, 11], [12, 0]],
        [[10, 11], [12, 13]], [[10, 11], [12, 13]],
    ]
    assert result["hist_length"].tolist() == [0, 1, 1, 2, 2, 2]
    assert result["hist_item_id"].dtype == np.int32 and result["hist_length"].dtype == np.int32


def test_the_newest_sessions_and_their_newest_items_are_kept():
    table = log([1] * 7, [1, 2, 3, 4, 5, 6, 7], [0, 100, 101, 102, 200, 201, 300])
    result = build_sessions(table, gap=10, max_sessions=2, session_size=2, rows=[6])
    assert result["hist_item_id"].tolist() == [[[3, 4], [5, 6]]]
    assert result["hist_length"].tolist() == [2]


def test_events_of_the_rows_own_moment_are_left_out_or_taken():
    table = log([1] * 3, [1, 2, 3], [5, 6, 6])
    assert build_sessions(table, max_sessions=1, session_size=3)["hist_item_id"][2].tolist() == [
        [1, 0, 0]
    ]
    order = build_sessions(table, max_sessions=1, session_size=3, ties="order")
    assert order["hist_item_id"][2].tolist() == [[1, 2, 0]]


def test_dates_count_in_seconds_and_fields_follow():
    frame = pd.DataFrame({
        "user_id": ["ann"] * 3, "item_id": [1, 2, 3], "cate": [4, 5, 6],
        "timestamp": pd.to_datetime(["2020-01-01 10:00", "2020-01-01 10:31", "2020-01-01 11:00"]),
    })  # fmt: skip
    result = build_sessions(frame, fields=["cate"], max_sessions=2, session_size=1)
    assert result["hist_cate"][2].tolist() == [[4], [5]]
    assert build_sessions(frame, gap=1860, max_sessions=2, session_size=2)["hist_item_id"][
        2
    ].tolist() == [[1, 2], [0, 0]]


def test_one_long_session_is_the_sequence():
    rng = np.random.default_rng(0)
    table = log(rng.integers(1, 4, 40), rng.integers(1, 9, 40), rng.integers(0, 50, 40))
    whole = build_sequences(table, maxlen=6)["hist_item_id"]
    one = build_sessions(table, gap=1000, max_sessions=3, session_size=6)["hist_item_id"]
    np.testing.assert_array_equal(one[:, 0], whole)
    assert not one[:, 1:].any()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 3), st.integers(0, 30), st.booleans()), max_size=14),
    st.integers(0, 6), st.integers(1, 3), st.integers(1, 3), st.sampled_from(["exclude", "order"]),
)  # fmt: skip
def test_any_log_is_cut_as_by_hand(rows, gap, sessions, size, ties):
    table = log([u for u, _, _ in rows], range(1, len(rows) + 1), [t for _, t, _ in rows])
    events = np.array([kept for _, _, kept in rows], bool)
    result = build_sessions(
        table, gap=gap, max_sessions=sessions, session_size=size, ties=ties, events=events
    )
    assert result["hist_item_id"].shape == (len(rows), sessions, size)
    for row in range(len(rows)):
        wanted, count = by_hand(table, row, gap, sessions, size, ties, events)
        assert result["hist_item_id"][row].tolist() == wanted
        assert result["hist_length"][row] == count


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gap": -1}, "build_sessions: gap must be a number of at least 0, .* got -1"),
        ({"gap": pd.Timedelta("1h")}, "gap must be a number of at least 0, of seconds where times"),
        ({"max_sessions": 0}, "build_sessions: max_sessions must be an integer of at least 1"),
        ({"session_size": 0}, "build_sessions: session_size must be an integer of at least 1"),
        ({"ties": "keep"}, "build_sessions: ties must be one of"),
        ({"item": "movie"}, "build_sessions: no column 'movie'"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        build_sessions(log([1], [1], [1]), **options)
