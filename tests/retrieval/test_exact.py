import numpy as np
import pytest
import tensorflow as tf

from deeprec_tf.retrieval import ItemIndex, exact
from tests.reference import retrieval as twin
from tests.retrieval.samples import catalogue, padded, seen, whole_numbers


def assert_equals_twin(found, queries, vectors, ids, k, exclude=None):
    wanted_ids, wanted_scores = twin.search(queries, vectors, ids.tolist(), k, exclude)
    assert found.ids.tolist() == wanted_ids
    np.testing.assert_array_equal(found.scores, np.float32(wanted_scores))


# Fewer items than a block of 32, a block, blocks and a rest; k below and above their number.
@pytest.mark.parametrize(("items", "k"), [(7, 7), (32, 5), (99, 2), (99, 3), (99, 40), (99, 99)])
@pytest.mark.parametrize("interests", [None, 1, 3])
def test_numbers(items, k, interests):
    vectors, ids = catalogue(items)
    shape = (6, 4) if interests is None else (6, interests, 4)
    queries = whole_numbers(*shape, seed=5)
    index = ItemIndex().build(vectors, ids)
    assert_equals_twin(index.search(queries, k), queries, vectors, ids, k)
    exclude = seen(ids, 6, items // 2)
    found = index.search(queries, k, exclude=exclude)
    assert_equals_twin(found, queries, vectors, ids, k, exclude)


def test_chunks_of_users_and_items_change_nothing(monkeypatch):
    vectors, ids = catalogue(331)
    queries, exclude = whole_numbers(50, 2, 4, seed=6), seen(ids, 50, 200)
    monkeypatch.setattr(exact, "_SCORES", 1)
    monkeypatch.setattr(exact, "_ITEMS", 64)
    monkeypatch.setattr(exact.ExactSearch, "rows", 7)
    index = ItemIndex().build(vectors, ids)
    for k in (3, 100, 331):
        found = index.search(queries, k, exclude=exclude)
        assert_equals_twin(found, queries, vectors, ids, k, exclude)


def test_scores_of_all_users_and_items_are_never_held_at_once(monkeypatch):
    sizes, matmul = [], tf.matmul

    def counted(*args, **kwargs):
        product = matmul(*args, **kwargs)
        sizes.append(int(tf.size(product)))
        return product

    monkeypatch.setattr(exact.tf, "matmul", counted)
    monkeypatch.setattr(exact, "_SCORES", 2**18)
    users, items = 128, 20_000
    exact.best_items(tf.ones((users, 2)), tf.ones((items, 2)), 3)
    assert max(sizes) <= 2**18 and sum(sizes) == users * items


def test_equal_scores_come_by_ascending_id():
    # Whole numbers, whose products are exact: of others a processor may round the same product
    # in one way in the middle of a matrix and in another at its edge.
    generator = np.random.default_rng(0)
    vectors = np.tile(generator.integers(-9, 10, 16), (1000, 1))
    ids = generator.permutation(1000) + 1
    found = ItemIndex().build(vectors, ids).search(generator.integers(-9, 10, (9, 16)), 70)
    np.testing.assert_array_equal(found.ids, np.tile(np.arange(1, 71), (9, 1)))
    texts = np.array([f"item {number:04}" for number in ids], dtype=object)
    found = ItemIndex().build(vectors, texts).search(generator.integers(-9, 10, (2, 16)), 3)
    assert found.ids.tolist() == [["item 0001", "item 0002", "item 0003"]] * 2


def test_an_unused_interest_does_not_beat_negative_scores():
    index = ItemIndex().build([[1.0, 0.0], [2.0, 0.0], [3.0, 0.0]], [1, 2, 3])
    queries = [[[0.0, 0.0], [-1.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]]
    found = index.search(queries, 3)
    assert found.scores.tolist() == [[-1, -2, -3], [0, 0, 0]]
    assert found.ids.tolist() == [[1, 2, 3], [1, 2, 3]]


def test_too_few_items_left_are_filled_up():
    vectors = np.eye(3)
    index = ItemIndex().build(vectors, [5, 6, 7])
    found = index.search(vectors[:2], 2, exclude=[[5, 6, 7], [6, 5]])
    assert found.ids.tolist() == [[-1, -1], [7, -1]]
    assert np.isneginf(found.scores).tolist() == [[True, True], [False, True]]
    found = ItemIndex().build(vectors, ["a", "b", "c"]).search(vectors[:1], 2, exclude=[["a", "b"]])
    assert found.ids.tolist() == [["c", ""]]


@pytest.mark.parametrize("form", ["lists", "zeros", "minus ones", "ragged", "objects"])
def test_forms_of_exclude(form):
    vectors, ids = catalogue(60)
    queries, lists = whole_numbers(8, 4, seed=7), seen(ids, 8, 20)
    exclude = {
        "lists": lists,
        "zeros": padded(lists),
        "minus ones": padded(lists, -1),
        "ragged": tf.ragged.constant(lists, dtype="int64"),
        "objects": np.array([*map(tuple, lists), None], dtype=object)[:-1],
    }[form]
    found = ItemIndex().build(vectors, ids).search(queries, 10, exclude=exclude)
    assert_equals_twin(found, queries, vectors, ids, 10, lists)


def test_excluding_nothing_is_excluding_nothing():
    vectors, ids = catalogue(40)
    queries, index = whole_numbers(3, 4), ItemIndex().build(vectors, ids)
    plain = index.search(queries, 5)
    for exclude in ([[], [], []], np.zeros((3, 4), int), np.zeros((3, 0), int), [[10**9]] * 3):
        np.testing.assert_array_equal(index.search(queries, 5, exclude=exclude).ids, plain.ids)


def test_no_users_are_no_answers():
    index = ItemIndex().build(np.eye(3))
    assert index.search(np.zeros((0, 3)), 2).ids.shape == (0, 2)
