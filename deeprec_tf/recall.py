"""What recall models share: how an item becomes a vector, the score, and the loss of a row."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from deeprec_tf import losses
from deeprec_tf.candidates import AllItems, Given, candidate_sets
from deeprec_tf.engine import RecModel
from deeprec_tf.features import (
    FeatureColumn,
    SparseFeat,
    VarLenSparseFeat,
)
from deeprec_tf.inputs import Tensors, padding_mask, refuse_sequences
from deeprec_tf.item_side import ItemSide as ItemSide
from deeprec_tf.item_side import item_tower as item_tower
from deeprec_tf.item_side import two_sided_tables as two_sided_tables
from deeprec_tf.layers.core.mlp import MLP, checked_widths
from deeprec_tf.layers.core.prediction import PredictionLayer
from deeprec_tf.layers.core.unit_length import UnitLength
from deeprec_tf.layers.retrieval.catalogue_loss import CatalogueLoss
from deeprec_tf.layers.retrieval.dot_score import DotScore
from deeprec_tf.multitask import TaskTypes, balanced
from deeprec_tf.numeric import check_whole_numbers
from deeprec_tf.recall_loss import loss_against
from deeprec_tf.roles import NEGATIVE_PREFIX, histories_of, split_by_role
from deeprec_tf.task_kinds import RETRIEVAL, ROW_LOSS, kind_of


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

    Raises:
        ValueError: a number that is no whole one from 1 on.

    Example:
        >>> users, items = next_item_columns(100, maxlen=20, embedding_dim=16)
        >>> users[0].name, items[0].vocabulary_size
        ('hist_item_id', 101)
    """
    check_whole_numbers(
        "next_item_columns", item_num=item_num, maxlen=maxlen, embedding_dim=embedding_dim
    )
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

    def widened(column: FeatureColumn) -> Any:
        if isinstance(column, SparseFeat):
            return dataclasses.replace(column, embedding_dim=embedding_dim)
        if isinstance(column, VarLenSparseFeat):
            return dataclasses.replace(column, sparsefeat=widened(column.sparsefeat))
        return column

    return [widened(column) for column in feature_columns]


@dataclasses.dataclass(frozen=True)
class UserSequence:
    """The user's side of a sequence model.

    Attributes:
        columns: the user's columns; histories stay sequences.
        ids: ids of the history (B, T).
        vectors: vectors of its items (B, T, D), by the item side's own maps.
        mask: bool (B, T), True = real.
        context: the user's other columns.
        maxlen: longest history.
    """

    columns: list[FeatureColumn]
    ids: Any
    vectors: Any
    mask: Any
    context: list[FeatureColumn]
    maxlen: int


def user_sequence(
    user_feature_columns: Sequence[FeatureColumn], items: ItemSide
) -> UserSequence:
    """Finds the history of the items among the user's columns and looks it up.

    The history of item column X is `hist_X`, or the one VarLen column that shares X's table;
    features of the item without a history of their own come from the item side's `item_table`, by
    the ids of the history.

    Raises:
        ValueError: the id has no history, a feature has neither, a column has two histories, or
            another column of the user stays a sequence.
    """
    owner, columns = items.owner, items.columns
    first = items.id_column.name
    with_history = [
        name for name in histories_of(columns, user_feature_columns, owner=owner) if name != first
    ]
    roles = split_by_role(
        [*user_feature_columns, *columns], [first, *with_history], owner=owner
    )
    history: Any = roles.behaviors[0]
    ids = items.inputs[history.name]  # (B, T)
    features = items.features_of(ids, known={
        name: items.inputs[other.name]
        for name, other in zip(with_history, roles.behaviors[1:], strict=True)
    })
    histories = {column.name: column for column in roles.behaviors}
    context = [c for c in user_feature_columns if c.name not in histories]
    refuse_sequences(owner, context)
    return UserSequence(
        columns=[histories.get(column.name, column) for column in user_feature_columns],
        ids=ids,
        vectors=items.encode(features),
        mask=padding_mask(items.inputs, roles.behaviors),
        context=context,
        maxlen=history.maxlen,
    )


def seen_items(user_feature_columns: Sequence[FeatureColumn], items: ItemSide, table: Any) -> Any:
    """Ids (B, S) of the items in all the user's histories; None where there is no history.

    Args:
        user_feature_columns: columns of the user.
        items: the item side, for its inputs.
        table: `embedding_name` of the histories.
    """
    found = [
        keras.layers.Reshape((-1,), name=f"{column.name}_seen")(items.inputs[column.name])
        if column.group > 1 else items.inputs[column.name]
        for column in user_feature_columns
        if isinstance(column, VarLenSparseFeat) and column.embedding_name == table
        and not column.name.startswith(NEGATIVE_PREFIX)
    ]
    if len(found) < 2:
        return found[0] if found else None
    return keras.layers.Concatenate(axis=1, name="seen_items")(found)


def is_softmax(loss: Any) -> bool:
    """Whether a builder's `loss` is the softmax, by class, by name or by default."""
    return isinstance(loss, losses.Softmax) or loss in (None, "softmax", "infonce")


def cosine_temperature(temperature: float | str | None, loss: Any) -> float | str:
    """The temperature of a model that compares by the cosine, where none is given.

    .05 for the softmax, a learned scale for losses of logits, and 1 for those of pairs, so that
    the margin of a triplet is one of cosines.
    """
    if temperature is not None:
        return temperature
    if is_softmax(loss):
        return 0.05
    reads_logits = loss in ("bce", "gbce") or getattr(loss, "reads_logits", False)
    return "learned" if reads_logits else 1.0


def tower_layers(
    side: str, hidden_units: Sequence[int], *, activation: str, dropout: Any,
    unit_length: bool = True,
) -> list[Any]:
    """The layers of one of two towers: an MLP, a linear map to the last width, length 1."""
    widths = checked_widths(f"{side}_tower", hidden_units)
    if not widths:
        raise ValueError(
            f"{side}_tower: hidden_units is empty, but its last number is the width of the "
            "vectors. Give at least that."
        )
    *inner_units, width = widths
    layers = [
        MLP(inner_units, activation=activation, dropout=dropout, name=f"{side}_tower"),
        keras.layers.Dense(width, use_bias=False, name=f"{side}_projection"),
    ]
    return [*layers, UnitLength(name=f"{side}_unit")] if unit_length else layers


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
    heads: Mapping[str, Any] | None = None,
    head_types: TaskTypes | None = None,
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
        heads: predictions of further tasks by name, each of a `PredictionLayer` of that name.
        head_types: their types, as `task_types_of` gives them.
        optimizer: Keras optimizer or name.
        metrics: none, but for heads; see `RetrievalEvaluation`.
        jit_compile: as in `keras.Model.compile`.
        name: name of the model.

    Returns:
        A `RecModel` whose prediction is `score` (B, 1), <user_vector, item_vector>.
    """
    queries = user_vector if queries is None else queries
    labels = items.ids if labels is None else labels
    positives = item_vector if positives is None else positives
    sets = candidate_sets(negatives, owner=items.owner)
    _check_given(items, sets, feature_columns)
    row_loss = row_losses(items, sets, loss, temperature, queries, labels, positives, seen)
    row_loss = items.keeping_table(row_loss)
    score = PredictionLayer("regression", use_bias=False, name="score")(
        DotScore()(user_vector, item_vector)
    )  # (B, 1)
    outputs = {"score": score, **(heads or {}), ROW_LOSS: row_loss}
    if heads:
        head_types = head_types or {}
        outputs = balanced(inputs, outputs, {"score": RETRIEVAL, **head_types}, owner=name)
        if metrics is None:
            metrics = {task: kind_of(kind).metrics() for task, kind in head_types.items()}
    model = RecModel(
        inputs, outputs, feature_columns=feature_columns, positive_item=items.id_column.name,
        name=name,
    )
    model.compile(optimizer=optimizer, metrics=metrics, jit_compile=jit_compile)
    return model


def row_losses(
    items: ItemSide, sets: list[Any], loss: Any, temperature: float | str, queries: Any,
    labels: Any, positives: Any, seen: Any,
) -> Any:
    """What each row adds to the mean loss over all positions that have a positive: (B, 1).

    Args:
        items: how items become vectors.
        sets: what positives are compared with, as `candidate_sets` gives them.
        loss: a `RankingLoss` or its name; the softmax when None.
        temperature: divides scores, or "learned".
        queries: (B, D) or (B, T, D).
        labels: ids of the positives (B,) or (B, T), 0 where there is none.
        positives: vectors of the labels.
        seen: ids (B, S) of the row's history, 0 for padding, or None.

    Raises:
        ValueError: parts that don't go together.
    """
    owner = items.owner
    loss = losses.get("softmax" if loss is None else loss, owner=owner, items=items.size - 1)
    if not isinstance(sets[0], AllItems):
        return loss_against(sets, items, loss, temperature, queries, labels, positives, seen)
    if not isinstance(loss, losses.Softmax) or temperature == "learned":
        raise ValueError(
            f"{owner}: negatives='all' is for loss='softmax' with a fixed temperature, got "
            f"{loss!r} and temperature={temperature!r}. Use deeprec_tf.candidates.Sampled(…)."
        )
    return CatalogueLoss(temperature, name=ROW_LOSS)(queries, labels, items.all(labels))


def _check_given(items: ItemSide, sets: Any, feature_columns: Sequence[FeatureColumn]) -> None:
    """Negatives in the user's tower would tell it what the item is not; unread ones are a slip."""
    given = [column.name for column in items.given.values()]
    if given and not any(isinstance(one, Given) for one in sets):
        raise ValueError(
            f"{items.owner}: the column {given[0]!r} was given, but negatives has no 'given'. Add "
            "it, or drop the column."
        )
    wanted = {NEGATIVE_PREFIX + column.name for column in items.columns}
    stray = next((c.name for c in feature_columns if c.name in wanted.difference(given)), None)
    if stray is not None:
        raise ValueError(
            f"{items.owner}: {stray!r} holds negatives of the item. Give it as a VarLenSparseFeat "
            "among item_feature_columns, not among the user's."
        )
