"""What recall models share: how an item becomes a vector, the score, and the loss of a row."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from deeprec_tf import losses
from deeprec_tf.candidates import AllItems, Candidates, InBatch, candidate_sets
from deeprec_tf.engine import ROW_LOSS, RecModel
from deeprec_tf.features import (
    DenseFeat,
    FeatureColumn,
    SparseFeat,
    VarLenSparseFeat,
)
from deeprec_tf.inputs import Tables, Tensors, embedding_lookup, padding_mask
from deeprec_tf.layers.core.prediction import PredictionLayer
from deeprec_tf.layers.core.table_embedding import TableEmbedding
from deeprec_tf.layers.retrieval.all_items import AllIds, BatchItems, ItemFeatures
from deeprec_tf.layers.retrieval.catalogue_loss import CatalogueLoss
from deeprec_tf.layers.retrieval.dot_score import DotScore
from deeprec_tf.layers.retrieval.item_probability import ItemProbability
from deeprec_tf.layers.retrieval.retrieval_loss import RetrievalLoss
from deeprec_tf.layers.retrieval.sampled_items import SampledItems
from deeprec_tf.roles import HISTORY_PREFIX, split_by_role
from deeprec_tf.tables import EmbeddingTables, build_embedding_layers

STEPS_IN_BATCH = 1024


def next_item_columns(
    item_num: int, maxlen: int, embedding_dim: int = 64
) -> tuple[list[FeatureColumn], list[FeatureColumn]]:
    """User and item columns of a model that knows items by their id alone.

    Args:
        item_num: number of items; ids run from 1 to item_num, 0 is padding.
        maxlen: longest history.
        embedding_dim: width of the item table.

    Returns:
        The columns of the user, `hist_item_id`, and those of the item, `item_id`.

    Example:
        >>> users, items = next_item_columns(100, maxlen=20, embedding_dim=16)
        >>> users[0].name, items[0].vocabulary_size
        ('hist_item_id', 101)
    """
    item = SparseFeat("item_id", item_num + 1, embedding_dim=embedding_dim)
    history = SparseFeat(
        "hist_item_id", item_num + 1, embedding_dim=embedding_dim, embedding_name="item_id"
    )
    return [VarLenSparseFeat(history, maxlen)], [item]


def with_width(
    feature_columns: Sequence[FeatureColumn], embedding_dim: int | None
) -> list[FeatureColumn]:
    """The columns with tables of one width, or as they are for None."""
    if embedding_dim is None:
        return list(feature_columns)

    def widened(column: FeatureColumn) -> FeatureColumn:
        if isinstance(column, SparseFeat):
            return dataclasses.replace(column, embedding_dim=embedding_dim)
        if isinstance(column, VarLenSparseFeat):
            return dataclasses.replace(column, sparsefeat=widened(column.sparsefeat))
        return column

    return [widened(column) for column in feature_columns]


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
    return first


def two_sided_tables(
    user_feature_columns: Sequence[FeatureColumn], item_feature_columns: Sequence[FeatureColumn]
) -> EmbeddingTables:
    """Tables of both sides; those that items read are variables of their own.

    So a tower can be cut out, and a whole table can be multiplied by.
    """
    of_items = build_embedding_layers(item_feature_columns, fuse=False)
    names = set(of_items)
    rest = [c for c in user_feature_columns if getattr(c, "embedding_name", None) not in names]
    return EmbeddingTables({**build_embedding_layers(rest), **of_items})


class ItemSide:
    """How items become vectors: the positive of a row, the catalogue, or any ids.

    Args:
        columns: the item's columns, its id first.
        inputs: Inputs by name.
        tables: tables by name.
        tower: layers that follow on the joined features, applied one after another.
        item_table: `{column: array}` of the features of every item, row i that of id i; wanted for
            columns besides the id where a loss needs items that are not in the batch.
        owner: the model's name, for messages.
    """

    def __init__(
        self, columns: Sequence[FeatureColumn], inputs: Tensors, tables: Tables,
        tower: Sequence[Callable[[Any], Any]] = (), *, item_table: Mapping[str, Any] | None = None,
        owner: str = "model",
    ) -> None:
        self.owner = owner
        self.columns = list(columns)
        self.id_column = item_id_column(columns, owner=owner)
        self.inputs, self.tables, self.tower = inputs, tables, list(tower)
        self.ids = inputs[self.id_column.name]  # (B,)
        self.size = self.id_column.vocabulary_size
        self._features = self._feature_layers(item_table or {})

    def _feature_layers(self, item_table: Mapping[str, Any]) -> dict[str, ItemFeatures]:
        layers = {}
        for column in self.columns[1:]:
            if column.name not in item_table:
                continue
            values = np.asarray(item_table[column.name])
            if len(values) != self.size:
                raise ValueError(
                    f"{self.owner}: item_table[{column.name!r}] has {len(values)} rows, but "
                    f"{self.id_column.name!r} has {self.size} ids (0 is padding). Give row i the "
                    "feature of item i; deeprec_tf.data.item_table makes it."
                )
            dtype = "int32"
            if isinstance(column, DenseFeat):
                values, dtype = values.reshape(self.size, column.dimension), "float32"
            layers[column.name] = ItemFeatures(
                values.shape, values=values, feature_dtype=dtype, name=f"all_{column.name}"
            )
        return layers

    def encode(self, features: Tensors) -> Any:
        """The vectors of items whose features are given: (..., D)."""
        vector = embedding_lookup(features, self.tables, self.columns)
        for layer in self.tower:
            vector = layer(vector)
        return vector

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
                raise ValueError(
                    f"{self.owner}: {column.name!r} is wanted of items that are not the row's own. "
                    f"Pass item_table={{{column.name!r}: array}}, row i that of item i; for the "
                    f"history alone a column {HISTORY_PREFIX + column.name!r} does, for negatives "
                    "there is 'in_batch'."
                )
            features[column.name] = self._features[column.name](ids)
        return features

    def vectors_of(self, ids: Any) -> Any:
        """The vectors of some ids: (...) to (..., D)."""
        return self.encode(self.features_of(ids))

    def positive(self) -> Any:
        """The vector of the row's item (B, D)."""
        return self.encode(self.inputs)

    def all(self, like: Any) -> Any:
        """The vectors of all ids, padding's among them: (V, D)."""
        table = self.tables[str(self.id_column.embedding_name)]
        if len(self.columns) == 1 and not self.tower and isinstance(table, TableEmbedding):
            return table(like, whole=True)
        return self.vectors_of(AllIds(self.size)(like))


def item_tower(columns: Sequence[FeatureColumn], width: int | None) -> list[Any]:
    """The map from an item's joined features to its vector.

    The id alone is its own vector, as the models know items by a table that is tied to their
    output; other features, or another width, are mapped linearly.
    """
    own = columns[0]
    if len(columns) == 1 and width in (None, own.embedding_dim):
        return []
    units = own.embedding_dim if width is None else width
    return [keras.layers.Dense(units, use_bias=False, name="item_projection")]


def with_context(states: Any, context: Any) -> Any:
    """States (B, T, d) or (B, d) that know the user's other features (B, C): d + C mapped to d."""
    width = states.shape[-1]
    of_states = keras.layers.Dense(width, use_bias=False, name="state_projection")(states)
    of_context = keras.layers.Dense(width, name="context_projection")(context)
    if len(states.shape) == 3:
        of_context = keras.ops.expand_dims(of_context, 1)
    return keras.layers.Add(name="states_and_context")([of_states, of_context])


@dataclasses.dataclass(frozen=True)
class UserSequence:
    """The user's side of a sequence model.

    Attributes:
        ids: ids of the history (B, T).
        vectors: vectors of its items (B, T, D), by the item side's own maps.
        mask: bool (B, T), True = real.
        context: the user's other columns.
        maxlen: longest history.
    """

    ids: Any
    vectors: Any
    mask: Any
    context: list[FeatureColumn]
    maxlen: int


def user_sequence(
    user_feature_columns: Sequence[FeatureColumn], items: ItemSide
) -> UserSequence:
    """Finds the history of the items among the user's columns and looks it up.

    The history of item column X is `hist_X`; features of the item without a history of their own
    come from the item side's `item_table`, by the ids of the history.

    Raises:
        ValueError: the id has no history, or a feature has neither.
    """
    owner, columns = items.owner, items.columns
    everything = [*user_feature_columns, *columns]
    named = {column.name for column in user_feature_columns}
    with_history = [
        c.name for c in columns[1:]
        if isinstance(c, SparseFeat) and HISTORY_PREFIX + c.name in named
    ]
    roles = split_by_role(everything, [items.id_column.name, *with_history], owner=owner)
    ids = items.inputs[roles.behaviors[0].name]  # (B, T)
    features = items.features_of(ids, known={
        name: items.inputs[history.name]
        for name, history in zip(with_history, roles.behaviors[1:], strict=True)
    })
    taken = {column.name for column in (*roles.behaviors, *columns)}
    return UserSequence(
        ids=ids,
        vectors=items.encode(features),
        mask=padding_mask(items.inputs, roles.behaviors),
        context=[c for c in user_feature_columns if c.name not in taken],
        maxlen=roles.behaviors[0].maxlen,
    )


def joint(tensor: Any, name: str) -> Any:
    """The tensor through a layer of its own, named so that others can cut there."""
    return keras.layers.Identity(name=name, dtype="float32")(tensor)


def recall_model(
    inputs: Tensors,
    items: ItemSide,
    user_vector: Any,
    item_vector: Any,
    *,
    feature_columns: Sequence[FeatureColumn],
    queries: Any = None,
    labels: Any = None,
    positives: Any = None,
    seen: Any = None,
    loss: Any = None,
    negatives: Any = "in_batch",
    temperature: float | str = 1.0,
    optimizer: Any = "adam",
    metrics: Any = None,
    jit_compile: bool | str = "auto",
    name: str = "model",
) -> RecModel:
    """A compiled recall model from its two vectors.

    Args:
        inputs: Inputs by name.
        items: how items become vectors.
        user_vector: joint (B, D), or (B, K, D) with several interests.
        item_vector: joint (B, D) of the positive.
        feature_columns: columns of both sides.
        queries: what is trained, (B, D) or (B, T, D), where it is not the user vector.
        labels: ids of the positives (B,) or (B, T), 0 where there is none; the row's item when
            None.
        positives: vectors of the labels; the row's item when None.
        seen: ids (B, S) of the row's history, 0 for padding, for sets that hide them.
        loss: a `RankingLoss` or its name; the softmax when None.
        negatives: see `deeprec_tf.candidates`.
        temperature: divides scores in the loss, or "learned".
        optimizer: Keras optimizer or name.
        metrics: whatever `keras.Model.compile` takes, by output.
        jit_compile: as in `keras.Model.compile`.
        name: name of the model.

    Returns:
        A `RecModel` whose prediction is `score` (B, 1), <user_vector, item_vector>.
    """
    queries = user_vector if queries is None else queries
    labels = items.ids if labels is None else labels
    positives = item_vector if positives is None else positives
    owner, sets = items.owner, candidate_sets(negatives, owner=items.owner)
    loss = losses.get("softmax" if loss is None else loss, owner=owner, items=items.size - 1)
    if isinstance(sets[0], AllItems):
        if not isinstance(loss, losses.Softmax) or temperature == "learned":
            raise ValueError(
                f"{owner}: negatives='all' is for loss='softmax' with a fixed temperature, got "
                f"{loss!r} and temperature={temperature!r}. Use deeprec_tf.candidates.Sampled(…)."
            )
        row_loss = CatalogueLoss(temperature, name=ROW_LOSS)(queries, labels, items.all(labels))
    else:
        row_loss = _against(
            sets, items, loss, temperature, queries, labels, positives, seen
        )
    score = PredictionLayer("regression", use_bias=False, name="score")(
        DotScore()(user_vector, item_vector)
    )  # (B, 1)
    model = RecModel(
        inputs, {"score": score, ROW_LOSS: row_loss}, feature_columns=feature_columns,
        positive_item=items.id_column.name, name=name,
    )
    model.compile(optimizer=optimizer, metrics=metrics, jit_compile=jit_compile)
    return model


def _against(
    sets: list[Candidates], items: ItemSide, loss: Any, temperature: Any, queries: Any,
    labels: Any, positives: Any, seen: Any,
) -> Any:
    """The loss of each row against candidates that are drawn."""
    is_sequence = len(labels.shape) == 2
    candidates, positive_log_q = [], None
    for place, one in enumerate(sets):
        if isinstance(one, InBatch):
            ids, vectors = labels, positives
            if is_sequence or one.number is not None:
                ids, vectors = BatchItems(one.number or STEPS_IN_BATCH)(labels, positives)
            distribution, times, is_corrected = "popularity", 1, one.counts is not None
            alpha, of_positive = 1.0, one.correct_positive
        else:
            ids = SampledItems(
                items.size, one.number, one.distribution, counts=one.counts, alpha=one.alpha,
                each=one.each,
            )(labels)
            vectors = items.vectors_of(ids)
            distribution, times, alpha, of_positive = one.distribution, one.number, one.alpha, True
            is_corrected = isinstance(loss, losses.Softmax) if one.correct is None else one.correct
        if not is_corrected:
            candidates.append((ids, vectors))
            continue
        probability = ItemProbability(
            items.size, distribution, counts=one.counts, alpha=alpha, times=times,
            name=f"log_q_{place}",
        )
        candidates.append((ids, vectors, probability(ids)))
        if positive_log_q is None and of_positive:
            positive_log_q = probability(labels)
    hidden = {one.hide_seen for one in sets}
    if hidden == {True, False} or (True in hidden and seen is None):
        raise ValueError(
            f"{items.owner}: hide_seen needs a history, and holds for all negatives or none."
        )
    return RetrievalLoss(
        loss, temperature, hardest=[one.hardest for one in sets], name=ROW_LOSS
    )(
        queries, positives, labels, candidates, positive_log_q=positive_log_q,
        seen=seen if True in hidden else None,
    )
