"""A two-tower model taken apart for evaluation: vectors of users, and of the whole catalogue."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from deeprec_tf.data.tables import row_count, take
from deeprec_tf.engine import RecModel
from deeprec_tf.export.catalogue import own_catalogue
from deeprec_tf.export.cuts import ITEM_VECTOR, USER_VECTOR, item_encoder, user_encoder


class Towers:
    """The two encoders of a model, cut once; they share its weights and so follow its training.

    Args:
        owner: the calling function, for messages.
        model: a model with the joints `user_vector` and `item_vector`.
        items: the catalogue, one row an item: dict of arrays or DataFrame with the inputs of the
            item tower. May be left out where that tower reads an id and nothing else, or the
            model holds the other features of all its items (`item_table`).
        item: name of the column of ids.

    Attributes:
        ids: ids of the catalogue, ascending.

    Raises:
        ValueError: the model has no such joints, the catalogue is missing, lacks an input, has
            columns of different lengths, or an id twice.
    """

    def __init__(self, owner: str, model: keras.Model, items: Any, item: str | None) -> None:
        self._owner = owner
        self._user, self._item = user_encoder(model), item_encoder(model)
        id_name = self._id_column(item)
        if items is None:
            items = own_catalogue(owner, model, self._item, id_name)
        features = only_inputs(owner, self._item, items, "items")
        row_count(f"{owner}: items", features)
        ids = np.asarray(features[id_name])
        if ids.ndim != 1 or ids.dtype.kind not in "iu":
            raise ValueError(
                f"{owner}: column {id_name!r} of items must hold one integer id a row, got "
                f"{ids.dtype} of shape {ids.shape}."
            )
        rows = np.flatnonzero(ids > 0)
        if len(rows) == 0:
            raise ValueError(f"{owner}: items has no item (0 is padding).")
        values, first, counts = np.unique(ids[rows], return_index=True, return_counts=True)
        if len(values) < len(rows):
            raise ValueError(f"{owner}: items has the id {values[counts > 1][0]} twice.")
        self.ids = values.astype(np.int64)
        self._features = take(features, rows[first])

    def user_vectors(self, x: Any, batch_size: int) -> np.ndarray:
        """(N, D), or (N, K, D) with several interests."""
        if isinstance(x, tf.data.Dataset):
            x = x.map(lambda *batch: only_inputs(self._owner, self._user, batch[0], "x"))
            return self._user.predict(x, verbose=0)[USER_VECTOR]
        x = only_inputs(self._owner, self._user, x, "x")
        return self._user.predict(x, batch_size=batch_size, verbose=0)[USER_VECTOR]

    def item_vectors(self, batch_size: int) -> np.ndarray:
        """(n, D), in the order of `ids`."""
        return self._item.predict(self._features, batch_size=batch_size, verbose=0)[ITEM_VECTOR]

    def _id_column(self, item: str | None) -> str:
        names = [tensor.name for tensor in self._item.inputs]
        columns = self._item.feature_columns if isinstance(self._item, RecModel) else []
        if item is None:  # builders put the id first
            item = columns[0].name if columns else names[0]
            if not columns and len(names) > 1:
                raise ValueError(
                    f"{self._owner}: the item tower reads {names}; name the one that holds the "
                    "ids: item=..."
                )
        if item not in names:
            raise ValueError(
                f"{self._owner}: item={item!r} is none of the item tower's inputs {names}."
            )
        return item


def only_inputs(owner: str, model: keras.Model, x: Any, label: str) -> Any:
    """The columns that a model reads, as what it takes.

    Raises:
        TypeError: `x` has no columns.
        ValueError: one is missing.
    """
    if not hasattr(x, "keys"):
        raise TypeError(
            f"{owner}: {label} must be a dict of arrays or a DataFrame, got {type(x).__name__}."
        )
    names = [tensor.name for tensor in model.inputs]
    missing = [name for name in names if name not in x]
    if missing:
        raise ValueError(
            f"{owner}: {label} has no column {missing[0]!r}; it needs {names}, got "
            f"{list(x.keys())}."
        )
    if isinstance(x, pd.DataFrame) and isinstance(model, RecModel):
        return x[names]
    return {name: _as_array(f"{owner}: {label}", name, x[name]) for name in names}


def _as_array(owner: str, name: str, values: Any) -> Any:
    if tf.is_tensor(values):
        return values
    try:
        return np.asarray(values)
    except ValueError as error:
        raise ValueError(
            f"{owner} has rows of different lengths in {name!r}. Pad them with 0 at the end."
        ) from error
