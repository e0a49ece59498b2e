"""What a recall model over a graph of interactions knows: who has what, and propagated vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np

from deeprec_tf.features import FeatureColumn, SparseFeat
from deeprec_tf.inputs import Tensors, embedding_lookup, refuse_sequences
from deeprec_tf.item_side import ItemSide
from deeprec_tf.layers.retrieval.all_items import AllIds
from deeprec_tf.layers.retrieval.graph_propagation import GraphPropagation
from deeprec_tf.layers.retrieval.graph_rows import GraphPenalty, GraphRows
from deeprec_tf.layers.retrieval.propagated_embedding import PropagatedEmbedding
from deeprec_tf.tables import build_embedding_layers


@dataclass(frozen=True)
class InteractionGraph:
    """A bipartite graph of users and items.

    Attributes:
        names: input names of users and items.
        sizes: rows of their tables.
        edges: int32 (E, 2), user and item, each pair once.
    """

    names: tuple[str, str]
    sizes: tuple[int, int]
    edges: np.ndarray


def interaction_graph(
    interactions: Any, num_users: int | None = None, num_items: int | None = None, *, owner: str
) -> InteractionGraph:
    """The graph of pairs of a user and an item.

    Args:
        interactions: integers (N, 2), user and item of each interaction, as an array, a list, or a
            DataFrame whose two columns name the inputs. Users from 0, items from 1.
        num_users: highest id of a user; that among the interactions when None.
        num_items: highest id of an item, likewise.
        owner: the model's name, for messages.

    Raises:
        TypeError: ids are no integers.
        ValueError: not two columns, no row, or an id out of range.
    """
    names = tuple(map(str, getattr(interactions, "columns", ("user_id", "item_id"))))
    pairs = np.asarray(interactions)
    if pairs.ndim != 2 or pairs.shape[1] != 2 or len(pairs) == 0:
        raise ValueError(
            f"{owner}: interactions must hold a user and an item a row, (N, 2), got the shape "
            f"{pairs.shape}. Of a table with more columns give log[['user_id', 'item_id']]."
        )
    if pairs.dtype.kind not in "iu":
        raise TypeError(
            f"{owner}: interactions must be integer ids, got {pairs.dtype}. Encode them first, for "
            "example with deeprec_tf.data.Category."
        )
    sizes = []
    for side, (given, first) in enumerate(((num_users, 0), (num_items, 1))):
        lowest, highest = int(pairs[:, side].min()), int(pairs[:, side].max())
        most = highest if given is None else given
        if lowest < first or highest > most:
            raise ValueError(
                f"{owner}: {names[side]!r} of interactions must lie in {first}..{most}, got "
                f"{lowest}..{highest}. "
                + ("Id 0 is no item: give items ids from 1." if side and lowest < 1 else
                   "Re-encode the ids, or give the highest one as num_users or num_items.")
            )
        sizes.append(most + 1)
    keys = pairs[:, 0].astype("int64") * sizes[1] + pairs[:, 1]
    _, kept = np.unique(keys, return_index=True)
    edges = pairs[kept].astype("int32")
    return InteractionGraph((names[0], names[1]), (sizes[0], sizes[1]), edges)


class PropagatedSide:
    """One of the two sides of a graph: its vectors when it trains, and when it serves.

    Called with ids, it gives their vectors from tables that were propagated in this very step, and
    penalizes the rows they are made of.

    Attributes:
        table: the layer with the side's table; called with ids, it looks up what it was propagated
            to before.
        whole: all vectors of this step, (V, D).
    """

    def __init__(self, table: PropagatedEmbedding, before: Any, whole: Any, l2: float) -> None:
        self.table, self.whole, self._before = table, whole, before
        side = table.name.removeprefix("embedding_")
        rows: Any = GraphRows(name=f"rows_of_{side}")
        self.rows = partial(rows, whole)
        self._penalty = GraphPenalty(l2, name=f"penalty_of_{side}") if l2 else None

    def __call__(self, ids: Any) -> Any:
        """Integer ids (...) to their vectors (..., D)."""
        return self.penalized(self.rows(ids), ids)

    def penalized(self, vectors: Any, ids: Any) -> Any:
        """Any vectors of the training path, with the penalty on the rows of these ids."""
        return self._penalty(vectors, self._before, ids) if self._penalty else vectors


def featured_items(
    inputs: Tensors, item: SparseFeat, columns: Sequence[FeatureColumn],
    item_table: Mapping[str, Any] | None, *, owner: str,
) -> Any:
    """What the features of all items give their vectors, a linear map of them: (V, D).

    Args:
        inputs: Inputs by name.
        item: the column of the item's id.
        columns: features of the item beside its id.
        item_table: `{column: array}` of all of them, row i that of item i.
        owner: the model's name, for messages.

    Returns:
        A tensor, or None without columns.

    Raises:
        ValueError: a sequence that is not pooled, or a column and the table do not go together.
    """
    taken = next((column.name for column in columns if column.name in inputs), None)
    if taken is not None:
        raise ValueError(
            f"{owner}: {taken!r} names the ids already. Leave it out of item_feature_columns, "
            "which are those beside the id, or rename it."
        )
    refuse_sequences(owner, columns)
    missing = [column.name for column in columns if column.name not in (item_table or {})]
    if missing:
        raise ValueError(
            f"{owner}: item_table misses {missing[0]!r} of item_feature_columns. Give it as an "
            "array, row i that of item i; deeprec_tf.data.item_table makes it."
        )
    tables = build_embedding_layers(columns, fuse=False)
    side = ItemSide([item, *columns], inputs, tables, item_table=item_table, owner=owner)
    if not columns:
        return None
    known = side.features_of(AllIds(item.vocabulary_size, name="all_ids")(side.ids))
    flat = embedding_lookup(known, tables, columns)  # (V, n)
    return keras.layers.Dense(item.embedding_dim, use_bias=False, name="item_projection")(flat)


def propagated_sides(
    inputs: Tensors, columns: Sequence[SparseFeat], graph: InteractionGraph, *, num_layers: int,
    l2: float, features: Any = None,
) -> list[PropagatedSide]:
    """Both sides of a graph, users first, propagated once a step.

    Args:
        inputs: Inputs by name.
        columns: the ids of both sides.
        graph: who has what.
        num_layers: K, steps over the graph.
        l2: weight of the penalty on the rows of a batch before the propagation.
        features: what is added to the items' table before, (V, D), or None.
    """
    tables = [
        PropagatedEmbedding(
            column.vocabulary_size, column.embedding_dim, name=f"embedding_{column.name}",
            embeddings_initializer=keras.initializers.RandomNormal(stddev=0.1),
        )
        for column in columns
    ]
    before = [
        table(inputs[column.name], whole=True)
        for table, column in zip(tables, columns, strict=True)
    ]
    if features is not None:
        before[1] = keras.layers.Add(name="featured_items", dtype="float32")([before[1], features])
    behind = GraphPropagation(
        len(graph.edges), num_layers, edges=graph.edges, name="propagation"
    )(*before)
    return [
        PropagatedSide(*side, l2) for side in zip(tables, before, behind, strict=True)
    ]


class GraphItems(ItemSide):
    """Items whose vectors come out of a graph; those that are drawn are penalized."""

    def positive(self) -> Any:
        """The vector of the row's item (B, D)."""
        return self._through_tower(self._side.rows(self.ids))

    def all(self, like: Any) -> Any:
        """The vectors of all ids, padding's among them: (V, D)."""
        return self._through_tower(self._side.whole)

    @property
    def _side(self) -> Any:
        return self.tables[self.id_column.name]

    def _through_tower(self, vectors: Any) -> Any:
        for layer in self.tower:
            vectors = layer(vectors)
        return vectors
