import sys

import numpy as np
import pytest
import tensorflow as tf

from deeprec_tf.retrieval import ItemIndex, Scann
from deeprec_tf.retrieval.scann_backend import _library
from tests.retrieval.samples import clustered, seen


@pytest.fixture
def scann():
    """Skips, with what the user would be told, where ScaNN and TensorFlow don't go together."""
    try:
        _library()
    except ImportError as error:
        pytest.skip(str(error))


@pytest.fixture
def forgotten(monkeypatch):
    """ScaNN is imported anew, from wherever the test says."""
    for name in [name for name in sys.modules if name.split(".")[0] == "scann"]:
        monkeypatch.delitem(sys.modules, name)
    return monkeypatch


def test_few_items_are_all_looked_at(scann, tmp_path):
    vectors, queries = clustered(300), clustered(40, seed=1).reshape(20, 2, 8)
    ids = np.arange(300) + 5
    exclude = seen(ids, 20, 40)
    index = ItemIndex("scann").build(vectors, ids)
    found = index.search(queries, 10, exclude=exclude)
    wanted = ItemIndex().build(vectors, ids).search(queries, 10, exclude=exclude)
    np.testing.assert_array_equal(found.ids, wanted.ids)
    index.save(tmp_path / "index")
    again = ItemIndex.load(tmp_path / "index").search(queries, 10, exclude=exclude)
    np.testing.assert_array_equal(again.ids, wanted.ids)
    assert ItemIndex("scann").build(vectors[:3]).search(queries, 3).ids.min() == 0


def test_effort_buys_recall(scann, tmp_path):
    vectors, queries = clustered(5000), clustered(50, seed=1)
    few, many = Scann(leaves=100, leaves_to_search=1, reorder=20), Scann(100, 100, 500)
    recalls = [
        ItemIndex(backend).build(vectors).recall_against_exact(queries, 20)
        for backend in (few, many)
    ]
    assert recalls[0] < recalls[1] and recalls[1] > 0.98
    index = ItemIndex(many).build(vectors)
    index.save(tmp_path / "index")
    again = ItemIndex.load(tmp_path / "index")
    assert again.backend == many
    np.testing.assert_array_equal(again.search(queries, 20).ids, index.search(queries, 20).ids)


def test_options_out_of_range():
    with pytest.raises(ValueError, match="Scann: reorder must be a whole number of at least 1"):
        Scann(reorder=0)


def test_without_the_library(forgotten):
    forgotten.setitem(sys.modules, "scann", None)
    with pytest.raises(ImportError, match=r"pip install 'deeprec-tf\[scann\]'"):
        ItemIndex("scann").build(np.eye(2))


def test_a_library_for_another_tensorflow(forgotten, tmp_path):
    (tmp_path / "scann").mkdir()
    (tmp_path / "scann" / "__init__.py").write_text(
        "import tensorflow as tf\n"
        "raise tf.errors.NotFoundError(None, None, '_scann_ops.so: undefined symbol')\n"
    )
    forgotten.syspath_prepend(tmp_path)
    with pytest.raises(ImportError, match=f"another TensorFlow than {tf.__version__}; ScaNN 1.4.2"):
        ItemIndex("scann").build(np.eye(2))
