"""What sequence models share beyond `deeprec_tf.recall`.

Items with a bias, items that are compared by their cosine, pairs of dropouts.
"""

from __future__ import annotations

from numbers import Real
from typing import Any

import keras

from deeprec_tf.item_side import ItemSide
from deeprec_tf.layers.core.table_embedding import TableEmbedding
from deeprec_tf.layers.core.unit_length import UnitLength


class BiasedItems(ItemSide):
    """Items whose vector is [v, b] with a learned bias b, for users whose vector is [u, 1].

    So the score <u, v> + b is one inner product, and an index of the vectors ranks by it. What a
    sequence model reads of its history, `encode`, is v alone.
    """

    has_bias = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.bias = TableEmbedding(
            self.size, 1, embeddings_initializer="zeros", name="item_bias"
        )

    def with_bias(self, vectors: Any, ids: Any) -> Any:
        """The vectors (..., D) of some ids (...) with their biases: (..., D + 1)."""
        return keras.layers.Concatenate()([vectors, self.bias(ids)])

    def vectors_of(self, ids: Any) -> Any:
        """The vectors of some ids: (...) to (..., D + 1)."""
        return self.with_bias(super().vectors_of(ids), ids)

    def positive(self) -> Any:
        """The vector of the row's item (B, D + 1)."""
        return self.with_bias(super().positive(), self.ids)

    def all(self, like: Any) -> Any:
        """The vectors of all ids, padding's among them: (V, D + 1)."""
        return keras.layers.Concatenate()([super().all(like), self.bias(like, whole=True)])


class UnitItems(ItemSide):
    """Items that are compared by their cosine.

    Their vectors have length 1; what a sequence model reads of its history, `encode`, has not.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.unit = UnitLength(name="item_unit")

    def vectors_of(self, ids: Any) -> Any:
        """The vectors of some ids: (...) to (..., D)."""
        return self.unit(super().vectors_of(ids))

    def positive(self) -> Any:
        """The vector of the row's item (B, D)."""
        return self.unit(super().positive())

    def all(self, like: Any) -> Any:
        """The vectors of all ids, padding's among them: (V, D)."""
        return self.unit(super().all(like))


def two_dropouts(dropout: Any, *, owner: str) -> tuple[float, float]:
    """The shares dropped of embeddings and of what the model makes of them.

    Args:
        dropout: one number for both, or a pair.
        owner: the model's name, for messages.

    Raises:
        ValueError: neither, or outside [0, 1).
    """
    pair = (dropout, dropout) if isinstance(dropout, Real) else tuple(dropout)
    if len(pair) != 2 or any(not 0 <= share < 1 for share in pair):
        raise ValueError(
            f"{owner}: dropout must be one number in [0, 1) or a pair, of the embeddings and of "
            f"the states, got {dropout!r}."
        )
    return float(pair[0]), float(pair[1])

