import numpy as np
import pytest

from deeprec_tf.labels import check_rows, split_off


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
