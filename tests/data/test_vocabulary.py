import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deeprec_tf.data import Vocabulary

BIG = 2**62


def learn(values, **options):
    return Vocabulary.learn("x", [("x", values)], **options)


def test_ids_go_by_falling_frequency_then_value():
    vocabulary = learn(["b", "a", "c", "c", "d"])
    assert vocabulary.values.tolist() == ["c", "a", "b", "d"]
    assert vocabulary.encode("x", ["c", "a", "zz", None, ""]).tolist() == [2, 3, 1, 1, 1]
    assert vocabulary.size == 6 and vocabulary.ids.tolist() == [2, 3, 4, 5]


def test_min_frequency_and_max_size():
    values = [1] * 5 + [2] * 4 + [3] * 3 + [4]
    assert learn(values, min_frequency=3).values.tolist() == [1, 2, 3]
    assert learn(values, max_size=2).values.tolist() == [1, 2]
    with pytest.raises(ValueError, match="'x' occurs at least 9 times"):
        learn(values, min_frequency=9)


def test_missing_values_may_have_an_id_of_their_own():
    vocabulary = learn(["a", None], owns_missing=True)
    assert vocabulary.first_id == 3 and vocabulary.size == 4
    assert vocabulary.encode("x", ["a", None, "b"], missing=2).tolist() == [3, 2, 1]
    assert vocabulary.decode([0, 1, 2, 3]).tolist() == [None, None, None, "a"]


@pytest.mark.parametrize(
    "values",
    [
        np.array([BIG + 1, BIG + 2]),
        pd.array([BIG + 1, BIG + 2, None], dtype="Int64"),
        pd.Series([BIG + 1, None, BIG + 2], dtype=object),
        pd.Series([BIG + 1, BIG + 2]).astype("category"),
        np.array([BIG + 1, BIG + 2], np.uint64),
    ],
)
def test_int64_keys_never_go_through_float(values):
    vocabulary = learn(values)
    assert vocabulary.values.dtype == np.int64
    assert vocabulary.values.tolist() == [BIG + 1, BIG + 2]
    ids = vocabulary.encode("x", pd.array([BIG + 2, BIG + 1, BIG, None], dtype="Int64"))
    assert ids.tolist() == [3, 2, 1, 1] and ids.dtype == np.int32
    decoded = vocabulary.decode(ids, unknown=-1)
    assert decoded.dtype == np.int64 and decoded.tolist() == [BIG + 2, BIG + 1, -1, -1]


def test_booleans():
    vocabulary = learn([True, False, True])
    assert vocabulary.values.tolist() == [1, 0]
    for values, ids in (([True, False], [2, 3]), ([None, None], [1, 1]), ([], [])):
        assert vocabulary.encode("x", pd.array(values, dtype="boolean")).tolist() == ids
    assert vocabulary.encode("x", np.zeros(0, bool)).tolist() == []


def test_integers_that_a_missing_value_turned_to_float_are_taken_back():
    vocabulary = learn(pd.Series([3.0, np.nan, 7.0]))
    assert vocabulary.values.dtype == np.int64 and vocabulary.values.tolist() == [3, 7]
    assert vocabulary.encode("x", [7, 3, -(2**63)]).tolist() == [3, 2, 1]
    assert learn([True, False, True]).values.tolist() == [1, 0]


@pytest.mark.parametrize("dtype", ["str", "object", "category"])
def test_text_of_every_dtype(dtype):
    vocabulary = learn(pd.Series(["é", "b", "é", None, ""]).astype(dtype))
    assert vocabulary.kind == "string" and vocabulary.values.tolist() == ["é", "b"]
    assert vocabulary.encode("x", pd.Series(["b", "", None, "é"], dtype=dtype)).tolist() == [
        3, 1, 1, 2,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("values", "error", "match"),
    [
        ([1.5, 2.0], TypeError, "text or integers, got the number"),
        ([2.0**60, 1.0], TypeError, r"astype\('Int64'\)"),
        ([float("inf"), 1.0], TypeError, "inf"),
        (["a", 1], TypeError, r"\['int', 'str'\]"),
        ([b"a"], TypeError, "bytes"),
        (pd.to_datetime(["2020-01-01"]), TypeError, "datetime64"),
        ([2**63], ValueError, "beyond int64"),
        (pd.Series([2**70, 1], dtype=object), ValueError, "beyond int64"),
        ([None, None], ValueError, "'x' occurs at least 1 times"),
    ],
)
def test_what_can_not_be_a_key(values, error, match):
    with pytest.raises(error, match=match):
        learn(values)


def test_types_must_stay_as_fitted():
    with pytest.raises(TypeError, match=r"'y' holds integers, but its vocabulary 'x' .* text"):
        learn(["a"]).encode("y", [1])
    with pytest.raises(TypeError, match=r"'y' holds text, .* integers"):
        learn([1]).encode("y", ["1"])
    with pytest.raises(TypeError, match="shared by columns of different types"):
        Vocabulary.learn("v", [("a", [1]), ("b", ["x"])])
    assert learn([1]).encode("y", [None, None]).tolist() == [1, 1]


def test_decode_refuses_ids_out_of_range():
    with pytest.raises(ValueError, match=r"ids must lie in 0\.\.2, got 0\.\.3"):
        learn(["a"]).decode([[0, 3]])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(st.none(), st.integers(-(2**63) + 1, 2**63 - 1)), min_size=1))
def test_encode_then_decode_gives_the_keys_back(values):
    series = pd.Series(pd.array(values, dtype="Int64"))
    if series.isna().all():
        return
    vocabulary = learn(series)
    ids = vocabulary.encode("x", series)
    assert vocabulary.decode(ids).tolist() == values
    assert set(ids[series.notna()].tolist()) == set(vocabulary.ids.tolist())
