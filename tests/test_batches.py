import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeprec_tf import DenseFeat, SparseFeat, VarLenDenseFeat, VarLenSparseFeat, check_batch
from tests.contract.data import columns_of, make_batch

USER = SparseFeat("user", 5)
PRICE = DenseFeat("price")
VECTOR = DenseFeat("vector", 3)
COUNT = DenseFeat("count", dtype="int64")
PAST = VarLenSparseFeat(SparseFeat("past", 5), maxlen=3)
TIMED = VarLenSparseFeat(SparseFeat("timed", 5), maxlen=3, length_name="n")
WEIGHED = VarLenSparseFeat(SparseFeat("weighed", 5), maxlen=3, weight_name="w")
GROUPS = VarLenSparseFeat(SparseFeat("groups", 5), maxlen=3, group=2, length_name="n")
STAMPS = VarLenDenseFeat("stamps", 3, dtype="int64", length_name="n")
HASHED = SparseFeat("hashed", 50, use_hash=True)
CITY = SparseFeat("city", 50, use_hash=True, dtype="string")
TAGS = VarLenSparseFeat(SparseFeat("tags", 50, use_hash=True, dtype="string"), 2, length_name="n")


# ---- what passes -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "value", "wanted"),
    [
        (USER, [0, 4], np.array([0, 4], "int32")),
        (USER, np.array([[0], [4]]), np.array([0, 4], "int32")),
        (USER, pd.Series([0, 4], dtype="uint8"), np.array([0, 4], "int32")),
        (USER, np.array([False, True]), np.array([0, 1], "int32")),
        (PRICE, [1, 2], np.array([[1.0], [2.0]], "float32")),
        (PRICE, pd.Series([1.5, 2], dtype="Float64"), np.array([[1.5], [2.0]], "float32")),
        (VECTOR, np.ones((2, 3)), np.ones((2, 3), "float32")),
        (COUNT, [2**40, 1.0], np.array([[2**40], [1]], "int64")),
        (PAST, [[1, 0], [2, 3]], np.array([[1, 0], [2, 3]], "int32")),
        (PAST, pd.Series([[1, 0], [2, 3]]), np.array([[1, 0], [2, 3]], "int32")),
        (PAST, pd.Series([np.array([1]), np.array([2])]), np.array([[1], [2]], "int32")),
        (HASHED, [-(2**62), 0], np.array([-(2**62), 0], "int64")),
    ],
)
def test_arrays_come_back_clean(column, value, wanted):
    got = check_batch([column], {column.name: value})[column.name]
    np.testing.assert_array_equal(got, wanted)
    assert got.dtype == wanted.dtype and got.shape == wanted.shape


def test_strings_stay_strings():
    batch = {"city": pd.Series(["Rom", ""]), "tags": np.array([["a", ""], ["b", "c"]]), "n": [1, 2]}
    got = check_batch([CITY, TAGS], batch)
    assert got["city"].tolist() == ["Rom", ""]
    assert got["tags"].tolist() == [["a", ""], ["b", "c"]]


def test_a_frame_is_a_batch():
    frame = pd.DataFrame({"user": [1, 2], "past": [[1, 0], [0, 0]], "price": [0.5, 1.5]})
    got = check_batch([USER, PAST, PRICE], frame)
    assert list(got) == ["user", "past", "price"]
    assert got["past"].shape == (2, 2)


def test_inputs_are_not_changed():
    ids = np.array([1, 2])
    batch = {"user": ids}
    check_batch([USER], batch)
    assert batch["user"] is ids and ids.dtype == "int64"


@given(
    st.sets(st.sampled_from(["context", "target_item", "behaviors", "negative_behaviors"]),
            min_size=1),
    st.sampled_from([None, "length"]), st.integers(1, 6), st.integers(1, 9), st.integers(0, 10**6),
)  # fmt: skip
def test_valid_batches_pass(roles, length_name, rows, steps, seed):
    columns = columns_of(sorted(roles), length_name=length_name)
    batch = make_batch(columns, rows, steps, seed)
    got = check_batch(columns, batch)
    assert set(got) == set(batch)
    for name, array in batch.items():
        np.testing.assert_array_equal(got[name], array)


@given(st.integers(1, 6), st.integers(1, 3), st.data())
def test_a_single_bad_id_is_found_in_its_row(rows, steps, data):
    ids = np.ones((rows, steps), "int64")
    row, step = data.draw(st.integers(0, rows - 1)), data.draw(st.integers(0, steps - 1))
    ids[row, step] = data.draw(st.one_of(st.integers(5, 2**40), st.integers(-(2**40), -1)))
    with pytest.raises(ValueError, match=rf"holds the id {ids[row, step]} in row {row},"):
        check_batch([PAST], {"past": ids})


@given(st.lists(st.integers(0, 3), min_size=1, max_size=5), st.data())
def test_lengths_and_padding_must_agree(lengths, data):
    ids = np.array([[1] * n + [0] * (3 - n) for n in lengths])
    check_batch([TIMED], {"timed": ids, "n": lengths})
    row = data.draw(st.integers(0, len(lengths) - 1))
    wrong = data.draw(st.integers(0, 3).filter(lambda n: n != lengths[row]))
    lengths[row] = wrong
    with pytest.raises(ValueError, match=f"'timed' and 'n' disagree in row {row}: the length is"):
        check_batch([TIMED], {"timed": ids, "n": lengths})


# ---- what does not -----------------------------------------------------------------------

NOT_FINITE = np.array([[1.0, 2.0], [np.nan, 1.0]])


@pytest.mark.parametrize(
    ("columns", "batch", "error", "message"),
    [
        ([USER], [1, 2], TypeError, "inputs must be a dict of arrays or a DataFrame, got list"),
        # names
        ([USER, PRICE], {"user": [1]}, ValueError,
         r"the input 'price' of DenseFeat\('price'\) is missing; given were \['user'\]. Add"),
        ([USER], {"usr": [1]}, ValueError, "Did you mean to rename 'usr'"),
        ([TIMED], {"timed": [[1]]}, ValueError,
         r"the input 'n' of VarLenSparseFeat\('timed'\) is missing"),
        ([WEIGHED], {"weighed": [[1]]}, ValueError, "the input 'w' of VarLenSparseFeat"),
        ([USER], {"user": [1], "age": [3]}, ValueError,
         r"'age' is no input of the model; its inputs are \['user'\]. Remove 'age'"),
        ([USER], {"user": [1], "label": [3]}, ValueError,
         "'label' looks like a label among the inputs. Pass it as y="),
        # rows
        ([USER], {"user": []}, ValueError, r"the batch is empty \(0 rows\)"),
        ([USER, PRICE], {"user": [1], "price": [1, 2]}, ValueError,
         "'price' has 2 rows, 'user' has 1. All inputs"),
        # ranks and shapes
        ([USER], {"user": [[1, 2]]}, ValueError,
         r"'user' must have shape \(B,\), got \(1, 2\). Give one value a row"),
        ([USER], {"user": 3}, ValueError, r"'user' must have shape \(B,\), got \(\)"),
        ([PAST], {"past": [1, 2]}, ValueError,
         r"'past' must have shape \(B, T\), got \(2,\). Give padded rows"),
        ([GROUPS], {"groups": [[1, 2]], "n": [1]}, ValueError,
         r"'groups' must have shape \(B, T, 2\), got \(1, 2\)"),
        ([GROUPS], {"groups": [[[1, 2, 3]]], "n": [1]}, ValueError,
         r"'groups' must have shape \(B, T, 2\), got \(1, 1, 3\)"),
        ([VECTOR], {"vector": [[1.0, 2.0]]}, ValueError,
         r"'vector' must have shape \(B, 3\), got \(1, 2\)"),
        ([PAST], {"past": [[1, 2, 3, 4]]}, ValueError,
         "'past' has 4 steps, more than its maxlen 3. Keep the newest 3"),
        ([PAST], {"past": [[1], [1, 2]]}, ValueError, "'past' holds rows of different lengths"),
        ([PAST], {"past": pd.Series([[1], [1, 2]])}, ValueError,
         r"'past' holds rows of different lengths \(1 to 2\). Pad them with 0 at the end"),
        # dtypes
        ([USER], {"user": [1.0]}, TypeError, "'user' must hold integers, got dtype float64"),
        ([USER], {"user": [1.0, np.nan]}, TypeError, r"row 1 is not finite.*Fill missing values"),
        ([USER], {"user": ["a"]}, TypeError, "'user' must hold integers, got dtype"),
        ([PAST], {"past": [["a"]]}, TypeError, "'past' must hold integers"),
        ([TIMED], {"timed": [[1]], "n": [1.0]}, TypeError, "'n' must hold integers"),
        ([PRICE], {"price": ["cheap"]}, TypeError, "'price' must hold numbers, got dtype"),
        ([PRICE], {"price": ["1.5"]}, TypeError, "'price' must hold numbers, got dtype <U3"),
        ([PRICE], {"price": [b"1.5"]}, TypeError, "'price' must hold numbers, got dtype .S3"),
        ([PRICE], {"price": np.array(["1.5"], object)}, TypeError, "numbers, got dtype object"),
        ([PRICE], {"price": np.array(["2026-01-01"], "M8[D]")}, TypeError,
         r"dtype datetime64\[D\]. Give seconds, as .astype\('datetime64\[s\]'\).astype"),
        ([PRICE], {"price": pd.to_datetime(["2026-01-01"])}, TypeError, "'price' must hold numbe"),
        ([PRICE], {"price": np.array([5], "m8[ns]")}, TypeError, r"as .astype\('timedelta64\[s\]'"),
        ([STAMPS], {"stamps": np.array([["2026-01-01"]], "M8[s]"), "n": [1]}, TypeError, "numbers"),
        ([CITY], {"city": [3]}, TypeError, "'city' has dtype 'string' but row 0 holds 3"),
        ([CITY], {"city": pd.Series(["a", None])}, TypeError, "'city' .* row 1 holds nan"),
        ([COUNT], {"count": [1.0, 1.5]}, TypeError, "'count' is declared int64 but row 1 holds"),
        # values
        ([USER], {"user": [1, 5]}, ValueError,
         r"'user' holds the id 5 in row 1, outside 0..4. Raise vocabulary_size"),
        ([USER], {"user": [-1]}, ValueError, "'user' holds the id -1 in row 0"),
        ([PRICE], {"price": [1.0, np.inf]}, ValueError, "'price' holds NaN or infinity in row 1"),
        ([DenseFeat("two", 2)], {"two": NOT_FINITE}, ValueError, "'two' holds NaN or .* in row 1"),
        ([WEIGHED], {"weighed": [[1], [1]], "w": [[1.0], [np.nan]]}, ValueError,
         "'w' holds NaN or infinity in row 1"),
        # lengths
        ([TIMED], {"timed": [[1, 2]], "n": [3]}, ValueError,
         "'n' is 3 in row 0; 'timed' has 2 steps and maxlen 3. Lengths count real steps: 0 to 2"),
        ([TIMED], {"timed": [[1, 2]], "n": [-1]}, ValueError, "'n' is -1 in row 0"),
        ([STAMPS], {"stamps": [[1, 2]], "n": [3]}, ValueError, "'n' is 3 in row 0; 'stamps' has"),
        ([TIMED], {"timed": [[0, 2]], "n": [2]}, ValueError,
         r"'timed' and 'n' disagree in row 0: the length is 2, the ids are \[0, 2\]"),
        ([GROUPS], {"groups": [[[0, 0], [1, 0]]], "n": [2]}, ValueError, "disagree in row 0"),
        ([TAGS], {"tags": [["a", "b"]], "n": [1]}, ValueError, "disagree in row 0"),
    ],
)  # fmt: skip
def test_errors_name_the_input_the_row_and_the_mend(columns, batch, error, message):
    with pytest.raises(error, match=message) as caught:
        check_batch(columns, batch, owner="DIEN.fit")
    assert str(caught.value).startswith("DIEN.fit: ")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"user": [1]}, "'user' is a label and an input at once"),
        ([1, 2], "the labels 'y' have 2 rows, the input 'user' has 1"),
        ({"ctr": [1, 2]}, "the labels 'ctr' have 2 rows"),
    ],
)
def test_labels(labels, message):
    with pytest.raises(ValueError, match=message):
        check_batch([USER], {"user": [1]}, labels=labels)


def test_labels_that_fit_pass():
    check_batch([USER], {"user": [1, 2]}, labels={"ctr": [1, 0]})
