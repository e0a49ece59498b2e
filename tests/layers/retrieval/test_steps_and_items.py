"""NextStep, LastStep, DotScore, AllIds, ItemFeatures, BatchItems."""

import keras
import numpy as np
import pytest

from deeprec_tf.layers import AllIds, BatchItems, DotScore, ItemFeatures, LastStep, NextStep
from tests.layers.contract import check_layer

IDS = np.array([[5, 6, 7, 0], [0, 0, 0, 0], [4, 0, 0, 0], [1, 2, 3, 9]], "int32")
LAST = np.array([8, 8, 2, 7], "int32")
MASK = IDS != 0
VECTORS = np.random.default_rng(0).normal(size=(4, 4, 3)).astype("float32")


def test_next_step_of_ids():
    wanted = [[6, 7, 8, 0], [0, 0, 0, 0], [2, 0, 0, 0], [2, 3, 9, 7]]
    np.testing.assert_array_equal(check_layer(NextStep(), IDS, LAST, MASK), wanted)


def test_next_step_of_vectors():
    last = np.full((4, 3), 2.0, "float32")
    got = check_layer(NextStep(), VECTORS, last, MASK)
    for row, length in enumerate(MASK.sum(axis=1)):
        for step in range(4):
            wanted = np.zeros(3)
            if step < length:
                wanted = last[row] if step == length - 1 else VECTORS[row, step + 1]
            np.testing.assert_array_equal(got[row, step], wanted)


def test_last_step():
    got = check_layer(LastStep(), VECTORS, MASK)
    np.testing.assert_array_equal(got, [VECTORS[0, 2], [0, 0, 0], VECTORS[2, 0], VECTORS[3, 3]])


def test_dot_score():
    item = VECTORS[:, 0]
    np.testing.assert_allclose(
        check_layer(DotScore(), VECTORS[:, 1], item, time_axes=())[:, 0],
        [u @ v for u, v in zip(VECTORS[:, 1], item, strict=True)], rtol=1e-5,
    )
    np.testing.assert_allclose(
        check_layer(DotScore(), VECTORS, item)[:, 0],
        [max(u @ v for u in row) for row, v in zip(VECTORS, item, strict=True)], rtol=1e-5,
    )


def test_an_unused_interest_never_wins():
    user = np.array([[[-1.0, 0], [0, 0]], [[0, 0], [-2, 1]], [[0, 0], [0, 0]]], "float32")
    item = np.array([[3.0, 1], [1, 1], [1, 1]], "float32")
    got = check_layer(DotScore(), user, item, time_axes=())
    np.testing.assert_array_equal(got[:, 0], [-3.0, -1.0, 0.0])


def test_all_ids():
    assert AllIds(4)(IDS).numpy().tolist() == [0, 1, 2, 3]
    assert AllIds(4)(keras.Input((None,))).shape == (4,)


@pytest.mark.parametrize(("values", "dtype"), [
    (np.arange(10), "int32"), (np.random.default_rng(0).normal(size=(10, 2)), "float32"),
])  # fmt: skip
def test_item_features(values, dtype, tmp_path):
    layer = ItemFeatures(values.shape, values=values, feature_dtype=dtype)
    got = check_layer(layer, IDS)
    np.testing.assert_allclose(got, values[IDS], rtol=1e-6)
    assert got.dtype == dtype and not layer.trainable_weights
    with pytest.raises(ValueError, match=r"the table must have the shape \(9,\)"):
        ItemFeatures((9,), values=values)


def test_items_of_the_batch():
    layer = BatchItems(3, seed=1)
    ids, vectors = layer(IDS, VECTORS)
    real = {tuple(VECTORS[at]): IDS[tuple(at)] for at in map(tuple, np.argwhere(MASK))}
    assert len(set(map(tuple, np.asarray(vectors)))) == 3, "drawn twice"
    for item, vector in zip(np.asarray(ids), np.asarray(vectors), strict=True):
        assert real[tuple(vector)] == item, "an id without its vector, or padding"
    ids, vectors = BatchItems(20)(IDS, VECTORS)
    assert ids.shape == (20,) and np.count_nonzero(ids) == MASK.sum()
    assert [t.shape for t in layer(keras.Input((None,)), keras.Input((None, 3)))] == [(3,), (3, 3)]
