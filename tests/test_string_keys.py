import numpy as np
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from deeprec_tf.string_keys import string_keys, string_keys_of_array

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)


@given(st.lists(TEXT, min_size=1, max_size=8))
def test_arrays_and_tensors_get_equal_keys(words):
    array = np.array(words, dtype=object)
    keys = string_keys_of_array(array)
    assert keys.dtype == "int64"
    np.testing.assert_array_equal(keys, string_keys(tf.constant(words)))
    assert [key == 0 for key in keys] == [word == "" for word in words]
    assert all(0 <= key < 2**31 for key in keys)


def test_numpy_strings_of_any_kind():
    words = np.array([["a", ""], ["b", "a"]])
    np.testing.assert_array_equal(
        string_keys_of_array(words), string_keys_of_array(words.astype(object))
    )


def test_other_dtypes_pass():
    ids = np.array([1, 2])
    assert string_keys_of_array(ids) is ids
    tensor = tf.constant([1, 2])
    assert string_keys(tensor) is tensor


def test_pinned():
    """Saved tables depend on these keys: they may never change."""
    assert string_keys_of_array(np.array(["a", "Köln"])).tolist() == [66355078, 1661631763]
