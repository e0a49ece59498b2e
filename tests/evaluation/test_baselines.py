import numpy as np
import pandas as pd
import pytest

from deeprec_tf.data import data_dir
from deeprec_tf.evaluation import (
    baselines,
    count_items,
    evaluate_retrieval,
    fit_ease,
    fit_item_knn,
    fit_markov_chain,
    fit_popularity,
)
from tests.reference import full_ranking as twin

ITEMS = 17


def histories(seed=0, users=40):
    """Lists of up to nine items with repeats, some of them empty; item 17 never occurs."""
    rng = np.random.default_rng(seed)
    return [
        (1 + (rng.random(rng.integers(0, 10)) ** 2 * (ITEMS - 1)).astype(int)).tolist()
        for _ in range(users)
    ]


TRAIN, GIVEN = histories(0), histories(1, users=13)


def padded(lists, left=False):
    rows = np.zeros((len(lists), 9), np.int32)
    for row, items in zip(rows, lists, strict=True):
        if items:
            row[slice(-len(items), None) if left else slice(len(items))] = items
    return rows


def test_popularity():
    counts = [sum(row.count(item) for row in TRAIN) for item in range(ITEMS + 1)]
    assert count_items(TRAIN, ITEMS).tolist() == counts
    assert fit_popularity(TRAIN, ITEMS)(GIVEN).tolist() == [counts] * len(GIVEN)


def test_markov_chain():
    scores = fit_markov_chain(TRAIN, ITEMS)(GIVEN)
    np.testing.assert_allclose(scores, twin.markov_scores(TRAIN, ITEMS, GIVEN), rtol=1e-12)


def test_markov_chain_without_a_last_item_is_popularity():
    counts = count_items(TRAIN, ITEMS)
    (scores,) = fit_markov_chain(TRAIN, ITEMS)([[]])
    assert np.argsort(scores, kind="stable").tolist() == np.argsort(counts, kind="stable").tolist()
    assert scores.max() < 1  # so one transition counts more than any popularity


@pytest.mark.parametrize(("neighbors", "shrinkage"), [(100, 0.0), (100, 10.0), (4, 2.5), (1, 1.0)])
def test_item_knn(neighbors, shrinkage):
    found = fit_item_knn(TRAIN, ITEMS, neighbors=neighbors, shrinkage=shrinkage)(GIVEN)
    expected = twin.item_knn_scores(TRAIN, ITEMS, neighbors, shrinkage, GIVEN)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("regularization", [0.5, 30.0])
def test_ease(regularization):
    found = fit_ease(TRAIN, ITEMS, regularization=regularization)(GIVEN)
    expected = twin.ease_scores(TRAIN, ITEMS, regularization, GIVEN)
    np.testing.assert_allclose(found[:, 1:], expected[:, 1:], rtol=2e-4, atol=1e-6)


@pytest.mark.parametrize("pairs", [1, 50])
def test_blocks_of_pairs_are_irrelevant(pairs, monkeypatch):
    whole = fit_item_knn(TRAIN, ITEMS)(GIVEN)
    monkeypatch.setattr(baselines, "_PAIRS_AT_ONCE", pairs)
    monkeypatch.setattr(baselines, "_ROWS_AT_ONCE", 5)
    np.testing.assert_array_equal(fit_item_knn(TRAIN, ITEMS)(GIVEN), whole)


@pytest.mark.parametrize("size", [1, 2, 7, 20])
def test_an_inverse_by_halves(size, monkeypatch):
    monkeypatch.setattr(baselines, "_WHOLE_ROWS", 2)
    half = np.random.default_rng(size).normal(size=(size, size))
    matrix = half @ half.T + np.eye(size)
    np.testing.assert_allclose(baselines._inverse(matrix), np.linalg.inv(matrix), atol=1e-12)


@pytest.mark.parametrize("fit", [fit_popularity, fit_markov_chain, fit_item_knn, fit_ease])
class TestEach:
    def test_padded_lists(self, fit):
        expected = fit(TRAIN, ITEMS)(GIVEN)
        for left in (False, True):
            found = fit(padded(TRAIN, left), ITEMS)(padded(GIVEN, left))
            np.testing.assert_array_equal(found, expected)

    def test_what_it_gives_is_evaluated(self, fit):
        targets = np.arange(len(GIVEN)) % ITEMS + 1
        scores = fit(TRAIN, ITEMS)
        found = evaluate_retrieval(scores, GIVEN, targets, seen=GIVEN, k=5, batch_size=4)
        by_hand = twin.mean_metrics(scores(GIVEN), [[t] for t in targets], GIVEN, 5)
        assert {name: found[name] for name in by_hand} == pytest.approx(by_hand)

    def test_no_users(self, fit):
        assert fit(TRAIN, ITEMS)([]).shape == (0, ITEMS + 1)
        assert np.isfinite(fit([[]], ITEMS)([[3]])).all()

    def test_ids_out_of_range(self, fit):
        with pytest.raises(ValueError, match=r"ids must lie in 1\.\.5, got 9 in row 1"):
            fit([[1], [9]], 5)
        with pytest.raises(ValueError, match="item_num must be an integer of at least 1"):
            fit([[1]], 0)


def test_arguments():
    with pytest.raises(ValueError, match="neighbors must be an integer of at least 1, got 0"):
        fit_item_knn(TRAIN, ITEMS, neighbors=0)
    with pytest.raises(ValueError, match="shrinkage must be at least 0, got -1"):
        fit_item_knn(TRAIN, ITEMS, shrinkage=-1)
    with pytest.raises(ValueError, match="regularization must be above 0, got 0"):
        fit_ease(TRAIN, ITEMS, regularization=0)


def test_popularity_of_amazon_beauty():
    """Known: recall@10 0.0115 and NDCG@10 0.0055, leave-one-out, nothing filtered."""
    try:
        folder = data_dir("amazon-beauty")
    except (FileNotFoundError, ValueError) as error:
        pytest.skip(f"Amazon Beauty is not there: {error}")
    log = pd.read_parquet(folder / "interactions.parquet").sort_values(["user_id", "position"])
    items = log["item_id"].to_numpy()
    lengths = log.groupby("user_id").size().to_numpy()
    lists = np.split(items, np.cumsum(lengths)[:-1])
    past, targets = [row[:-1] for row in lists], [row[-1] for row in lists]
    scores = fit_popularity(past, 12101)
    found = evaluate_retrieval(scores, past, targets, k=10, metrics=["recall", "ndcg"])
    assert found == pytest.approx({"recall@10": 0.0115, "ndcg@10": 0.0055}, abs=1.5e-4)
