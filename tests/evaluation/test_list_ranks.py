import numpy as np
import pytest

from deeprec_tf.evaluation import rank_in_lists, rank_targets, retrieval_metrics

GENERATOR = np.random.default_rng(0)
SCORES = GENERATOR.normal(size=(6, 21))
TARGETS = [[3], [4, 9], [1, 2, 3], [20], [7], [8, 5]]
SEEN = [[], [1, 2], [3], [5, 6, 7], [20], [9]]


def test_whole_rankings_give_the_metrics_of_the_scores():
    lists = np.argsort(-SCORES[:, 1:], axis=1) + 1
    got = rank_in_lists(lists, TARGETS, item_count=20, seen=SEEN)
    wanted = rank_targets(SCORES, TARGETS, seen=SEEN, top=5)
    np.testing.assert_array_equal(got.rows, wanted.rows)
    np.testing.assert_array_equal(got.positions, wanted.positions)
    assert retrieval_metrics(got, k=(1, 5)) == pytest.approx(retrieval_metrics(wanted, k=(1, 5)))


def test_what_is_not_in_the_list_is_no_hit():
    ranks = rank_in_lists([[4, 0, -1], [2, 9, 1]], [[9], [1, 7]], item_count=9)
    assert ranks.positions.tolist() == [np.inf, 3.0, np.inf]
    found = retrieval_metrics(ranks, k=3, metrics=["hr", "recall", "ndcg", "mrr", "coverage"])
    assert found["hr@3"] == 0.5 and found["recall@3"] == 0.25
    assert found["mrr@3"] == pytest.approx(1 / 6) and found["coverage@3"] == pytest.approx(4 / 9)


def test_none_may_come_often():
    ranks = rank_in_lists([[-1, -1, 0, 4, 0], [0, 0, 0, -1, -1]], [[4], [4]], item_count=9)
    assert ranks.positions.tolist() == [1.0, np.inf]
    assert ranks.lists.tolist() == [[4, 0, 0, 0, 0], [0] * 5]


def test_ids_of_any_size():
    users, large = 20_000, 10**15
    lists = np.arange(users)[:, None] % 3 + large + np.array([[2, 1]])
    targets = lists[:, 1]
    ranks = rank_in_lists(lists, targets, item_count=5)
    assert (ranks.positions == 2).all()
    seen = rank_in_lists(lists, targets, item_count=5, seen=lists[:, 0])
    assert (seen.positions == 1).all()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([[0.5]], [[1]]), TypeError, "rank_in_lists: lists must be integer ids"),
        (([[1]], [[1], [2]]), ValueError, "one row a user, got 1, 2 and 2 rows"),
        (([[1], [2]], [[1], []]), ValueError, "no id in row 1"),
        (([[7, 8], [5, 5]], [[9], [5]]), ValueError, "lists has the id 5 twice in row 1"),
        (([[5, 2, 5], [7, 8, 1]], [[5], [9]]), ValueError, "lists has the id 5 twice in row 0"),
    ],
)
def test_errors(arguments, error, message):
    with pytest.raises(error, match=message):
        rank_in_lists(*arguments, item_count=3)
