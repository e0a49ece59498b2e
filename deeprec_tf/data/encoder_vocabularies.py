"""The vocabularies of an encoder: learned from a table, extended by another, compared."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from deeprec_tf.data.encoder_features import (
    Category,
    CategoryList,
    Feature,
    Text,
    sources_of_vocabularies,
    vocabulary_name,
)
from deeprec_tf.data.encoder_values import source_keys, texts
from deeprec_tf.data.number_transforms import FIRST_BUCKET_ID, NumberState
from deeprec_tf.data.tables import Table
from deeprec_tf.data.vocabulary import OOV_ID, Vocabulary


def learned(features: Sequence[Feature], table: Table) -> dict[str, Vocabulary]:
    """The vocabularies of a table's columns.

    Raises:
        TypeError: a column holds another type than declared.
        ValueError: a column is missing or has nothing to learn from.
    """
    owning = {
        vocabulary_name(feature)
        for feature in features
        if isinstance(feature, Category) and feature.missing == "own"
    }
    vocabularies = {
        name: Vocabulary.learn(
            name,
            [(source.name, source_keys(source, table)) for source in sources],
            min_frequency=sources[0].min_frequency,
            max_size=sources[0].max_size,
            owns_missing=name in owning,
        )
        for name, sources in sources_of_vocabularies(features).items()
    }
    _check_others(features, vocabularies, table, {feature.name for feature in features})
    return vocabularies


def extended(
    features: Sequence[Feature],
    vocabularies: Mapping[str, Vocabulary],
    table: Table,
    names: Collection[str],
) -> dict[str, Vocabulary]:
    """The vocabularies with the new values of a table's columns behind their own.

    Args:
        features: all features of the encoder.
        vocabularies: its vocabularies by name.
        table: the rows that came.
        names: features whose columns are read.

    Raises:
        TypeError: a column holds another type than at fit.
        ValueError: a column is missing.
    """
    longer = dict(vocabularies)
    for name, sources in sources_of_vocabularies(features).items():
        read = [source for source in sources if source.name in names]
        longer[name] = vocabularies[name].extended(
            [(source.name, source_keys(source, table)) for source in read],
            min_frequency=sources[0].min_frequency,
            max_size=sources[0].max_size,
        )
    _check_others(features, longer, table, names)
    return longer


def _check_others(
    features: Sequence[Feature],
    vocabularies: Mapping[str, Vocabulary],
    table: Table,
    names: Collection[str],
) -> None:
    """Columns that nothing is learned from hold what is declared too."""
    sources = sources_of_vocabularies(features)
    for feature in features:
        if feature.name not in names:
            continue
        if isinstance(feature, Text):
            texts(feature, table)
        elif isinstance(feature, Category | CategoryList):
            name = vocabulary_name(feature)
            if feature not in sources[name]:
                vocabularies[name].key_table(feature.name, source_keys(feature, table))


def ids_between(
    old: Mapping[str, Vocabulary | NumberState], new: Mapping[str, Vocabulary | NumberState]
) -> dict[str, np.ndarray]:
    """For each feature with ids on both sides: the new id of each old one, -1 for none.

    Raises:
        TypeError: a feature holds text on one side and integers on the other.
    """
    ids = {}
    for name, state in new.items():
        before = old.get(name)
        if isinstance(state, Vocabulary) and isinstance(before, Vocabulary):
            ids[name] = _ids_of_keys(name, before, state)
        elif isinstance(state, NumberState) and isinstance(before, NumberState):
            same = np.arange(before.size)  # other edges are other buckets
            known = before.edges == state.edges
            ids[name] = same if known else np.where(same < FIRST_BUCKET_ID, same, -1)
    return ids


def _ids_of_keys(name: str, old: Vocabulary, new: Vocabulary) -> np.ndarray:
    ids = new.encode(name, old.values).astype(np.int64)
    reserved = np.arange(old.first_id)
    reserved[reserved >= new.first_id] = -1  # missing values had an id of their own
    return np.concatenate([reserved, np.where(ids == OOV_ID, -1, ids)])
