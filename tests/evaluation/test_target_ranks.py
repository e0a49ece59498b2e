import numpy as np
import pytest
import tensorflow as tf

from deeprec_tf.evaluation import rank_targets
from tests.reference.full_ranking import best_items, target_positions

USERS, ITEMS = 37, 23


def draw(seed, *, levels=None, most_targets=1):
    """Scores (N, V), targets and seen items; with `levels` many scores tie."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(USERS, ITEMS + 1))
    if levels:
        scores = np.floor(scores * levels)
    counts = rng.integers(1, most_targets + 1, USERS)
    targets = [rng.choice(np.arange(1, ITEMS + 1), n, replace=False).tolist() for n in counts]
    # Some users have seen nothing, many an item twice, and some their targets.
    seen = [rng.integers(1, ITEMS + 1, rng.integers(0, 9)).tolist() for _ in range(USERS)]
    seen[3], seen[5] = [], targets[5] + seen[5] + targets[5]
    return scores, targets, seen


def expected(scores, targets, seen):
    rows = [target_positions(*user) for user in zip(scores, targets, seen, strict=True)]
    return [position for row in rows for position in row]


@pytest.mark.parametrize("most_targets", [1, 6])
@pytest.mark.parametrize("levels", [None, 1, 3])
class TestAgainstTheTwin:
    def test_positions(self, levels, most_targets):
        scores, targets, seen = draw(1, levels=levels, most_targets=most_targets)
        ranks = rank_targets(scores, targets, seen=seen)
        np.testing.assert_allclose(ranks.positions, expected(scores, targets, seen), atol=0)
        assert ranks.rows.tolist() == [
            row for row, some in enumerate(targets) for _ in some
        ]
        assert (ranks.user_count, ranks.item_count, ranks.lists) == (USERS, ITEMS, None)

    def test_lists(self, levels, most_targets):
        scores, targets, seen = draw(2, levels=levels, most_targets=most_targets)
        lists = rank_targets(scores, targets, seen=seen, top=7).lists
        for user in range(USERS):
            best = best_items(scores[user], targets[user], seen[user], 7)
            assert lists[user].tolist() == best

    @pytest.mark.parametrize("batch_size", [1, 5, USERS, 1000])
    def test_chunks_are_irrelevant(self, levels, most_targets, batch_size):
        scores, targets, seen = draw(3, levels=levels, most_targets=most_targets)
        whole = rank_targets(scores, targets, seen=seen, top=4)
        chunked = rank_targets(scores, targets, seen=seen, top=4, batch_size=batch_size)
        assert chunked.positions.tolist() == whole.positions.tolist()
        assert chunked.rows.tolist() == whole.rows.tolist()
        assert chunked.lists.tolist() == whole.lists.tolist()


@pytest.mark.parametrize("kind", ["float32", "float16", "int64", "tensor", "function"])
def test_forms_of_scores(kind):
    scores, targets, seen = draw(4, levels=4)
    given = {
        "tensor": lambda: tf.constant(scores),
        "function": lambda: lambda rows: scores[rows],
    }.get(kind, lambda: scores.astype(kind))()
    positions = rank_targets(given, targets, seen=seen, batch_size=10).positions
    assert positions.tolist() == expected(scores, targets, seen)


def test_64_bit_scores_are_not_rounded_into_ties():
    scores = np.array([[0.0, 1.0, 1.0 + 1e-12]])
    assert rank_targets(scores, [1]).positions.tolist() == [2.0]


def test_forms_of_targets_and_seen():
    scores, targets, seen = draw(5, most_targets=3)
    width = max(map(len, seen))
    padded = np.array([[0] * (width - len(row)) + row for row in seen])
    padded_targets = np.array([row + [0] * (3 - len(row)) for row in targets])
    one = rank_targets(scores, targets, seen=seen).positions
    assert rank_targets(scores, padded_targets, seen=padded).positions.tolist() == one.tolist()
    first = np.array([row[0] for row in targets])
    positions = rank_targets(scores, first).positions
    assert positions.tolist() == rank_targets(scores, first[:, None]).positions.tolist()


def test_target_among_the_seen_items_is_still_ranked():
    scores = np.array([[0.0, 0.9, 0.8, 0.7, 0.6]])
    ranks = rank_targets(scores, [2], seen=[[1, 2]], top=3)
    assert ranks.positions.tolist() == [1.0]
    assert ranks.lists.tolist() == [[2, 3, 4]]


def test_an_item_seen_twice_is_taken_off_once():
    scores = np.array([[0.0, 0.9, 0.8, 0.7, 0.6]])
    assert rank_targets(scores, [4], seen=[[1, 1, 1]]).positions.tolist() == [3.0]


def test_padding_is_no_item():
    scores = np.array([[9.0, 0.2, 0.1]])
    ranks = rank_targets(scores, [1], top=3)
    assert ranks.positions.tolist() == [1.0]
    assert ranks.lists.tolist() == [[1, 2, 0]]  # 0: none is left
    assert rank_targets(np.array([[np.nan, 0.2, 0.1]]), [2]).positions.tolist() == [2.0]


def test_ties_take_the_middle():
    scores = np.array([[0.0, 0.5, 0.5, 0.5, 0.9, 0.1]])
    assert rank_targets(scores, [1]).positions.tolist() == [3.0]
    assert rank_targets(scores, [1], seen=[[2]]).positions.tolist() == [2.5]


def test_tie_among_targets_costs_nothing():
    scores = np.array([[0.0, 1.0, 1.0, 0.0, 1.0]])
    assert rank_targets(scores, [[1, 2, 4]]).positions.tolist() == [1.0, 2.0, 3.0]
    assert rank_targets(scores, [[1, 2]]).positions.tolist() == [1.5, 2.5]


def test_minus_infinity_keeps_an_item_out_of_the_lists():
    scores = np.array([[0.0, -np.inf, 0.3, -np.inf]])
    ranks = rank_targets(scores, [1], top=2)
    assert ranks.lists.tolist() == [[2, 0]]
    assert ranks.positions.tolist() == [2.5]


def test_target_given_twice_counts_once():
    scores = np.array([[0.0, 0.3, 0.9]])
    assert rank_targets(scores, [[1, 1]]).positions.tolist() == [2.0]


def test_progress_bar(capsys):
    scores, targets, _ = draw(6)
    rank_targets(scores, targets, batch_size=10, verbose=1)
    assert "4/4" in capsys.readouterr().out


class TestErrors:
    SCORES = np.zeros((3, 5))

    def test_user_without_target(self):
        with pytest.raises(ValueError, match="2 of 3 users have no target, the first in row 1"):
            rank_targets(self.SCORES, [[1], [], []])
        with pytest.raises(ValueError, match="1 of 3 users have no target, the first in row 2"):
            rank_targets(self.SCORES, [1, 2, 0])

    def test_nothing_to_evaluate(self):
        with pytest.raises(ValueError, match="no rows to evaluate"):
            rank_targets(np.zeros((0, 5)), [])

    @pytest.mark.parametrize("batch_size", [1, 2, None])
    def test_nan_names_the_user(self, batch_size):
        scores = np.zeros((4, 5))
        scores[2, 3] = np.nan
        with pytest.raises(ValueError, match="scores of the user in row 2 hold NaN"):
            rank_targets(scores, [1, 1, 1, 1], batch_size=batch_size)

    def test_ids_out_of_range(self):
        with pytest.raises(ValueError, match="targets has the id 5 in row 1; ids must lie in"):
            rank_targets(self.SCORES, [1, 5, 1])
        with pytest.raises(ValueError, match="seen has the id 7 in row 2"):
            rank_targets(self.SCORES, [1, 1, 1], seen=[[], [], [7]])

    def test_shapes(self):
        with pytest.raises(ValueError, match=r"scores must have shape \(2, V\)"):
            rank_targets(self.SCORES, [1, 1])
        with pytest.raises(ValueError, match="seen has 2 rows, but targets has 3"):
            rank_targets(self.SCORES, [1, 1, 1], seen=[[1], [2]])
        with pytest.raises(ValueError, match=r"must give shape \(3, 5\) for 3 rows, got \(1, 5\)"):
            rank_targets(lambda rows: np.zeros((1, 5)), [1, 1, 1])
        with pytest.raises(ValueError, match="batch_size must be a whole number from 1 on, got 0"):
            rank_targets(self.SCORES, [1, 1, 1], batch_size=0)
