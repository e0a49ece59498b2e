import numpy as np
import pytest

from deeprec_tf.data import conversion_labels

CLICK, CONVERSION = [1, 1, 0, 0], [1, 0, 0, 1]


def test_labels():
    labels = conversion_labels(CLICK, CONVERSION, names=("view", "order", "buy"))
    assert {array.dtype.name for array in labels.values()} == {"float32"}
    np.testing.assert_array_equal(labels["view"], [1, 1, 0, 0])
    np.testing.assert_array_equal(labels["order"], [1, 0, np.nan, np.nan])
    np.testing.assert_array_equal(labels["buy"], [1, 0, 0, 0])


def test_what_stands_beside_no_click_is_not_read():
    labels = conversion_labels(CLICK, [1, 0, np.nan, 7])
    np.testing.assert_array_equal(labels["ctcvr"], [1, 0, 0, 0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1, 0], [1]), r"one array \(N,\) each, got the shapes \(2,\) and \(1,\)"),
        (([2, 0], [0, 0]), "click must be 0 or 1, got 2"),
        (([1, 0], [3, 0]), "conversion must be 0 or 1, got 3"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        conversion_labels(*arguments)
    with pytest.raises(ValueError, match="names must be those of click, conversion and both"):
        conversion_labels(CLICK, CONVERSION, names=("a", "b"))
