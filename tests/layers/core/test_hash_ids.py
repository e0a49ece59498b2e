import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeprec_tf import SparseFeat
from deeprec_tf.export import export_onnx, load_onnx
from deeprec_tf.layers import HashIds
from deeprec_tf.models import DNN
from tests.layers.contract import check_layer
from tests.reference import core

IDS = np.array([[0, 1, 2, -1], [2**31, -(2**31), 2**63 - 1, -(2**63)]])


def test_contract():
    got = check_layer(HashIds(97), IDS, tolerance=0)
    assert got.dtype == "int32"
    np.testing.assert_array_equal(got, [[core.hash_id(int(x), 97) for x in row] for row in IDS])


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=20), st.integers(2, 10**6))
def test_numbers(ids, size):
    got = HashIds(size)(np.array(ids, "int64")).numpy()
    assert got.tolist() == [core.hash_id(raw, size) for raw in ids]


@given(st.integers(-(2**63), 2**63 - 1).filter(bool), st.integers(2, 50))
def test_only_zero_is_padding(raw, size):
    assert 1 <= int(HashIds(size)(np.array([raw]))[0]) < size


def test_spreads_evenly():
    counts = np.bincount(HashIds(101)(np.arange(1, 20_001)).numpy(), minlength=101)
    assert counts[0] == 0
    assert counts[1:].min() > 150 and counts[1:].max() < 250


def test_spreads_keys_that_differ_in_the_high_half():
    counts = np.bincount(HashIds(101)(np.arange(1, 5001) * 2**32).numpy(), minlength=101)
    assert counts.max() < 100


def test_pinned():
    """Saved tables depend on these rows: they may never change."""
    got = HashIds(1000)(np.array([1, 2, 12_345, 2**40])).numpy().tolist()
    assert got == [core.hash_id(raw, 1000) for raw in (1, 2, 12_345, 2**40)]
    assert got == [109, 407, 310, 930]


@pytest.mark.parametrize("size", [2])
def test_smallest_table(size):
    assert HashIds(size)(np.array([0, 5, 9])).numpy().tolist() == [0, 1, 1]


@pytest.mark.parametrize("fused", [False, True])
def test_negative_ids_have_the_same_rows_in_onnx(fused, tmp_path):
    """tf2onnx's remainder is that of a division towards zero."""
    size = {"embedding_dim": 4, "use_hash": True, "embeddings_initializer": "glorot_uniform"}
    columns = [SparseFeat(name, 50, **size) for name in ("user", "item")[: 1 + fused]]
    model = DNN(columns, hidden_units=(4,))
    ids = np.array([0, -1, -2, -77, -(2**31), -(2**40), -(10**12), 2**63 - 1, -(2**63), 5])
    x = {column.name: ids for column in columns}
    found = load_onnx(export_onnx(model, tmp_path / "model.onnx"))(x)
    np.testing.assert_allclose(found["probability"], model.predict(x, verbose=0), atol=1e-6)
