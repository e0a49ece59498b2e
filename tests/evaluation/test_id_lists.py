import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from deeprec_tf.evaluation.id_lists import IdLists, distinct, id_lists, places, without

FORMS = {
    "lists": [[3, 1], [], [2]],
    "arrays": [np.array([3, 1]), np.array([], np.int64), np.array([2])],
    "padded right": np.array([[3, 1], [0, 0], [2, 0]]),
    "padded left": np.array([[3, 1], [0, 0], [0, 2]], np.int32),
    "padded lists": [[3, 0, 1], [0, 0, 0], [2, 0, 0]],
    "missing lists": [[3, 1], None, [2]],
    "missing as NaN": pd.Series([[3, 1], np.nan, [2]]),
    "a column of lists": pd.Series([[3, 1], [], [2]], index=[9, 8, 7]),
    "object array": pd.Series([(3, 1), (), (2,)]).to_numpy(),
    "tensor": tf.constant([[3, 1], [0, 0], [2, 0]]),
    "ragged tensor": tf.ragged.constant([[3, 1], [], [2]], dtype="int32"),
    "padded ragged tensor": tf.RaggedTensor.from_tensor([[3, 1], [0, 0], [0, 2]]),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_lists(form):
    found = id_lists("f", "seen", FORMS[form])
    assert (found.rows.tolist(), found.ids.tolist(), found.count) == ([0, 0, 2], [3, 1, 2], 3)


@pytest.mark.parametrize("values", [[5, 0, 7], np.array([5, 0, 7], np.int32), pd.Series([5, 0, 7])])
def test_one_id_a_row(values):
    found = id_lists("f", "targets", values)
    assert (found.rows.tolist(), found.ids.tolist(), found.count) == ([0, 2], [5, 7], 3)


def test_no_rows_and_no_ids():
    assert id_lists("f", "seen", []).count == 0
    empty = id_lists("f", "seen", [[], []])
    assert (len(empty.ids), empty.count) == (0, 2)


def test_missing_lists_have_no_ids():
    found = id_lists("f", "seen", [None, [1]])
    assert (found.rows.tolist(), found.ids.tolist(), found.count) == ([1], [1], 2)
    assert id_lists("f", "seen", [None, None]).count == 2


def test_ids_of_any_size():
    large = 2**62
    lists = IdLists(np.array([0, 9, 9]), np.array([large, large + 1, large]), 10)
    once = distinct(lists)
    assert (once.rows.tolist(), once.ids.tolist()) == ([0, 9, 9], [large, large, large + 1])
    left = without(lists, IdLists(np.array([9]), np.array([large]), 10))
    assert (left.rows.tolist(), left.ids.tolist()) == ([0, 9], [large, large + 1])


def test_errors():
    with pytest.raises(TypeError, match="f: seen must hold integer ids, got float64"):
        id_lists("f", "seen", [[1.5]])
    with pytest.raises(TypeError, match="got <U1"):
        id_lists("f", "seen", ["a"])
    with pytest.raises(ValueError, match="got -4 in row 1"):
        id_lists("f", "seen", [[1], [2, -4]])
    with pytest.raises(TypeError, match=r"got int64 of shape \(1, 1, 1\)"):
        id_lists("f", "seen", np.ones((1, 1, 1), np.int64))
    with pytest.raises(TypeError, match=r"f: seen must be a ragged tensor .*\(2, None, None\)"):
        id_lists("f", "seen", tf.ragged.constant([[[1]], [[2, 3], []]]))
    with pytest.raises(TypeError, match="f: seen must hold integer ids, got float32"):
        id_lists("f", "seen", tf.ragged.constant([[1.5], []]))
    with pytest.raises(TypeError, match="a list of ids in row 1"):
        id_lists("f", "seen", [[1, 2], 3])


def test_sets_of_lists():
    lists = id_lists("f", "x", [[3, 1, 3], [], [2, 9]])
    once = distinct(lists)
    assert (once.rows.tolist(), once.ids.tolist()) == ([0, 0, 2, 2], [1, 3, 2, 9])
    left = without(once, id_lists("f", "x", [[3], [1], [9, 9]]))
    assert (left.rows.tolist(), left.ids.tolist(), left.count) == ([0, 2], [1, 2], 3)
    assert places(lists.rows).tolist() == [0, 1, 2, 0, 1]
    empty = IdLists(np.zeros(0, np.int64), np.zeros(0, np.int64), 2)
    assert distinct(empty).count == without(empty, lists).count == 2
