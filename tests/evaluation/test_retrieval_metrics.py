import math

import numpy as np
import pandas as pd
import pytest

from deeprec_tf.evaluation import rank_targets, retrieval_metrics
from tests.evaluation.test_target_ranks import ITEMS, USERS, draw
from tests.reference import full_ranking as twin


def measured(scores, targets, *, seen=None, k=10, **kwargs):
    top = np.max(k) if kwargs.pop("lists", False) else 0
    return retrieval_metrics(rank_targets(scores, targets, seen=seen, top=top), k=k, **kwargs)


@pytest.mark.parametrize("most_targets", [1, 6])
@pytest.mark.parametrize("levels", [None, 1])
@pytest.mark.parametrize("k", [1, 3, 10, 40])
def test_against_the_twin(levels, most_targets, k):
    scores, targets, seen = draw(7, levels=levels, most_targets=most_targets)
    found = measured(scores, targets, seen=seen, k=k)
    assert found == pytest.approx(twin.mean_metrics(scores, targets, seen, k), abs=1e-12)


@pytest.mark.parametrize("k", [2, 30])
def test_coverage_and_novelty_against_the_twin(k):
    scores, targets, seen = draw(8, most_targets=3)
    counts = np.random.default_rng(0).integers(0, 50, ITEMS + 1)
    counts[4] = 0
    lists = [twin.best_items(*user, k) for user in zip(scores, targets, seen, strict=True)]
    found = measured(scores, targets, seen=seen, k=k, lists=True, popularity=counts)
    assert found[f"coverage@{k}"] == twin.coverage(lists, ITEMS)
    assert found[f"novelty@{k}"] == pytest.approx(twin.novelty(lists, counts))


def test_order_of_names():
    scores, targets, _ = draw(9)
    names = ["hr", "recall", "ndcg", "mrr", "map", "precision", "coverage"]
    found = measured(scores, targets, k=(3, 1), lists=True)
    assert list(found) == [f"{name}@{k}" for k in (3, 1) for name in names]
    assert list(measured(scores, targets, k=3, metrics=["mrr", "hr"])) == ["mrr@3", "hr@3"]
    assert list(measured(scores, targets, k=3, metrics="hr")) == ["hr@3"]


def test_one_target_by_hand():
    scores = np.array([[0.0, 0.9, 0.8, 0.7, 0.6]] * 3)
    found = measured(scores, [1, 3, 4], k=3)
    assert found == pytest.approx({
        "hr@3": 2 / 3, "recall@3": 2 / 3, "ndcg@3": (1 + 0.5) / 3, "mrr@3": (1 + 1 / 3) / 3,
        "map@3": (1 + 1 / 3) / 3, "precision@3": 2 / 9,
    })  # fmt: skip


def test_several_targets_by_hand():
    scores = np.array([[0.0, 0.9, 0.8, 0.7, 0.6, 0.5]])
    found = measured(scores, [[1, 3, 5]], k=3)
    ideal = 1 + 1 / math.log2(3) + 1 / 2
    assert found == pytest.approx({
        "hr@3": 1.0, "recall@3": 2 / 3, "ndcg@3": 1.5 / ideal, "mrr@3": 1.0,
        "map@3": (1 + 2 / 3) / 3, "precision@3": 2 / 3,
    })  # fmt: skip


def test_ideal_is_made_of_the_targets_and_not_of_the_hits():
    """One hit, in first place, of two targets: an ideal of one hit would say 1."""
    scores = np.array([[0.0, 0.9, 0.8, 0.7, 0.6]])
    assert measured(scores, [[1, 4]], k=2)["ndcg@2"] == pytest.approx(1 / (1 + 1 / math.log2(3)))


def test_ideal_ends_at_k():
    scores = np.array([[0.0, 0.9, 0.8, 0.7, 0.6]])
    assert measured(scores, [[1, 2, 3, 4]], k=2)["ndcg@2"] == 1.0


def test_users_weigh_the_same_however_many_targets_they_have():
    """Hits over targets of all users (micro) would be 1 / 4."""
    scores = np.array([[0.0, 0.9, 0.8, 0.7, 0.6]] * 2)
    assert measured(scores, [[1], [2, 3, 4]], k=1)["recall@1"] == pytest.approx((1 + 0) / 2)


@pytest.mark.parametrize("most_targets", [1, 5])
def test_perfect_scorer_gets_one(most_targets):
    _, targets, seen = draw(10, most_targets=most_targets)
    scores = np.zeros((USERS, ITEMS + 1))
    for user, items in enumerate(targets):
        scores[user, items] = 1.0  # all targets tie, which costs nothing
    metrics = ["hr", "recall", "ndcg", "mrr", "map"]
    found = measured(scores, targets, seen=seen, k=5, metrics=metrics)
    assert set(found.values()) == {1.0}


def test_constant_scorer_is_not_perfect():
    """All tie, and so each target stands in the middle: nothing is found in a short list."""
    targets = np.arange(1, 201) % 100 + 1
    ranks = rank_targets(np.ones((200, 101)), targets)
    assert set(ranks.positions) == {50.5}
    assert set(retrieval_metrics(ranks, k=10).values()) == {0.0}


def test_random_scorer_finds_k_of_v():
    rng = np.random.default_rng(3)
    found = measured(rng.random((4000, 101)), rng.integers(1, 101, 4000), k=10)
    assert found["hr@10"] == pytest.approx(10 / 100, abs=4 * math.sqrt(0.1 * 0.9 / 4000))
    assert found["mrr@10"] == pytest.approx(sum(1 / i for i in range(1, 11)) / 100, abs=0.015)


def test_relabelling_changes_nothing():
    scores, targets, seen = draw(11, levels=2, most_targets=4)
    relabel = np.append(0, 1 + np.random.default_rng(1).permutation(ITEMS))
    shuffled = np.empty_like(scores)
    shuffled[:, relabel] = scores
    found = measured(
        shuffled, [relabel[row] for row in targets], seen=[relabel[row] for row in seen], k=4
    )
    assert found == pytest.approx(measured(scores, targets, seen=seen, k=4), abs=1e-12)


def test_errors():
    scores, targets, _ = draw(12)
    ranks = rank_targets(scores, targets, top=3)
    with pytest.raises(ValueError, match="k must be integers of at least 1, got 0"):
        retrieval_metrics(ranks, k=0)
    with pytest.raises(ValueError, match=r"k must be integers of at least 1, got \(\)"):
        retrieval_metrics(ranks, k=())
    with pytest.raises(ValueError, match="metrics must be some of"):
        retrieval_metrics(ranks, k=3, metrics=["auc"])
    with pytest.raises(ValueError, match="novelty needs popularity"):
        retrieval_metrics(ranks, k=3, metrics=["novelty"])
    with pytest.raises(ValueError, match="coverage@5 needs lists of 5 items, but ranks has 3"):
        retrieval_metrics(ranks, k=5)
    with pytest.raises(ValueError, match="coverage@5 needs lists of 5 items, but ranks has 0"):
        retrieval_metrics(rank_targets(scores, targets), k=5, metrics=["coverage"])
    with pytest.raises(ValueError, match=r"k must be integers of at least 1, got 3\.0"):
        retrieval_metrics(ranks, k=3.0)
    with pytest.raises(ValueError, match="k must be integers of at least 1, got True"):
        retrieval_metrics(ranks, k=True)


@pytest.mark.parametrize(
    ("popularity", "error", "message"),
    [
        (np.zeros(ITEMS + 1), ValueError, "but none has one: the largest number is 0"),
        (np.full(ITEMS + 1, 1 / ITEMS), ValueError, "Give counts, not shares"),
        (np.ones(4), ValueError, "holds the ids 0..3, but the item [0-9]+ is recommended"),
        (np.ones((ITEMS + 1, 2)), ValueError, r"got shape \(\d+, 2\)"),
        (np.arange(ITEMS + 1) - 1.0, ValueError, r"got -1\.0 for the id 0\. Give counts from 0 up"),
        (np.where(np.arange(ITEMS + 1) == 2, np.nan, 1.0), ValueError, "got nan for the id 2"),
        (pd.Series([3, 4], [1, 2]), TypeError, "got a Series with labels.*reindex"),
        ({1: 3}, TypeError, "got a dict with labels"),
        (["a"] * (ITEMS + 1), TypeError, "got dtype <U1"),
    ],
)
def test_a_popularity_that_is_no_counts_is_refused(popularity, error, message):
    scores, targets, _ = draw(12)
    ranks = rank_targets(scores, targets, top=3)
    with pytest.raises(error, match="retrieval_metrics: popularity.*" + message):
        retrieval_metrics(ranks, k=3, popularity=popularity)
