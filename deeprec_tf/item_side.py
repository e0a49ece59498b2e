"""How the items of a recall model become vectors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from deeprec_tf.batches import check_batch
from deeprec_tf.features import (
    FeatureColumn,
    SparseFeat,
    VarLenDenseFeat,
    VarLenSparseFeat,
    input_specs,
)
from deeprec_tf.inputs import Tables, Tensors, embedding_lookup
from deeprec_tf.layers.core.table_embedding import TableEmbedding
from deeprec_tf.layers.retrieval.all_items import AllIds, ItemFeatures, KeepTogether
from deeprec_tf.layers.retrieval.flat_items import FlatItems, ItemsInPlace
from deeprec_tf.roles import HISTORY_PREFIX, NEGATIVE_PREFIX, split_given
from deeprec_tf.tables import EmbeddingTables, build_embedding_layers


def item_id_column(item_feature_columns: Sequence[FeatureColumn], *, owner: str) -> SparseFeat:
    """The column that names the item: the first, a `SparseFeat`.

    Raises:
        ValueError: the first column is none.
    """
    first = item_feature_columns[0] if item_feature_columns else None
    if not isinstance(first, SparseFeat):
        raise ValueError(
            f"{owner}: the first of item_feature_columns must be the SparseFeat of the item's id, "
            f"got {getattr(first, 'name', None)!r}. Further features of the item come after it."
        )
    if first.use_hash or first.dtype == "string":
        raise ValueError(
            f"{owner}: {first.name!r} is hashed, but ids are labels here, so no two items "
            "may share one. Encode them as 1..n, for example with deeprec_tf.data.Category."
        )
    return first


def two_sided_tables(
    user_feature_columns: Sequence[FeatureColumn], item_feature_columns: Sequence[FeatureColumn]
) -> EmbeddingTables:
    """Tables of both sides; those that items read are variables of their own.

    So a tower can be cut out, and a whole table can be multiplied by.

    Raises:
        ValueError: a column is on both sides.
    """
    of_item = {column.name for column in item_feature_columns}
    both = next((column.name for column in user_feature_columns if column.name in of_item), None)
    if both is not None:
        raise ValueError(
            f"user_feature_columns and item_feature_columns: both have {both!r}, so the user's "
            "side would read the answer. Leave it to one side; what users have of their own, such "
            "as a favourite, is a column of another name (embedding_name shares the table)."
        )
    names = {getattr(column, "embedding_name", None) for column in item_feature_columns} - {None}
    shared = [c for c in user_feature_columns if getattr(c, "embedding_name", None) in names]
    rest = [c for c in user_feature_columns if c not in shared]
    of_items = build_embedding_layers([*item_feature_columns, *shared], fuse=False)
    return EmbeddingTables({**build_embedding_layers(rest), **of_items})


class ItemSide:
    """How items become vectors: the positive of a row, the catalogue, or any ids.

    `has_bias` says whether the last number of a vector is a bias, not what the item is like.

    Args:
        columns: the item's columns, its id first; those of given negatives may stand among them.
        inputs: Inputs by name.
        tables: tables by name.
        tower: layers that follow on the joined features, applied one after another.
        item_table: `{column: array}` of the features of every item, row i that of id i; wanted for
            columns besides the id where a loss needs items that are not in the batch.
        owner: the model's name, for messages.
    """

    has_bias = False

    def __init__(
        self, columns: Sequence[FeatureColumn], inputs: Tensors, tables: Tables,
        tower: Sequence[Callable[[Any], Any]] = (), *, item_table: Mapping[str, Any] | None = None,
        owner: str = "model",
    ) -> None:
        self.owner = owner
        self.columns, self.given = split_given(columns, owner=owner)
        self.id_column = item_id_column(columns, owner=owner)
        self.inputs, self.tables, self.tower = inputs, tables, list(tower)
        self.ids = inputs[self.id_column.name]  # (B,)
        self.size = self.id_column.vocabulary_size
        self._features = self._feature_layers({} if item_table is None else item_table)
        self._unread = dict(self._features)  # those that no part of the graph has looked up yet

    def _feature_layers(self, item_table: Mapping[str, Any]) -> dict[str, ItemFeatures]:
        layers = {}
        known = [
            column for column in self.columns[1:]
            if any(name in item_table for name in input_specs([column]))
        ]
        names = list(input_specs(self.columns[1:]))
        unknown = [name for name in item_table if name not in names]
        if unknown:
            raise ValueError(
                f"{self.owner}: item_table has {unknown[0]!r}, which is no column of the item "
                f"beside its id; those are {names}."
            )
        text = next((c.name for c in known if getattr(c, "dtype", None) == "string"), None)
        if text is not None:
            raise ValueError(
                f"{self.owner}: item_table has {text!r}, a column of texts; it holds numbers. "
                "Encode the texts as ids, for example with deeprec_tf.data.Category."
            )
        table = check_batch(known, item_table, owner=f"{self.owner}: item_table") if known else {}
        for name, values in table.items():
            if len(values) != self.size:
                raise ValueError(
                    f"{self.owner}: item_table[{name!r}] has {len(values)} rows, but "
                    f"{self.id_column.name!r} has {self.size} ids (0 is padding). Give row i the "
                    "feature of item i; deeprec_tf.data.item_table makes it."
                )
            layers[name] = ItemFeatures(
                values.shape, values=values, feature_dtype=str(values.dtype), name=f"all_{name}"
            )
        return layers

    def encode(self, features: Tensors) -> Any:
        """The vectors of items whose features are given: (..., D)."""
        ids = features[self.id_column.name]
        is_flat = len(ids.shape) == 1 or not any(map(_is_list, self.columns))
        if not is_flat:  # lists are pooled a row
            features = {name: FlatItems(len(ids.shape))(t) for name, t in features.items()}
        vector = self.lookup(features)
        for layer in self.tower:
            vector = layer(vector)
        return vector if is_flat else ItemsInPlace()(vector, ids)

    def lookup(self, features: Tensors) -> Any:
        """What is known of items side by side, before the tower: (..., n)."""
        return embedding_lookup(features, self.tables, self.columns)

    def features_of(self, ids: Any, known: Tensors | None = None) -> dict[str, Any]:
        """What is known of some ids.

        Args:
            ids: integer tensor (...).
            known: columns that are there already.

        Raises:
            ValueError: a column is in no item_table.
        """
        features = {self.id_column.name: ids, **(known or {})}
        for column in self.columns[1:]:
            if column.name in features:
                continue
            if column.name not in self._features:
                of_history = (
                    f"for the history alone a column {HISTORY_PREFIX + column.name!r} does, "
                    if isinstance(column, SparseFeat) else ""
                )
                raise ValueError(
                    f"{self.owner}: {column.name!r} is wanted of items that are not the row's own. "
                    f"Pass item_table={{{column.name!r}: array}}, row i that of item i; "
                    f"{of_history}for negatives there is 'in_batch'."
                )
            for name in input_specs([column]):  # its lengths and weights, too
                features[name] = self._features[name](ids)
                self._unread.pop(name, None)
        return features

    def keeping_table(self, losses: Any) -> Any:
        """The losses as they are, from a layer that has the model hold its whole `item_table`.

        Losses that need no other items look none of it up, but index and evaluation read it.
        """
        if not self._unread:
            return losses
        rows = [layer(self.ids) for layer in self._unread.values()]
        self._unread = {}
        return KeepTogether(name="item_table")(losses, *rows)

    def vectors_of(self, ids: Any) -> Any:
        """The vectors of some ids: (...) to (..., D)."""
        return self.encode(self.features_of(ids))

    def positive(self) -> Any:
        """The vector of the row's item (B, D)."""
        return self.encode(self.inputs)

    def given_negatives(self, labels: Any) -> tuple[Any, Any]:
        """Ids (B, N) and vectors (B, N, D) of the negatives that the batch brings along.

        Raises:
            ValueError: there is no column of them, or a row has several positives.
        """
        name = self.id_column.name
        if name not in self.given or len(labels.shape) == 2:
            raise ValueError(
                f"{self.owner}: negatives='given' needs a column {NEGATIVE_PREFIX + name!r} among "
                "item_feature_columns, and one positive a row. Add VarLenSparseFeat(SparseFeat("
                f"{NEGATIVE_PREFIX + name!r}, …, embedding_name={self.id_column.embedding_name!r}"
                "), maxlen=…), or use Sampled(…)."
            )
        known = {item: self.inputs[column.name] for item, column in self.given.items()}
        return known[name], self.encode(self.features_of(known[name], known))

    def all(self, like: Any) -> Any:
        """The vectors of all ids, padding's among them: (V, D)."""
        table = self.tables[str(self.id_column.embedding_name)]
        if len(self.columns) == 1 and not self.tower and isinstance(table, TableEmbedding):
            return table(like, whole=True)
        return self.encode(self.features_of(AllIds(self.size)(like)))


def item_tower(columns: Sequence[FeatureColumn], width: int | None) -> list[Any]:
    """The map from an item's joined features to its vector.

    The id alone is its own vector, as the models know items by a table that is tied to their
    output; other features, or another width, are mapped linearly.
    """
    columns, _ = split_given(columns)
    own: Any = columns[0]
    if len(columns) == 1 and width in (None, own.embedding_dim):
        return []
    units = own.embedding_dim if width is None else width
    return [keras.layers.Dense(units, use_bias=False, name="item_projection")]


def _is_list(column: FeatureColumn) -> bool:
    return isinstance(column, VarLenSparseFeat | VarLenDenseFeat)
