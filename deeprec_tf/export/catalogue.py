"""The catalogue that a model itself holds: all ids, and the features of its `item_table`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard

import keras
import numpy as np

from deeprec_tf.engine import RecModel
from deeprec_tf.features import FeatureColumn, SparseFeat
from deeprec_tf.layers.retrieval.all_items import ItemFeatures


def own_catalogue(
    owner: str, model: keras.Model, tower: keras.Model, name: str
) -> dict[str, np.ndarray]:
    """All ids from 1 on, with the features that the model holds of them.

    Args:
        owner: the calling function, for messages.
        model: the whole model.
        tower: its item tower, as `item_encoder` cuts it.
        name: the column of the ids.

    Returns:
        Arrays (V - 1, ...) by input name of the tower.

    Raises:
        ValueError: the ids are no plain column, or a feature is in no `item_table`.
    """
    columns = tower.feature_columns if isinstance(tower, RecModel) else []
    names = [tensor.name for tensor in tower.inputs]
    held = {layer.name: layer for layer in model.layers if isinstance(layer, ItemFeatures)}
    others = [other for other in names if other != name]
    tables: dict[str, Any] = {other: held.get(f"all_{other}") for other in others}
    own = next((column for column in columns if column.name == name), None)
    if own is None or not pads_with_zero(own) or None in tables.values():
        names = [column.name for column in columns] or names
        raise ValueError(
            f"{owner}: items is missing. The item tower reads {names}: give a dict or "
            "DataFrame of these, one row an item."
        )
    features = {other: np.array(layer.table)[1:] for other, layer in tables.items()}
    return {name: np.arange(1, own.vocabulary_size, dtype=np.int32), **features}


def items_among(
    tower: keras.Model, arrays: Mapping[str, np.ndarray], named: str | None
) -> np.ndarray | None:
    """Which rows of a catalogue are items, as their id is not 0; None where no id is padding.

    Args:
        tower: an item tower, as `item_encoder` cuts it.
        arrays: its inputs (V, ...) by name.
        named: what the caller says the ids' column is. Where the tower has no such column: the
            item that a recall model tells apart, or the first, as builders put the id first.

    Returns:
        bool array (V,), or None.
    """
    columns = tower.feature_columns if isinstance(tower, RecModel) else []
    by_name = {column.name: column for column in columns if pads_with_zero(column)}
    first = columns[0].name if columns else None
    for name in (named, getattr(tower, "_positive_item", None), first):
        if name in by_name and arrays[name].size == len(arrays[name]):  # (V,) or (V, 1)
            return arrays[name].reshape(-1) != 0
    return None


def pads_with_zero(column: FeatureColumn) -> TypeGuard[SparseFeat]:
    """Whether the column holds plain ids, of which 0 stands for no item."""
    return isinstance(column, SparseFeat) and not column.use_hash
