"""The best items of a list with a say in how different they are."""

from __future__ import annotations

from typing import Any

import numpy as np

from deeprec_tf.retrieval.index_input import checked_number


def diversify(scores: Any, categories: Any, k: int, weight: float = 0.0) -> np.ndarray:
    """Places of k candidates that are good and of different categories, for each user.

    Greedy for the largest Σ_i s_i + λ Σ_i Σ_j 1[category_i ≠ category_j] over the chosen: each step
    takes the candidate with the largest score plus λ times the number of those chosen before that
    are of another category. λ = 0 gives the best k by score.

    Args:
        scores: numbers (N, M) of each user's candidates, such as those `ItemIndex.search` found;
            -inf for none, which is chosen last.
        categories: their categories (N, M), integers or text.
        k: how many, at most M.
        weight: λ, at least 0.

    Returns:
        int64 array (N, k), places in the list, in the order they were chosen; of equal candidates
        the first.

    Raises:
        ValueError: shapes differ, a score is NaN, or k or the weight is out of its range.

    Example:
        >>> diversify([[3.0, 2.9, 2.0]], [["a", "a", "b"]], k=2, weight=1.0).tolist()
        [[0, 2]]

    References:
        Cen et al., Controllable Multi-Interest Framework for Recommendation, KDD 2020.
    """
    scores, categories = np.asarray(scores, "float64"), np.asarray(categories)
    if scores.ndim != 2 or categories.shape != scores.shape:
        raise ValueError(
            "diversify: scores and categories must have one shape (N, M), got "
            f"{scores.shape} and {categories.shape}."
        )
    if np.isnan(scores).any():
        row, place = np.argwhere(np.isnan(scores))[0]
        raise ValueError(
            f"diversify: scores must be numbers, but row {row} has NaN at place {place}. Give -inf "
            "where there is no candidate."
        )
    k = checked_number("diversify", k, scores.shape[1])
    if not weight >= 0:
        raise ValueError(f"diversify: weight must be at least 0, got {weight!r}.")
    rows = np.arange(len(scores))
    gain = np.zeros_like(scores)  # number of those chosen that are of another category
    free = np.ones(scores.shape, bool)
    chosen = np.empty((len(scores), k), "int64")
    for place in range(k):
        # A candidate that is none has -inf, and what was chosen must come after even that.
        value = np.where(free, np.maximum(scores, -1e300) + weight * gain, -np.inf)
        chosen[:, place] = best = value.argmax(axis=1)
        free[rows, best] = False
        gain += categories != categories[rows, best][:, None]
    return chosen
