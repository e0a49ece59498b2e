from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from deeprec_tf.numeric import as_numbers, holds_numbers, values_by_id


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        (pd.array([1, None, 3], dtype="Int64"), [1.0, np.nan, 3.0]),
        (pd.Series([True, None], dtype="boolean"), [1.0, np.nan]),
        ([Decimal("0.5"), 2], [0.5, 2.0]),
        (np.array([[1, None]], object), [[1.0, np.nan]]),
    ],
)
def test_objects_that_are_numbers(values, wanted):
    array = as_numbers(values)
    assert array.dtype == "float64" and holds_numbers(array)
    np.testing.assert_array_equal(array, wanted)


@pytest.mark.parametrize("dtype", ["bool", "int8", "int64", "float16", "float32"])
def test_numbers_stay_as_they_are(dtype):
    array = np.zeros(3, dtype)
    assert as_numbers(array) is array and holds_numbers(array)


@pytest.mark.parametrize(
    "values",
    [["1", "2"], [1, "2"], [b"1", None], pd.to_datetime(["2026-01-01"]), pd.to_timedelta(["1h"])],
)
def test_texts_and_times_are_no_numbers(values):
    array = as_numbers(np.asarray(values, object) if isinstance(values, list) else values)
    assert not holds_numbers(array)


def test_what_is_no_number_stays_an_object():
    array = as_numbers(np.array([{"a": 1}, None], object))
    assert array.dtype == object and not holds_numbers(array)


@pytest.mark.parametrize(
    "values", [[0, 3, 4], np.array([0, 3, 4]), pd.Series([0, 3, 4]), pd.Series([0, 3, 4], range(3))]
)
def test_values_whose_places_are_ids(values):
    np.testing.assert_array_equal(values_by_id("M: counts", values), [0, 3, 4])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (pd.Series([3, 4, 1], [2, 1, 5]), "M: counts, got a Series with labels. Of a Series of"),
        (pd.Series(["a", "b"]).value_counts(), "got a Series with labels"),
        ({1: 2}, "got a dict with labels"),
        (["a", "b"], "M: counts, got dtype <U1"),
    ],
)
def test_labels_that_are_ids_are_refused(values, message):
    with pytest.raises(TypeError, match=message):
        values_by_id("M: counts", values)
