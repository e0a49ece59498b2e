"""Residual k-means: each level clusters what the levels before it have left over."""

from __future__ import annotations

from typing import Any

import numpy as np

from deeprec_tf.identifiers.item_codes import ItemCodes, checked_vectors, with_collision_digit
from deeprec_tf.identifiers.kmeans import kmeans
from deeprec_tf.numeric import check_whole_numbers


def residual_centers(
    vectors: np.ndarray, num_levels: int, codebook_size: int, *, seed: int = 0
) -> tuple[list[np.ndarray], np.ndarray]:
    """Centers of each level, and the cluster of each vector at each, (N, L) from 0."""
    residual, books, labels = vectors, [], []
    for level in range(num_levels):
        centers, of_level = kmeans(residual, codebook_size, seed=seed + level)
        residual = residual - centers[of_level]
        books.append(centers)
        labels.append(of_level)
    return books, np.stack(labels, axis=1)


def residual_kmeans_codes(
    vectors: Any, num_levels: int = 3, codebook_size: int = 256, *, seed: int = 0
) -> ItemCodes:
    """Semantic ids by k-means on residuals, and a last digit that tells equal ones apart.

    r_0 = x; c_t is the nearest of level t's centers to r_{t-1}, and r_t = r_{t-1} - center. Items
    that are alike share their first codes. As good as an RQ-VAE, and done in seconds.

    Args:
        vectors: item vectors (V, D), of texts or of a trained model; row i that of item i, row 0
            is padding and not read.
        num_levels: levels of clusters; the codes have one position more.
        codebook_size: clusters of a level.
        seed: seed of the clusters; other seeds give other codes.

    Returns:
        `ItemCodes` of `num_levels` + 1 positions, or more where over 256 items share their
        clusters; see `with_collision_digit`.

    Raises:
        ValueError: no table of vectors, or sizes below 1.

    Example:
        >>> vectors = np.array([[0.0], [1.0], [1.1], [9.0], [9.0]])
        >>> residual_kmeans_codes(vectors, num_levels=1, codebook_size=2).codes[3:].tolist()
        [[1, 1], [1, 2]]

    References:
        Luo et al., QARM: Quantitative Alignment Multi-Modal Recommendation at Kuaishou, 2024.
    """
    items = checked_vectors("residual_kmeans_codes", vectors)
    check_whole_numbers(
        "residual_kmeans_codes", num_levels=num_levels, codebook_size=codebook_size
    )
    _, labels = residual_centers(items, num_levels, codebook_size, seed=seed)
    codes = np.concatenate([np.zeros((1, num_levels), "int64"), labels + 1])
    return with_collision_digit(codes, [codebook_size] * num_levels)
