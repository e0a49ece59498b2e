import numpy as np
import pytest

from deeprec_tf import SparseFeat
from deeprec_tf.labels import check_rows, clean_labels, split_off
from deeprec_tf.models import LR


def test_split_off_copies_nothing_it_need_not():
    x = {"id": np.arange(10)}
    head, y, weight, (tail, y_tail) = split_off("m", x, np.arange(10), None, 0.25)
    assert head["id"].tolist() == list(range(7)) and tail["id"].tolist() == [7, 8, 9]
    assert y.tolist() == list(range(7)) and y_tail.tolist() == [7, 8, 9] and weight is None
    assert head["id"].base is x["id"]


def test_check_rows():
    check_rows("weights", {"ctr": np.ones(2)}, {"id": [1, 2]})
    with pytest.raises(ValueError, match="weights has 1 rows, the input 'id' has 2"):
        check_rows("weights", {"ctr": np.ones(2), "cvr": np.ones(1)}, {"id": [1, 2]})


@pytest.mark.parametrize(
    "labels", [["a", "b"], np.array(["a", "b"], object), ["0", "1"], np.array(["0", "1"], object),
               np.array(["2026-01-01", "2026-01-02"], "M8[s]"), [b"0", b"1"], [{}, {}]],
)  # fmt: skip
def test_labels_that_are_no_numbers(labels):
    with pytest.raises(TypeError, match="lr.fit: y must hold numbers, got dtype .* Encode the lab"):
        LR([SparseFeat("item", 5)]).fit({"item": [1, 2]}, labels, verbose=0)
    tasks = {"binary": "binary", "regression": "regression"}
    for task in tasks:
        with pytest.raises(TypeError, match=rf"m: y\['{task}'\] must hold numbers, got dtype"):
            y = dict.fromkeys(tasks, [0, 1]) | {task: labels}
            clean_labels("m", y, tasks, task_types=tasks)


def test_numbers_in_an_object_array_are_labels():
    labels = np.array([0, True, 0.5], object)
    assert clean_labels("m", labels, None).tolist() == [[0], [1], [0.5]]
    cleaned = clean_labels("m", {"t": labels}, {"t": None}, task_types={"t": "binary"})
    assert cleaned["t"].tolist() == [[0], [1], [0.5]]
