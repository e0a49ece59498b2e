import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeprec_tf.array_dataset import EpochOrder, array_dataset


def read(dataset):
    return [x["id"].numpy().tolist() for (x,) in dataset]


@given(st.integers(1, 20), st.integers(1, 7), st.booleans())
def test_batches_hold_every_row_once_in_order(rows, size, drop):
    dataset = array_dataset(({"id": np.arange(rows)},), size, drop_remainder=drop)
    wanted = [list(range(i, min(i + size, rows))) for i in range(0, rows, size)]
    if drop:
        wanted = [batch for batch in wanted if len(batch) == size]
    assert read(dataset) == wanted
    assert int(dataset.cardinality()) == len(wanted)


@pytest.mark.parametrize("drop", [True, False])
def test_shapes_are_static_only_where_the_remainder_is_dropped(drop):
    dataset = array_dataset(({"id": np.zeros((10, 3))},), 4, drop_remainder=drop)
    (spec,) = dataset.element_spec
    assert tuple(spec["id"].shape) == ((4, 3) if drop else (None, 3))


def test_order_is_a_permutation_of_seed_and_epoch():
    order = EpochOrder(3)
    dataset = array_dataset(({"id": np.arange(50)},), 8, order=order)
    first, again = read(dataset), read(dataset)
    assert first == again and sorted(sum(first, [])) == list(range(50))
    assert first != [list(range(i, min(i + 8, 50))) for i in range(0, 50, 8)]
    order.epoch = 1
    assert read(dataset) != first
    order.epoch = 0
    assert read(dataset) == first
    order.seed = 4
    assert read(dataset) != first


def test_labels_and_weights_go_with_their_rows():
    ids = np.arange(30)
    arrays = ({"id": ids, "twice": 2 * ids}, {"ctr": 3 * ids}, 4 * ids)
    for x, y, weight in array_dataset(arrays, 7, order=EpochOrder(1)):
        for values, factor in ((x["twice"], 2), (y["ctr"], 3), (weight, 4)):
            np.testing.assert_array_equal(values, factor * x["id"].numpy())


def test_redraw_replaces_names_once_an_epoch():
    calls = []

    def redraw():
        calls.append(None)
        return {"id": np.arange(6) + 100 * len(calls)}

    arrays = ({"id": np.arange(6), "kept": np.arange(6)},)
    dataset = array_dataset(arrays, 6, order=EpochOrder(0), redraw=redraw)
    before = len(calls)
    for epoch in range(2):
        ((x,),) = list(dataset)
        drawn = x["id"].numpy() - x["kept"].numpy()
        assert set(drawn) == {100 * (before + epoch + 1)}
