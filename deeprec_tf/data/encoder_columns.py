"""Feature columns from a fitted encoder's features."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from deeprec_tf.data.encoder_features import (
    Category,
    CategoryList,
    Feature,
    Number,
    vocabulary_name,
)
from deeprec_tf.data.number_transforms import NumberState
from deeprec_tf.data.vocabulary import Vocabulary
from deeprec_tf.features import DenseFeat, FeatureColumn, SparseFeat, VarLenSparseFeat


def make_columns(
    features: Sequence[Feature],
    states: Mapping[str, Vocabulary | NumberState],
    widths: Mapping[str, int | str],
    embedding_dim: int | str,
    combiners: Mapping[str, str],
) -> list[FeatureColumn]:
    """A column for each feature but texts.

    Args:
        features: the features, in the order of the columns.
        states: what was learned for each feature.
        widths: embedding widths by table.
        embedding_dim: width of the other tables.
        combiners: combiners by list feature.
    """
    columns: list[FeatureColumn] = []
    for feature in features:
        state = states.get(feature.name)
        if state is None:
            continue
        if isinstance(feature, Number) and feature.transform != "bucketize":
            columns.append(DenseFeat(feature.name))
            continue
        table = feature.name
        if isinstance(feature, Category | CategoryList):
            table = vocabulary_name(feature)
        column = SparseFeat(
            feature.name,
            state.size,
            embedding_dim=widths.get(table, embedding_dim),
            embedding_name=table,
        )
        if not isinstance(feature, CategoryList):
            columns.append(column)
            continue
        columns.append(
            VarLenSparseFeat(
                column,
                feature.maxlen,
                combiner=combiners.get(feature.name, "mean"),
                length_name=feature.length_name,
            )
        )
    return columns


def make_behavior_columns(
    columns: Iterable[FeatureColumn], maxlen: int, length_name: str | None, prefix: str
) -> list[FeatureColumn]:
    """For each `SparseFeat` the column of its history, in the same table."""
    return [
        VarLenSparseFeat(
            SparseFeat(
                prefix + column.name,
                column.vocabulary_size,
                embedding_dim=column.embedding_dim,
                embedding_name=column.embedding_name,
            ),
            maxlen,
            length_name=length_name,
        )
        for column in columns
        if isinstance(column, SparseFeat)
    ]


def widths_by_table(
    features: Iterable[Feature], embedding_dims: Mapping[str, int | str] | None
) -> dict[str, int | str]:
    """`embedding_dims`, given by feature or vocabulary, as widths by table.

    Raises:
        ValueError: a name is not known, or two features of one table ask for different widths.
    """
    table_of: dict[str, str] = {}
    for feature in features:
        if isinstance(feature, Category | CategoryList):
            table_of[feature.name] = vocabulary_name(feature)
            table_of.setdefault(vocabulary_name(feature), vocabulary_name(feature))
        elif isinstance(feature, Number) and feature.transform == "bucketize":
            table_of[feature.name] = feature.name
    widths: dict[str, int | str] = {}
    check_names("embedding_dims", embedding_dims or {}, table_of)
    for name, width in (embedding_dims or {}).items():
        if widths.setdefault(table_of[name], width) != width:
            raise ValueError(
                f"FeatureEncoder: embedding_dims gives table {table_of[name]!r} two widths, "
                f"{widths[table_of[name]]!r} and {width!r}."
            )
    return widths


def check_names(label: str, given: Iterable[str], known: Iterable[Any]) -> None:
    """A readable ValueError for a name that is not known."""
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise ValueError(
            f"FeatureEncoder: {label} names {unknown}, which can't stand there; possible are "
            f"{sorted(known)}."
        )
