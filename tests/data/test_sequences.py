import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deeprec_tf.data import build_sequences, latest_sequences


def log(users, items, times, **more):
    table = {"user_id": users, "item_id": items, "timestamp": times, **more}
    return {
        name: np.asarray(values, None if len(values) else int) for name, values in table.items()
    }


def by_hand(table, row, maxlen, ties, events, field="item_id"):
    """The history of one row with plain loops."""
    past = []
    for other in range(len(table["user_id"])):
        same_user = table["user_id"][other] == table["user_id"][row]
        earlier = table["timestamp"][other] < table["timestamp"][row]
        tied = table["timestamp"][other] == table["timestamp"][row]
        if same_user and events[other] and (earlier or (ties == "order" and tied and other < row)):
            past.append((table["timestamp"][other], other, table[field][other]))
    values = [value for _, _, value in sorted(past)][-maxlen:]
    return values + [0] * (maxlen - len(values)), len(values)


def test_a_worked_case():
    table = log([1, 2, 1, 1, 2, 1], [10, 20, 11, 12, 21, 13], [5, 1, 6, 7, 2, 8])
    result = build_sequences(table, maxlen=2)
    assert result["hist_item_id"].tolist() == [[0, 0], [0, 0], [10, 0], [10, 11], [20, 0], [11, 12]]
    assert result["hist_length"].tolist() == [0, 0, 1, 2, 1, 2]
    assert result["hist_item_id"].dtype == np.int32 and result["hist_length"].dtype == np.int32


def test_ties_are_left_out_or_taken_in_row_order():
    table = log([1, 1, 1], [10, 11, 12], [5, 5, 6])
    exclude = build_sequences(table, maxlen=3)["hist_item_id"].tolist()
    order = build_sequences(table, maxlen=3, ties="order")["hist_item_id"].tolist()
    assert exclude == [[0, 0, 0], [0, 0, 0], [10, 11, 0]]
    assert order == [[0, 0, 0], [10, 0, 0], [10, 11, 0]]


def test_fields_follow_the_item_and_keep_their_kind():
    table = log([1, 1], [10, 11], [2**40, 2**40 + 9], cate=[3, 4], rating=[4.5, 1.0])
    result = build_sequences(table, fields=["cate", "rating", "timestamp"], maxlen=2, prefix="h_")
    assert result["h_cate"].tolist() == [[0, 0], [3, 0]] and result["h_cate"].dtype == np.int32
    assert result["h_rating"].tolist() == [[0, 0], [4.5, 0]]
    assert result["h_rating"].dtype == np.float32
    assert result["h_timestamp"].tolist() == [[0, 0], [2**40, 0]]
    assert result["h_timestamp"].dtype == np.int64


def test_frames_dates_and_text_users():
    frame = pd.DataFrame(
        {
            "who": ["ann", "bob", "ann"],
            "item": pd.array([1, 2, 3], dtype="Int64"),
            "when": pd.to_datetime(["2020-01-02", "2020-01-01", "2020-01-03"], utc=True),
        },
        index=[7, 7, 7],
    )
    result = build_sequences(
        frame, user="who", item="item", time="when", fields=["when"], maxlen=1, length_name="n"
    )
    assert result["hist_item"].tolist() == [[0], [0], [1]] and result["n"].tolist() == [0, 0, 1]
    assert result["hist_when"][2, 0] == pd.Timestamp("2020-01-02").timestamp()


def test_chosen_rows_draw_on_all_interactions():
    table = log([1, 1, 1, 1], [10, 11, 12, 13], [1, 2, 3, 4])
    whole = build_sequences(table, maxlen=3)
    for rows in (np.array([3, 1]), np.array([False, True, False, True])):
        part = build_sequences(table, maxlen=3, rows=rows)
        places = rows if rows.dtype != bool else np.flatnonzero(rows)
        assert np.array_equal(part["hist_item_id"], whole["hist_item_id"][places])
    assert build_sequences(table, rows=[], maxlen=3)["hist_item_id"].shape == (0, 3)


def test_only_events_enter_a_history():
    table = log([1, 1, 1, 1], [10, 11, 12, 13], [1, 2, 3, 4], rating=[5.0, 1.0, 4.0, 2.0])
    result = build_sequences(table, maxlen=3, events=table["rating"] >= 4)
    assert result["hist_item_id"].tolist() == [[0, 0, 0], [10, 0, 0], [10, 0, 0], [10, 12, 0]]


def test_an_empty_log_gives_empty_arrays():
    empty = log(np.zeros(0, int), np.zeros(0, int), np.zeros(0, int))
    assert build_sequences(empty, maxlen=4)["hist_item_id"].shape == (0, 4)
    assert latest_sequences(empty, users=[3], maxlen=4)["hist_length"].tolist() == [0]


logs = st.integers(0, 25).flatmap(
    lambda n: st.tuples(
        *(
            st.lists(st.integers(*span), min_size=n, max_size=n)
            for span in ((1, 4), (1, 9), (0, 6))
        ),
        st.lists(st.booleans(), min_size=n, max_size=n),
    )
)


@settings(max_examples=150, deadline=None)
@given(logs, st.integers(1, 6), st.sampled_from(["exclude", "order"]))
def test_histories_equal_plain_loops(drawn, maxlen, ties):
    users, items, times, events = drawn
    table = log(users, items, times)
    result = build_sequences(table, maxlen=maxlen, ties=ties, events=np.array(events, bool))
    for row in range(len(users)):
        values, length = by_hand(table, row, maxlen, ties, events)
        assert result["hist_item_id"][row].tolist() == values
        assert result["hist_length"][row] == length


@settings(max_examples=60, deadline=None)
@given(logs, st.integers(1, 6))
def test_histories_never_leak_and_are_left_aligned(drawn, maxlen):
    users, items, times, _ = drawn
    table = log(users, items, [t + 1 for t in times])
    result = build_sequences(table, maxlen=maxlen, fields=["timestamp"])
    stamps, length = result["hist_timestamp"], result["hist_length"]
    real = np.arange(maxlen) < length[:, None]
    assert ((result["hist_item_id"] > 0) == real).all() and ((stamps > 0) == real).all()
    assert (stamps < table["timestamp"][:, None])[real].all()
    both = real[:, 1:]
    assert (stamps[:, :-1] <= stamps[:, 1:])[both].all()


@settings(max_examples=60, deadline=None)
@given(logs, st.integers(1, 6), st.integers(0, 7))
def test_latest_equals_the_history_of_a_future_row(drawn, maxlen, before):
    users, items, times, _ = drawn
    table = log(users, items, times)
    latest = latest_sequences(table, users=[4, 1, 99], before=before, maxlen=maxlen)
    for row, user in enumerate([4, 1, 99]):
        future = log([*users, user], [*items, 1], [*times, before])
        expected = build_sequences(future, maxlen=maxlen, rows=[len(users)])
        assert latest["hist_item_id"][row].tolist() == expected["hist_item_id"][0].tolist()
        assert latest["hist_length"][row] == expected["hist_length"][0]
    assert latest["user_id"].tolist() == [4, 1, 99]


def test_the_limit_of_date_times_has_their_form():
    hours = pd.to_datetime(["2026-03-01 00:30", "2026-03-01 01:30"])
    table = {"user_id": [1, 1], "item_id": [3, 4]}
    naive = {**table, "timestamp": hours}
    for before in ("2026-03-01 01:00", pd.Timestamp("2026-03-01 01:00"), hours[1].to_numpy()):
        assert latest_sequences(naive, before=before)["hist_length"].tolist() == [1]
    berlin = {**table, "timestamp": hours.tz_localize("Europe/Berlin")}  # UTC + 1
    for hour, length in ((0, 1), (-1, 0), (1, 2)):
        before = pd.Timestamp("2026-03-01 00:00", tz="UTC") + pd.Timedelta(hours=hour)
        assert latest_sequences(berlin, before=before)["hist_length"].tolist() == [length]
    with pytest.raises(ValueError, match="latest_sequences: before is .* one has a time zone"):
        latest_sequences(berlin, before=hours[1])
    with pytest.raises(ValueError, match="one has a time zone, the other none"):
        latest_sequences(naive, before=before)
    with pytest.raises(TypeError, match="before must be a date-time, as time column 'timestamp'"):
        latest_sequences(naive, before=5)
    with pytest.raises(TypeError, match="before must be a number, as time column 'timestamp'"):
        latest_sequences({**table, "timestamp": [1, 2]}, before="2026-03-01")


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"item_id": [0, 1]}, ValueError, r"'item_id' must lie in 1\.\..*0 is padding"),
        ({"item_id": [2**31, 1]}, ValueError, r"2147483648"),
        ({"item_id": ["a", "b"]}, TypeError, "'item_id' must hold ids.*FeatureEncoder"),
        ({"item_id": [1.0, 2.0]}, TypeError, "'item_id' must hold ids"),
        ({"item_id": [[1, 2], [3, 4]]}, ValueError, "'item_id' must have one value a row"),
        ({"user_id": [1, None]}, ValueError, "'user_id' has 1 missing values.*row 1"),
        ({"timestamp": [1.0, np.nan]}, ValueError, "'timestamp' has 1 missing values"),
        ({"timestamp": ["x", "y"]}, TypeError, "numbers or date-times"),
        ({"timestamp": [1, 2, 3]}, ValueError, "equally long"),
    ],
)
def test_errors_name_the_column(change, error, match):
    table = {**log([1, 1], [1, 2], [1, 2])}
    table.update({name: np.asarray(values) for name, values in change.items()})
    with pytest.raises(error, match=match):
        build_sequences(table)


def test_errors_of_arguments():
    table = log([1, 1], [1, 2], [1, 2], cate=[1.5, np.nan])
    for arguments, match in [
        ({"maxlen": 0}, "maxlen must be an integer of at least 1, got 0"),
        ({"ties": "random"}, "ties must be one of"),
        ({"events": [1, 0]}, "events must be a boolean mask of shape"),
        ({"rows": [2]}, r"rows must lie in 0\.\.1"),
        ({"rows": [True]}, r"mask of rows must have shape \(2,\)"),
        ({"fields": ["nope"]}, "no column 'nope'.*'item_id'"),
        ({"fields": ["item_id"]}, "named once"),
        ({"fields": ["cate"]}, "'cate' has 1 missing values"),
    ]:
        with pytest.raises(ValueError, match=match):
            build_sequences(table, **arguments)
    with pytest.raises(TypeError, match="rows must be a boolean mask"):
        build_sequences(table, rows=[0.5])
    with pytest.raises(TypeError, match="DataFrame or a dict"):
        build_sequences([1, 2])
