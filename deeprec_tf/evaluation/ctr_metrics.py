"""Exact metrics of click-through rate prediction, in float64 and without loops over groups.

`keras.metrics.AUC` counts over a fixed set of thresholds; its error can exceed the difference
between two models. These functions sort the scores and are exact; use Keras's for progress
only.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

WEIGHTINGS = ("impressions", "clicks", "uniform")


class GroupAUC(NamedTuple):
    """What `gauc` returns.

    Attributes:
        value: the weighted mean of the groups' AUC.
        counted: number of groups with both classes; only these are in the mean.
        total: number of all groups.
    """

    value: float
    counted: int
    total: int


def exact_auc(labels, scores, sample_weight=None) -> float:
    """Area under the ROC curve by ranks, ties averaged.

    With P positives and N negatives this is (sum of the positives' ranks - P(P+1)/2) / (P N):
    the probability that a random positive scores above a random negative, a tie counting half.
    With weights each pair counts the product of its two weights.

    Args:
        labels: 0 or 1 a row, (N,) or (N, 1).
        scores: any ranking number a row, probabilities or logits, (N,) or (N, 1).
        sample_weight: weight a row, not negative; rows of weight 0 are left out.

    Returns:
        A float in [0, 1]; 0.5 for constant scores.

    Raises:
        ValueError: shapes differ, a class is missing, a label is neither 0 nor 1, a score is
            NaN, a weight is negative or not finite.

    Example:
        >>> exact_auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
        0.75
    """
    owner = "exact_auc"
    labels, scores, weights = _rows(owner, labels, scores, sample_weight)
    clicks = _binary(owner, labels)
    auc, positives, negatives = _auc_by_group(
        clicks, scores, np.zeros(len(scores), np.intp), weights, 1
    )
    for name, count in (("positive", positives[0]), ("negative", negatives[0])):
        if count == 0:
            label = int(name == "positive")
            raise ValueError(
                f"{owner}: none of the {len(scores)} rows is {name} (label {label}"
                f"{', weight above 0' if sample_weight is not None else ''}), and the AUC "
                "compares positives with negatives. Evaluate on more rows or check the labels."
            )
    return float(auc[0])


def log_loss(labels, probabilities, eps: float = 1e-7, *, sample_weight=None) -> float:
    """Mean of -y log(p) - (1 - y) log(1 - p), p clipped to [eps, 1 - eps], in float64.

    Args:
        labels: numbers in [0, 1] a row, (N,) or (N, 1).
        probabilities: numbers in [0, 1] a row, (N,) or (N, 1).
        eps: distance kept from 0 and 1, so that one sure error costs at most -log(eps).
        sample_weight: weight a row; the result is the weighted mean.

    Returns:
        The mean loss in nats.

    Raises:
        ValueError: shapes differ; a label or probability is outside [0, 1] or NaN; the weights
            are negative, not finite or all 0.

    Example:
        >>> round(log_loss([1, 0], [0.9, 0.2]), 4)
        0.1643
    """
    owner = "log_loss"
    labels, probabilities, weights = _rows(
        owner, labels, probabilities, sample_weight, noun="probabilities"
    )
    labels = _numbers(owner, labels, "labels")
    _inside_unit_interval(owner, labels, "label", "Give clicks as 0 and 1.")
    _inside_unit_interval(
        owner, probabilities, "probability", "If these are logits, apply a sigmoid first."
    )
    if weights.sum() == 0:
        raise ValueError(f"{owner}: all sample weights are 0, so no row is left to score.")
    p = np.clip(probabilities.astype(np.float64), eps, 1.0 - eps)
    losses = -(labels * np.log(p) + (1.0 - labels) * np.log1p(-p))
    return float(np.average(losses, weights=weights))


def gauc(
    labels, scores, groups, weighting: str = "impressions", *, sample_weight=None
) -> GroupAUC:
    """Group AUC: the weighted mean of the exact AUC within each group, such as a user.

    GAUC = sum over groups w AUC / sum over groups w, over the groups that have both classes.
    It asks whether one user's items are in order, and ignores how users compare.

    Args:
        labels: 0 or 1 a row, (N,) or (N, 1).
        scores: any ranking number a row, (N,) or (N, 1).
        groups: the row's group: integers, strings, tuples or any other hashable values.
        weighting: a group's weight w: "impressions", its rows; "clicks", its positive rows;
            "uniform", 1.
        sample_weight: weight a row; impressions and clicks are then sums of weights.

    Returns:
        `GroupAUC(value, counted, total)`.

    Raises:
        ValueError: as in `exact_auc`; a group is missing (None or NaN); no group has both
            classes; `weighting` is unknown.

    Example:
        >>> gauc([1, 0, 0, 1, 1], [0.9, 0.1, 0.3, 0.2, 0.6], ["a", "a", "b", "b", "c"])
        GroupAUC(value=0.5, counted=2, total=3)
    """
    owner = "gauc"
    if weighting not in WEIGHTINGS:
        raise ValueError(f"{owner}: weighting must be one of {WEIGHTINGS}, got {weighting!r}.")
    labels, scores, weights = _rows(owner, labels, scores, sample_weight)
    clicks = _binary(owner, labels)
    codes, total = _group_codes(owner, groups, len(scores))
    auc, positives, negatives = _auc_by_group(clicks, scores, codes, weights, total)
    both = (positives > 0) & (negatives > 0)
    counted = int(both.sum())
    if counted == 0:
        raise ValueError(
            f"{owner}: none of the {total} groups has both a positive and a negative row, so "
            "there is no order to judge. Group by something coarser or evaluate on more rows."
        )
    share = {
        "impressions": positives + negatives,
        "clicks": positives,
        "uniform": np.ones(total),
    }[weighting]
    return GroupAUC(float(np.average(auc[both], weights=share[both])), counted, total)


def _auc_by_group(clicks, scores, codes, weights, group_count):
    """AUC, weight of the positives and weight of the negatives, each (group_count,)."""
    positive = np.where(clicks, weights, 0.0)
    negative = np.where(clicks, 0.0, weights)
    if group_count == 1:
        order = np.argsort(scores, kind="stable")
    else:
        order = np.lexsort((scores, codes))
    codes, scores = codes[order], scores[order]

    # A tie is a run of equal scores within one group; all its rows share one rank.
    starts = np.flatnonzero(
        np.concatenate([[True], (codes[1:] != codes[:-1]) | (scores[1:] != scores[:-1])])
    )
    tie_positive = np.add.reduceat(positive[order], starts)
    tie_negative = np.add.reduceat(negative[order], starts)
    tie_group = codes[starts]

    group_positive = np.bincount(tie_group, weights=tie_positive, minlength=group_count)
    group_negative = np.bincount(tie_group, weights=tie_negative, minlength=group_count)
    negatives_before_group = np.cumsum(group_negative) - group_negative
    lower = np.cumsum(tie_negative) - tie_negative - negatives_before_group[tie_group]
    won = np.bincount(
        tie_group, weights=tie_positive * (lower + 0.5 * tie_negative), minlength=group_count
    )
    pairs = group_positive * group_negative
    auc = np.divide(won, pairs, out=np.full(group_count, np.nan), where=pairs > 0)
    return auc, group_positive, group_negative


def _rows(owner, labels, scores, sample_weight, noun="scores"):
    """The arguments as three arrays (N,), checked."""
    labels, scores = _flat(owner, labels, "labels"), _flat(owner, scores, noun)
    if len(labels) != len(scores):
        raise ValueError(
            f"{owner}: {len(labels)} labels but {len(scores)} {noun}; give one of each a row."
        )
    if len(labels) == 0:
        raise ValueError(f"{owner}: no rows to evaluate.")
    # An integer dtype is kept: two int64 scores may differ where their float64 forms don't.
    if scores.dtype.kind not in "iufb":
        scores = _numbers(owner, scores, noun)
    if scores.dtype == bool:
        scores = scores.astype(np.int8)
    bad = np.flatnonzero(np.isnan(scores))
    if len(bad):
        raise ValueError(
            f"{owner}: {len(bad)} of {len(scores)} {noun} are NaN, the first in row {bad[0]}. "
            "A NaN comes from a diverged model or from NaN inputs."
        )
    if sample_weight is None:
        return labels, scores, np.ones(len(scores))
    weights = _numbers(owner, _flat(owner, sample_weight, "sample_weight"), "sample_weight")
    if len(weights) != len(scores):
        raise ValueError(
            f"{owner}: {len(weights)} values in sample_weight but {len(scores)} rows."
        )
    bad = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
    if len(bad):
        raise ValueError(
            f"{owner}: sample_weight must be finite and not negative, got {weights[bad[0]]} "
            f"in row {bad[0]}."
        )
    return labels, scores, weights


def _flat(owner, values, name):
    array = np.asarray(values)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise ValueError(
            f"{owner}: {name} must have shape (N,) or (N, 1), got {array.shape}. Evaluate "
            "one task at a time."
        )
    return array


def _numbers(owner, array, name):
    try:
        return array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{owner}: {name} must be numbers, got dtype {array.dtype}.") from error


def _binary(owner, labels):
    bad = np.flatnonzero((labels != 0) & (labels != 1))
    if len(bad):
        raise ValueError(
            f"{owner}: labels must be 0 or 1, got {labels[bad[0]]} in row {bad[0]}. Turn "
            "ratings or counts into clicks with a threshold first."
        )
    return labels == 1


def _inside_unit_interval(owner, values, name, mend):
    bad = np.flatnonzero(~((values >= 0) & (values <= 1)))
    if len(bad):
        raise ValueError(
            f"{owner}: each {name} must lie in [0, 1], got {values[bad[0]]} in row {bad[0]}. "
            f"{mend}"
        )


def _group_codes(owner, groups, row_count):
    """The groups as integers 0..G-1 and their number G."""
    if not isinstance(groups, pd.Series | pd.Index | pd.Categorical | list | tuple):
        groups = _flat(owner, groups, "groups")
    codes, uniques = pd.factorize(pd.Series(groups))
    if len(codes) != row_count:
        raise ValueError(f"{owner}: {len(codes)} groups but {row_count} rows; give one a row.")
    bad = np.flatnonzero(codes < 0)
    if len(bad):
        raise ValueError(
            f"{owner}: the group is missing (None or NaN) in {len(bad)} rows, first in row "
            f"{bad[0]}. Drop these rows or give them a group of their own."
        )
    return codes, len(uniques)
