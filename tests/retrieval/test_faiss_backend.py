import sys

import numpy as np
import pytest

from deeprec_tf.retrieval import Faiss, ItemIndex
from tests.retrieval.samples import catalogue, clustered, seen

pytest.importorskip("faiss", reason="needs the extra faiss")


@pytest.mark.parametrize("interests", [1, 3])
def test_flat_is_exact(interests):
    _, ids = catalogue(300)
    vectors, queries = clustered(300), clustered(20 * interests, seed=1)
    queries = queries.reshape(20, interests, 8)
    exclude = seen(ids, 20, 40)
    index = ItemIndex("faiss").build(vectors, ids)
    found = index.search(queries, 10, exclude=exclude)
    wanted = ItemIndex().build(vectors, ids).search(queries, 10, exclude=exclude)
    np.testing.assert_array_equal(found.ids, wanted.ids)
    np.testing.assert_allclose(found.scores, wanted.scores, rtol=1e-5)
    assert index.recall_against_exact(queries, 10, exclude=exclude) == 1


@pytest.mark.parametrize(
    ("few", "many"),
    [
        (Faiss("ivf", lists=40, probes=1), Faiss("ivf", lists=40, probes=40)),
        (
            Faiss("hnsw", links=2, ef_construction=4, ef_search=1),
            Faiss("hnsw", links=16, ef_construction=100, ef_search=400),
        ),
    ],
    ids=["ivf", "hnsw"],
)
def test_effort_buys_recall(few, many, tmp_path):
    vectors, queries = clustered(2000), clustered(50, seed=1)
    recalls = [
        ItemIndex(backend).build(vectors).recall_against_exact(queries, 20)
        for backend in (few, many)
    ]
    assert recalls[0] < recalls[1] and recalls[1] > 0.98
    index = ItemIndex(many).build(vectors, np.arange(2000) + 7)
    index.save(tmp_path / "index")
    again = ItemIndex.load(tmp_path / "index")
    assert again.backend == many
    np.testing.assert_array_equal(again.search(queries, 20).ids, index.search(queries, 20).ids)


def test_two_indexes_with_one_backend_share_nothing():
    backend, vectors, queries = Faiss("flat"), clustered(50), clustered(6, seed=1)
    index = ItemIndex(backend).build(vectors)
    wanted = index.search(queries, 5).ids
    ItemIndex(backend).build(clustered(3, seed=2))
    np.testing.assert_array_equal(index.search(queries, 5).ids, wanted)


@pytest.mark.parametrize("items", [1, 5, 40])
@pytest.mark.parametrize("kind", ["flat", "ivf", "hnsw"])
def test_small_catalogues(kind, items):
    index = ItemIndex(Faiss(kind)).build(clustered(items))
    found = index.search(clustered(3, seed=1), items)
    assert np.sort(found.ids).tolist() == [list(range(items))] * 3


def test_options_of_numpy_are_integers(tmp_path):
    given = np.arange(2, 5)
    index = ItemIndex(Faiss("ivf", lists=given[1], probes=given[0])).build(clustered(200))
    assert type(index.backend.lists) is int and index.backend == Faiss("ivf", lists=3, probes=2)
    index.save(tmp_path / "index")
    found = ItemIndex.load(tmp_path / "index").search(clustered(3, seed=1), 5)
    np.testing.assert_array_equal(found.ids, index.search(clustered(3, seed=1), 5).ids)


def test_options_out_of_range():
    with pytest.raises(ValueError, match="Faiss: kind must be one of .*'hnsw'.*got 'pq'"):
        Faiss("pq")
    for value in (0, 1.5, True):
        with pytest.raises(ValueError, match="Faiss: probes must be a whole number of at least 1"):
            Faiss("ivf", probes=value)


def test_without_the_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ImportError, match=r"pip install 'deeprec-tf\[faiss\]'"):
        ItemIndex("faiss").build(np.eye(2))
