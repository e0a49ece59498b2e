import itertools

import numpy as np
import pytest

from deeprec_tf.retrieval import diversify

GENERATOR = np.random.default_rng(0)
SCORES = GENERATOR.normal(size=(20, 6))
CATEGORIES = GENERATOR.integers(0, 3, size=(20, 6))


def value(row, places, weight):
    pairs = itertools.permutations(places, 2)
    different = sum(CATEGORIES[row, i] != CATEGORIES[row, j] for i, j in pairs)
    return SCORES[row, list(places)].sum() + weight * different / 2


def test_without_weight_it_is_the_best_by_score():
    np.testing.assert_array_equal(
        diversify(SCORES, CATEGORIES, 4), np.argsort(-SCORES, axis=1)[:, :4]
    )


@pytest.mark.parametrize("weight", [0.3, 5.0])
def test_each_step_takes_what_raises_the_sum_most(weight):
    chosen = diversify(SCORES, CATEGORIES, 4, weight)
    for row, places in enumerate(chosen.tolist()):
        assert len(set(places)) == 4
        for step in range(4):
            before = places[:step]
            gains = {
                i: value(row, [*before, i], weight) for i in range(6) if i not in before
            }
            assert gains[places[step]] == pytest.approx(max(gains.values()))


def test_a_large_weight_covers_all_categories():
    for row, places in enumerate(diversify(SCORES, CATEGORIES, 3, 100.0)):
        known = min(3, len(set(CATEGORIES[row])))
        assert len(set(CATEGORIES[row, places])) == known


def test_a_candidate_that_is_none_comes_last():
    chosen = diversify([[-np.inf, 1.0, 0.0]], [["x", "a", "a"]], 3, 10.0)
    assert chosen.tolist() == [[1, 2, 0]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((SCORES, CATEGORIES[:, :2], 2), r"one shape \(N, M\)"),
        (([[1.0, 2.0], [1.0, np.nan]], np.ones((2, 2)), 1), "row 1 has NaN at place 1. Give -inf"),
        ((SCORES, CATEGORIES, 7), "k must be a whole number from 1 to 6, .* got 7"),
        ((SCORES, CATEGORIES, 2.0), "k must be a whole number from 1 to 6, .* got 2.0"),
        ((SCORES, CATEGORIES, 2, -1.0), "weight must be at least 0"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        diversify(*arguments)
