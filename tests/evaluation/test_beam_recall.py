"""`beam_recall`, by hand and by sets."""

import numpy as np
import pytest

from deeprec_tf.evaluation import beam_recall


def by_sets(narrow, wide, k):
    shares = []
    for few, many in zip(narrow, wide, strict=True):
        wanted = {i for i in many[:k] if i != -1}
        if wanted:
            shares.append(len(wanted & set(few[:k])) / len(wanted))
    return sum(shares) / len(shares)


@pytest.mark.parametrize("k", [1, 3, 8])
def test_shares_of_sets(k):
    generator = np.random.default_rng(k)
    narrow, wide = (
        np.stack([generator.permutation(np.arange(1, 15))[:size] for _ in range(20)])
        for size in (5, 9)
    )
    narrow[3, 2:], wide[4, 1:], wide[5] = -1, -1, -1
    assert beam_recall(narrow, wide, k) == pytest.approx(by_sets(narrow.tolist(), wide.tolist(), k))


def test_the_same_lists_in_any_order_are_whole_and_padding_is_no_item():
    wide = np.array([[3, 1, 2], [5, -1, -1], [-1, -1, -1]])
    assert beam_recall(wide[:, ::-1], wide, 3) == 1.0
    assert beam_recall(np.full((3, 3), -1), wide, 3) == 0.0
    assert beam_recall([[9, 3], [5, 1], [1, 2]], wide, 1) == 0.5


@pytest.mark.parametrize(
    ("narrow", "wide", "k", "error", "message"),
    [
        ([[0.5]], [[1]], 1, TypeError, "narrow_ids must be integer ids"),
        ([[1]], [1], 1, TypeError, r"wide_ids must be integer ids \(N, R\), .* shape \(1,\)"),
        ([[1], [2]], [[1]], 1, ValueError, "the same users, got 2 and 1 rows"),
        ([[1]], [[1, 2]], 3, ValueError, "at most the 2 columns of wide_ids, got 3"),
        ([[1]], [[1, 2]], 0, ValueError, "at least 1"),
        ([[1]], [[-1]], 1, ValueError, "no item for any user"),
    ],
)
def test_errors(narrow, wide, k, error, message):
    with pytest.raises(error, match=message):
        beam_recall(narrow, wide, k)
