"""k-means in NumPy, with and without a bound on the clusters' sizes."""

from __future__ import annotations

import numpy as np

_CHUNK = 1 << 22  # distances held at once


def squared_distances(vectors: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """‖x - c‖² of all pairs, (N, K)."""
    cross = vectors @ centers.T
    return (vectors**2).sum(axis=1)[:, None] - 2 * cross + (centers**2).sum(axis=1)


def nearest(vectors: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """Index of the nearest center of each vector (N,), a chunk of vectors at a time."""
    rows = max(1, _CHUNK // len(centers))
    return np.concatenate(
        [
            squared_distances(vectors[first : first + rows], centers).argmin(axis=1)
            for first in range(0, len(vectors), rows)
        ]
    )


def first_centers(
    vectors: np.ndarray, number: int, generator: np.random.Generator
) -> np.ndarray:
    """k-means++: each next center a vector drawn by its squared distance from those before."""
    chosen = [int(generator.integers(len(vectors)))]
    distances = np.full(len(vectors), np.inf)
    for _ in range(number - 1):
        newest = squared_distances(vectors, vectors[chosen[-1:]])[:, 0]
        distances = np.minimum(distances, np.maximum(newest, 0))
        total = distances.sum()
        if total > 0:
            chosen.append(int(generator.choice(len(vectors), p=distances / total)))
        else:  # fewer different vectors than centers
            chosen.append(int(generator.integers(len(vectors))))
    return vectors[chosen]


def kmeans(
    vectors: np.ndarray, number: int, *, iterations: int = 30, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Lloyd's algorithm from k-means++ centers.

    A center that loses all its vectors moves to the one that is farthest from its own.

    Args:
        vectors: float64 (N, D).
        number: K, at most N are used.
        iterations: most rounds; it stops where nothing moves.
        seed: seed of the first centers.

    Returns:
        Centers (K, D) and the cluster of each vector (N,).
    """
    generator = np.random.default_rng(seed)
    centers = first_centers(vectors, min(number, len(vectors)), generator)
    labels = nearest(vectors, centers)
    for _ in range(iterations):
        centers = _means(vectors, labels, centers)
        moved = nearest(vectors, centers)
        if (moved == labels).all():
            break
        labels = moved
    return centers, labels


def constrained_kmeans(
    vectors: np.ndarray, number: int, capacity: int, *, iterations: int = 20, seed: int = 0
) -> np.ndarray:
    """k-means whose clusters hold at most `capacity` vectors: the cluster of each vector (N,).

    Every round moves the centers and then fills the clusters anew: vectors ask for the nearest
    cluster with room, and where more ask than there is room for, those stay that would lose most by
    the next one.

    Raises:
        ValueError: there is no room for all.
    """
    if number * capacity < len(vectors):
        raise ValueError(
            f"constrained_kmeans: {number} clusters of at most {capacity} have no room for "
            f"{len(vectors)} vectors."
        )
    generator = np.random.default_rng(seed)
    centers = first_centers(vectors, number, generator)
    labels = _filled(squared_distances(vectors, centers), capacity)
    for _ in range(iterations):
        centers = _means(vectors, labels, centers)
        moved = _filled(squared_distances(vectors, centers), capacity)
        if (moved == labels).all():
            break
        labels = moved
    return labels


def _means(vectors: np.ndarray, labels: np.ndarray, centers: np.ndarray) -> np.ndarray:
    counts = np.bincount(labels, minlength=len(centers))
    order = np.argsort(labels, kind="stable")
    filled = np.flatnonzero(counts)
    starts = np.concatenate([[0], np.cumsum(counts[filled])[:-1]])
    means = centers.copy()
    means[filled] = np.add.reduceat(vectors[order], starts) / counts[filled, None]
    empty = np.flatnonzero(counts == 0)
    if len(empty):
        distances = ((vectors - means[labels]) ** 2).sum(axis=1)
        means[empty] = vectors[np.argsort(-distances, kind="stable")[: len(empty)]]
    return means


def _filled(distances: np.ndarray, capacity: int) -> np.ndarray:
    """Clusters (N,) of at most `capacity`, by distances (N, K); every round closes one or ends."""
    labels = np.full(len(distances), -1)
    room = np.full(distances.shape[1], capacity)
    distances = distances.copy()
    while (waiting := np.flatnonzero(labels < 0)).size:
        distances[:, room == 0] = np.inf
        of_waiting = distances[waiting]
        wanted = of_waiting.argmin(axis=1)
        best = of_waiting[np.arange(len(waiting)), wanted]
        of_waiting[np.arange(len(waiting)), wanted] = np.inf
        regret = of_waiting.min(axis=1) - best  # inf where one cluster alone is open
        order = np.lexsort((waiting, -regret, wanted))
        counts = np.bincount(wanted, minlength=len(room))
        place = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
        taken = order[place < room[wanted[order]]]
        labels[waiting[taken]] = wanted[taken]
        room -= np.bincount(wanted[taken], minlength=len(room))
    return labels
