"""Metrics of ranked lists, from the places of the targets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from deeprec_tf.evaluation.id_lists import places
from deeprec_tf.evaluation.target_ranks import TargetRanks
from deeprec_tf.numeric import values_by_id

OF_RANKS = ("hr", "recall", "ndcg", "mrr", "map", "precision")
OF_LISTS = ("coverage", "novelty")
METRICS = OF_RANKS + OF_LISTS


def retrieval_metrics(
    ranks: TargetRanks,
    *,
    k: int | Sequence[int] = (5, 10, 20),
    metrics: Sequence[str] | None = None,
    popularity: Any = None,
) -> dict[str, float]:
    """Metrics at k of ranked targets; each but the coverage is a mean over users.

    With p_1 <= p_2 <= ... the places of a user's T targets, hits those with p_i <= k:

    - hr: 1 if there is a hit;
    - recall: hits / T; precision: hits / k;
    - ndcg: the hits' sum of 1 / log2(1 + p_i), over the same sum for the places 1..min(k, T);
    - mrr: 1 / p_1 if it is a hit;
    - map: the hits' sum of i / p_i, over min(k, T);
    - coverage: the share of the catalogue that stands in a list of k;
    - novelty: mean of -log2 of the recommended items' share of all interactions.

    Args:
        ranks: what `rank_targets` gives; for coverage and novelty, with lists of at least the
            largest k.
        k: length of the lists, or several of them.
        metrics: names from above; all that can be had when left out.
        popularity: interactions by item id (V,), for the novelty; an item without any counts as
            if it had one.

    Returns:
        Dict of floats by "<metric>@<k>".

    Raises:
        ValueError: a metric is unknown or lacks what it needs, `k` is below 1.

    Example:
        >>> from deeprec_tf.evaluation import rank_targets
        >>> ranks = rank_targets(np.array([[0.0, 0.3, 0.2, 0.1]]), [2])
        >>> retrieval_metrics(ranks, k=2, metrics=["hr", "mrr"])
        {'hr@2': 1.0, 'mrr@2': 0.5}
    """
    owner = "retrieval_metrics"
    sizes = list_sizes(owner, k)
    names = metric_names(owner, metrics, has_popularity=popularity is not None)
    if metrics is None and ranks.lists is None:
        names = [name for name in names if name not in OF_LISTS]
    results: dict[str, float] = {}
    for size in sizes:
        for name in names:
            if name in OF_LISTS:
                value = _of_lists(owner, name, ranks, size, popularity)
            else:
                value = _of_ranks(name, ranks, size)
            results[f"{name}@{size}"] = float(value)
    return results


def check_validation(owner: str, validation_data: Any, every: int) -> None:
    """What callbacks that measure lists ask of their arguments, or a ValueError."""
    if every < 1:
        raise ValueError(f"{owner}: every must be at least 1 epoch, got {every}.")
    if not isinstance(validation_data, list | tuple) or len(validation_data) != 2:
        raise ValueError(f"{owner}: validation_data must be a pair (x, targets).")


def list_sizes(owner: str, k: int | Sequence[int]) -> list[int]:
    """`k` as a list of sizes.

    Raises:
        ValueError: there is none, or one is no integer of at least 1.
    """
    sizes = list(k) if isinstance(k, Iterable) else [k]
    whole = [isinstance(s, int | np.integer) and not isinstance(s, bool) for s in sizes]
    if not sizes or not all(whole) or min(sizes) < 1:
        raise ValueError(f"{owner}: k must be integers of at least 1, got {k!r}.")
    return [int(size) for size in sizes]


def metric_names(
    owner: str, metrics: Sequence[str] | None, *, has_popularity: bool
) -> list[str]:
    """The metrics that are asked for, or all that can be had.

    Raises:
        ValueError: one is unknown, or the novelty is asked for without a popularity.
    """
    if metrics is None:
        return [name for name in METRICS if name != "novelty" or has_popularity]
    names = [metrics] if isinstance(metrics, str) else list(metrics)
    unknown = [name for name in names if name not in METRICS]
    if unknown or not names:
        raise ValueError(f"{owner}: metrics must be some of {METRICS}, got {metrics!r}.")
    if "novelty" in names and not has_popularity:
        raise ValueError(f"{owner}: novelty needs popularity, the interactions by item id.")
    return names


def _of_ranks(name, ranks, size):
    rows, positions, count = ranks.rows, ranks.positions, ranks.user_count
    hit = positions <= size
    targets = np.bincount(rows, minlength=count)
    ideal = np.minimum(targets, size)
    place = places(rows) + 1

    def per_user(values):
        return np.bincount(rows, weights=values * hit, minlength=count)

    if name == "hr":
        return np.mean(per_user(1.0) > 0)
    if name == "recall":
        return np.mean(per_user(1.0) / targets)
    if name == "precision":
        return np.mean(per_user(1.0) / size)
    if name == "mrr":
        return np.mean(per_user((place == 1) / positions))
    if name == "map":
        return np.mean(per_user(place / positions) / ideal)
    best = np.cumsum(1.0 / np.log2(2.0 + np.arange(ideal.max())))  # of 1, 2, ... targets
    return np.mean(per_user(1.0 / np.log2(1.0 + positions)) / best[ideal - 1])


def _of_lists(owner, name, ranks, size, popularity):
    if ranks.lists is None or ranks.lists.shape[1] < size:
        have = 0 if ranks.lists is None else ranks.lists.shape[1]
        raise ValueError(
            f"{owner}: {name}@{size} needs lists of {size} items, but ranks has {have}. Call "
            f"rank_targets(..., top={size})."
        )
    recommended = ranks.lists[:, :size]
    recommended = recommended[recommended > 0]
    if name == "coverage":
        return len(np.unique(recommended)) / ranks.item_count
    counts = _interactions(owner, popularity)
    if recommended.max(initial=0) >= len(counts):
        raise ValueError(
            f"{owner}: popularity holds the ids 0..{len(counts) - 1}, but the item "
            f"{recommended.max()} is recommended. Give the interactions of each item id (V,)."
        )
    share = np.maximum(counts[recommended], 1.0) / counts[1:].sum()
    return np.mean(-np.log2(share)) if len(share) else np.nan


def _interactions(owner: str, popularity: Any) -> np.ndarray:
    """Counts by item id (V,), float64.

    Raises:
        TypeError: from `values_by_id`.
        ValueError: another shape, a count below 0, shares of 1, or no interaction at all.
    """
    what = f"{owner}: popularity must hold the interactions of each item id (V,), as an array"
    counts = values_by_id(what, popularity)
    if counts.ndim != 1:
        raise ValueError(f"{what}, got shape {counts.shape}.")
    counts = counts.astype("float64")
    if not (np.isfinite(counts).all() and counts.min(initial=0) >= 0):
        place = int(np.argmin(np.where(np.isfinite(counts), counts, -np.inf)))
        raise ValueError(f"{what}, got {counts[place]} for the id {place}. Give counts from 0 up.")
    if counts[1:].max(initial=0) < 1:
        raise ValueError(
            f"{what}, but none has one: the largest number is {counts[1:].max(initial=0)}. Give "
            "counts, not shares."
        )
    return counts
