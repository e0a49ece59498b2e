"""The best items by inner product, exactly and in bounded memory, as TensorFlow ops."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np
import tensorflow as tf

# Scores held at a time (64 MiB of float32), and the fewest items a step looks at.
_SCORES, _ITEMS = 2**24, 1024
# Items that share a maximum. The k best items lie in the k blocks with the best maxima, so that
# only those blocks are sorted: half the time of `top_k` over all items.
_BLOCK = 32


def best_items(queries: Any, vectors: Any, k: int, excluded: Any = None) -> tuple[Any, Any]:
    """The k items with the largest inner products; equal scores: the lower position first.

    Works on the items chunk by chunk, eagerly or in a graph, on any device. The more queries a
    call has, the smaller the chunks.

    Args:
        queries: float32 (N, D); or (N, K, D), where an item's score is the largest over the K
            interests of a user. An interest of zeros counts as unused, unless all are.
        vectors: float32 (V, D) of the items.
        k: number of items.
        excluded: int32 (N, E), positions that must not come back; negative: none.

    Returns:
        Scores (N, k) and positions (N, k) int32, best first; behind the last item that is left
        scores are -inf and positions -1.
    """
    interests = _interests(queries)
    rows, items = tf.shape(queries)[0], tf.shape(vectors)[0]
    size = tf.maximum(_SCORES // tf.maximum(rows, 1), _ITEMS) // _BLOCK * _BLOCK

    def step(start, scores, places):
        part = vectors[start : start + size]
        number = tf.shape(part)[0]
        whole = number // _BLOCK * _BLOCK
        winners, positions = _best_blocks(
            _scores(interests, part[:whole], excluded, start), k, start
        )
        rest = _scores(interests, part[whole:], excluded, start + whole)
        behind = tf.broadcast_to(tf.range(start + whole, start + number), tf.shape(rest))
        # In the order of the positions, so that `top_k` takes the lower one of equals.
        scores, order = tf.math.top_k(tf.concat([scores, winners, rest], 1), k)
        places = tf.gather(tf.concat([places, positions, behind], 1), order, batch_dims=1)
        return start + size, scores, places

    none = tf.fill([rows, k], -np.inf), tf.fill([rows, k], -1)
    open_rows = tf.TensorShape([queries.shape[0], k])
    _, scores, places = tf.while_loop(
        lambda start, *_: start < items,
        step,
        (tf.constant(0), *none),
        shape_invariants=(tf.TensorShape([]), open_rows, open_rows),
    )
    return scores, places


def all_products(queries: Any, vectors: Any) -> Any:
    """The scores that `best_items` ranks by, of all items: (N, V).

    Of several interests one at a time is multiplied, so that their number takes no memory.

    Args:
        queries: float32 (N, D) or (N, K, D).
        vectors: float32 (V, D) of the items.
    """
    return _scores(_interests(queries), vectors, None, 0)


class ExactSearch:
    """`best_items` for batches of any number of queries, compiled once for each kind of call.

    Args:
        vectors: float32 (V, D) of the items.
    """

    rows = 1024

    def __init__(self, vectors: np.ndarray) -> None:
        self._vectors = tf.constant(vectors)
        self._functions: dict[tuple[Any, ...], Any] = {}

    def __call__(
        self, queries: np.ndarray, k: int, excluded: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Scores and positions, as of `best_items`, for arrays."""
        search = self._function(k, queries.shape[1:], excluded is not None)
        scores = np.empty((len(queries), k), np.float32)
        places = np.empty((len(queries), k), np.int32)
        for start in range(0, len(queries), self.rows):
            part = slice(start, start + self.rows)
            batch = [queries[part]] if excluded is None else [queries[part], excluded[part]]
            found = search(self._vectors, *map(tf.constant, batch))
            scores[part], places[part] = found[0].numpy(), found[1].numpy()
        return scores, places

    def _function(self, k: int, shape: tuple[int, ...], with_excluded: bool) -> Any:
        key = (k, shape, with_excluded)
        if key not in self._functions:
            signature = [
                tf.TensorSpec(self._vectors.shape, tf.float32),
                tf.TensorSpec((None, *shape), tf.float32),
                tf.TensorSpec((None, None), tf.int32),
            ]
            self._functions[key] = tf.function(
                lambda vectors, queries, excluded=None: best_items(
                    queries, vectors, k, excluded
                ),
                input_signature=signature[: 3 if with_excluded else 2],
                autograph=False,
            )
        return self._functions[key]


def _interests(queries: Any) -> list[Any]:
    """Queries (N, D), as many as a user has interests."""
    return [queries] if len(queries.shape) == 2 else tf.unstack(_used(queries), axis=1)


def _used(queries: Any) -> Any:
    """Unused interests, zeros, replaced by the user's first used one, which changes no maximum."""
    used = tf.reduce_any(queries != 0, axis=-1)
    first = tf.argmax(tf.cast(used, tf.int32), axis=1)
    return tf.where(used[..., None], queries, tf.gather(queries, first, batch_dims=1)[:, None])


def _scores(interests: list[Any], part: Any, excluded: Any, start: Any) -> Any:
    """(N, items of the part), -inf where excluded."""
    products = (tf.matmul(queries, part, transpose_b=True) for queries in interests)
    scores = reduce(tf.maximum, products)
    if excluded is None:
        return scores
    places = excluded - start
    hit = tf.where((places >= 0) & (places < tf.shape(part)[0]))  # (row, number in the list)
    hit = tf.stack([hit[:, 0], tf.cast(tf.gather_nd(places, hit), tf.int64)], axis=1)
    return tf.tensor_scatter_nd_update(scores, hit, tf.fill([tf.shape(hit)[0]], -np.inf))


def _best_blocks(scores: Any, k: int, start: Any) -> tuple[Any, Any]:
    """Scores and positions of all items of the k best blocks, by position."""
    rows, number = tf.shape(scores)[0], tf.shape(scores)[1] // _BLOCK
    blocks = tf.reshape(scores, [rows, number, _BLOCK])
    _, best = tf.math.top_k(tf.reduce_max(blocks, axis=-1), tf.minimum(k, number))
    best = tf.sort(best, axis=-1)  # (N, k)
    places = best[..., None] * _BLOCK + tf.range(_BLOCK) + start
    winners = tf.gather(blocks, best, batch_dims=1)  # (N, k, items of a block)
    return tf.reshape(winners, [rows, -1]), tf.reshape(places, [rows, -1])
