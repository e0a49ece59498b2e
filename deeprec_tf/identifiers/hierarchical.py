"""Hierarchical constrained k-means: a K-ary tree in which every item is a leaf of its own."""

from __future__ import annotations

from typing import Any

import numpy as np

from deeprec_tf.identifiers.item_codes import ItemCodes, checked_vectors
from deeprec_tf.identifiers.kmeans import constrained_kmeans
from deeprec_tf.numeric import check_whole_numbers


def hierarchical_kmeans_codes(
    vectors: Any, branching: int | None = 32, num_levels: int = 3, *, seed: int = 0
) -> ItemCodes:
    """Unique identifiers by clusters of clusters, each within its bound.

    Level t splits every node into min(K, its size) clusters of at most K^(L-t) items, so that the
    levels below have room; the last code numbers the items of a node.

    Args:
        vectors: item vectors (V, D), such as `table_values` of a trained LightGCN, or of texts; row
            i that of item i, row 0 is padding and not read.
        branching: K, children of a node; the least that has room for all items when None.
        num_levels: L, codes of an item.
        seed: seed of the clusters; other seeds give other codes.

    Returns:
        `ItemCodes` of L positions with K codes each.

    Raises:
        ValueError: no table of vectors, sizes below 1, or more items than K^L.

    Example:
        >>> vectors = np.array([[0.0], [1.0], [9.0], [1.1], [9.1]])
        >>> codes = hierarchical_kmeans_codes(vectors, branching=2, num_levels=2).codes
        >>> bool(codes[1, 0] == codes[3, 0]), bool(codes[2, 0] == codes[4, 0])
        (True, True)

    References:
        Wang et al., Content-Based Collaborative Generation for Recommender Systems, CIKM 2024.
    """
    items = checked_vectors("hierarchical_kmeans_codes", vectors)
    check_whole_numbers("hierarchical_kmeans_codes", branching=branching, num_levels=num_levels)
    if branching is None:
        branching = least_branching(len(items), num_levels)
    if branching**num_levels < len(items):
        raise ValueError(
            f"hierarchical_kmeans_codes: branching={branching} and num_levels={num_levels} have "
            f"room for {branching**num_levels} items, got {len(items)}. Give branching="
            f"{least_branching(len(items), num_levels)}, or None."
        )
    codes = np.zeros((len(items) + 1, num_levels), "int64")
    nodes = [np.arange(len(items))]
    for level in range(num_levels - 1):
        capacity = branching ** (num_levels - level - 1)
        below = []
        for place, members in enumerate(nodes):
            labels = constrained_kmeans(
                items[members], min(branching, len(members)), capacity, seed=seed + place
            )
            codes[members + 1, level] = labels + 1
            below += [members[labels == label] for label in np.unique(labels)]
        nodes = below
    for members in nodes:
        codes[members + 1, -1] = np.arange(len(members)) + 1
    return ItemCodes(codes, [branching] * num_levels)


def least_branching(num_items: int, num_levels: int) -> int:
    """The smallest K with K^L at least the number of items."""
    branching = max(1, int(round(num_items ** (1 / num_levels))) - 1)
    while branching**num_levels < num_items:
        branching += 1
    return branching
