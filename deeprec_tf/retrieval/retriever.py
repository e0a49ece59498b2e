"""One SavedModel from a user's features to item ids and scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from deeprec_tf.export.cuts import ITEM_VECTOR, USER_VECTOR, item_encoder, user_encoder
from deeprec_tf.export.raw_inputs import RawInputs
from deeprec_tf.export.saved_model import (
    ID_SIGNATURE,
    SERVING_SIGNATURE,
    version_folder,
    write_whole,
)
from deeprec_tf.export.signatures import check_names, input_specs_of
from deeprec_tf.graph import inputs_of
from deeprec_tf.model_input import model_input
from deeprec_tf.retrieval.exact import best_items
from deeprec_tf.retrieval.index_input import checked_number, nobody
from deeprec_tf.retrieval.item_index import ItemIndex
from deeprec_tf.roles import HISTORY_PREFIX, owner_of

_OWNER = "export_retriever"


def export_retriever(
    model: keras.Model,
    items: ItemIndex | Mapping[str, Any] | None,
    path: str | Path,
    *,
    k: int = 100,
    ids: Any = None,
    encoder: Any = None,
    exclude: str | Sequence[str] = (),
    exclude_input: str | None = None,
    version: int | None = None,
) -> Path:
    """Writes user tower and exact item index as one SavedModel: features in, items out.

    The signature `serving_default` takes the inputs of the user tower and answers with "ids" and
    "scores", (B, k), best first, as `ItemIndex.search` would: several interests a user count by
    the best of them, equal scores come by ascending id, and where fewer than k items are left the
    id is -1 ("" among texts) and the score -inf. Batch and time axis are open.

    With an encoder it takes raw values, as `export_saved_model` does, and answers with the
    items' raw keys; the signature `ids` then takes and gives ids.

    Args:
        model: a model with the joints `user_vector` and `item_vector`, trained or reloaded.
        items: inputs of the item tower by name, as ids, (V, ...) each, or a DataFrame; or a
            built `ItemIndex`, whose back-end is left out: the answer is always exact. None for
            every item that the model knows, as for `ItemIndex.of_model`, and that has a raw key
            where there is an encoder.
        path: local folder of the model; versions are its subfolders, as for `export_saved_model`.
        k: number of items in an answer.
        ids: as for `ItemIndex.of_model`; with an `ItemIndex`, the name of the item column.
            Answers and `exclude_input` hold these; histories hold what the model calls its items,
            which an index of `of_model` knows, and others must have as their `ids`.
        encoder: `deeprec_tf.data.FeatureEncoder` that the training data were encoded with.
        exclude: histories of the user, by input name, whose items are not answered.
        exclude_input: name of a further input (B, E) of what must not be answered, padded with 0
            or ""; it may be empty, (B, 0). With an encoder it takes raw keys.
        version: positive number of the version; one more than the newest when None.

    Returns:
        The folder of the version.

    Raises:
        TypeError: the encoder is none.
        ValueError: a joint is missing, a name of `exclude` is no history of items, the encoder
            doesn't know the items, an item has the id 0 where items are excluded, an input's name
            is no plain word (`user id`, `1st`), or a vector, k or the version is out of place.

    Example:
        >>> import tempfile
        >>> from deeprec_tf.export import load_saved_model
        >>> user, item = keras.Input((2,), name="user"), keras.Input((2,), name="item")
        >>> users = keras.layers.Identity(name="user_vector")(user)
        >>> vectors = keras.layers.Identity(name="item_vector")(item)
        >>> score = keras.layers.Dot(1)([users, vectors])
        >>> model = keras.Model({"user": user, "item": item}, score)
        >>> items = {"item": np.array([[1.0, 0.0], [0.0, 1.0]]), "id": [7, 8]}
        >>> path = export_retriever(model, items, tempfile.mkdtemp(), k=1, ids="id")
        >>> load_saved_model(path)({"user": [[0.1, 0.9]]})["ids"].tolist()
        [[8]]
    """
    target = version_folder(_OWNER, path, version)
    tower = user_encoder(model)
    item_name = _item_name(model, items, ids)
    index = items if isinstance(items, ItemIndex) else ItemIndex.of_model(model, items, ids)
    if items is None and item_name is not None and hasattr(encoder, "vocabulary"):
        # Unknown items have an id, but no key.
        known = np.isin(index.ids, encoder.vocabulary(item_name).ids)
        index = ItemIndex().build(index.vectors[known], index.ids[known])
    k = checked_number(_OWNER, k, len(index.ids))
    _check_width(tower, index)
    histories = _checked_histories(model, tower, index, exclude, item_name)
    lists = _further_lists(tower, index, exclude_input)
    retriever = _Retriever(tower, index, k, histories, tuple(lists))
    archive = keras.export.ExportArchive()
    archive.track(tower)
    archive.track(retriever)
    by_ids = {**input_specs_of(tower), **lists}
    check_names(_OWNER, by_ids)
    if encoder is None:
        archive.add_endpoint(SERVING_SIGNATURE, retriever, [by_ids])
    else:
        if item_name is None:
            raise ValueError(
                f"{_OWNER}: to answer with raw keys the item column must be named: ids='item_id'."
            )
        raw_inputs = RawInputs(encoder, tower, dict.fromkeys(lists, item_name), owner=_OWNER)
        check_names(_OWNER, raw_inputs.specs)
        answers = _answers(_raw_keys(encoder, item_name, index))
        archive.track(raw_inputs.layer)
        keys = tf.Module()
        keys.answers = answers
        archive.track(keys)
        archive.add_endpoint(ID_SIGNATURE, retriever, [by_ids])
        archive.add_endpoint(
            SERVING_SIGNATURE,
            lambda raw: retriever(raw_inputs(raw), answers),
            [raw_inputs.specs],
        )
    write_whole(archive, target)
    return target


class _Retriever(tf.Module):
    """The user tower, the items and the search, with what of it must be saved."""

    def __init__(
        self,
        tower: keras.Model,
        index: ItemIndex,
        k: int,
        histories: dict[str, str | None],
        lists: tuple[str, ...],
    ) -> None:
        super().__init__(name="retriever")
        self._tower = tower
        self._k = k
        self._histories = histories
        self._lists = lists
        self.vectors = tf.Variable(index.vectors, trainable=False, name="item_vectors")
        self.answers = _answers(index.ids)
        self.places_of_answers = _places(index.ids) if lists else None
        self.places_in_histories = _places(index.model_ids) if histories else None

    def __call__(self, inputs: Mapping[str, Any], answers: Any = None) -> dict[str, Any]:
        """Item ids and scores, (B, k) each, for inputs at the level of ids."""
        features = {
            name: model_input(value) for name, value in inputs.items() if name not in self._lists
        }
        vectors = tf.cast(self._tower(features, training=False)[USER_VECTOR], tf.float32)
        scores, places = best_items(vectors, self.vectors, self._k, self._excluded(inputs))
        answers = self.answers if answers is None else answers
        return {"ids": tf.gather(answers, places + 1), "scores": scores}

    def _excluded(self, inputs: Mapping[str, Any]) -> Any:
        found = [_in_list(self.places_of_answers, inputs[name]) for name in self._lists]
        for name, length_name in self._histories.items():
            length = None if length_name is None else inputs[length_name]
            found.append(_in_list(self.places_in_histories, inputs[name], length))
        return tf.concat(found, axis=1) if found else None


def _places(ids: np.ndarray) -> Any:
    """The positions of ids, as a table that a SavedModel holds."""
    kind = tf.string if ids.dtype.kind == "U" else tf.int64
    if 0 in ids:  # of texts there is none
        raise ValueError(
            f"{_OWNER}: an item has the id 0, which is padding where items are excluded. Number "
            "the items from 1."
        )
    return tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(
            tf.constant(_plain(ids), kind), tf.range(len(ids), dtype=tf.int64)
        ),
        default_value=-1,
    )


def _in_list(places: Any, values: Any, length: Any = None) -> Any:
    """Positions (B, E) int32 of the items in lists, -1 for padding and what is none."""
    is_text = places.key_dtype == tf.string
    keys = values if is_text else tf.cast(values, tf.int64)
    real = keys != ("" if is_text else 0)
    if length is not None:
        within = tf.sequence_mask(length, tf.shape(values)[1])
        real &= within[..., None] if len(values.shape) == 3 else within
    found = tf.where(real, places.lookup(keys), tf.constant(-1, tf.int64))
    size = tf.reduce_prod(tf.shape(found)[1:])
    return tf.cast(tf.reshape(found, [tf.shape(found)[0], size]), tf.int32)


def _plain(ids: np.ndarray) -> np.ndarray:
    return ids.astype(object) if ids.dtype.kind == "U" else ids


def _answers(ids: np.ndarray) -> tf.Variable:
    """What stands for "no item", then the ids."""
    with tf.device("CPU"):  # text is nowhere else
        table = np.concatenate([np.array([nobody(ids)], dtype=ids.dtype), ids])
        return tf.Variable(tf.constant(_plain(table)), trainable=False, name="item_ids")


def _item_name(model: keras.Model, items: Any, ids: Any) -> str | None:
    """The item column: as named, or the only input of the item tower."""
    if isinstance(ids, str):
        return ids
    if all(layer.name != ITEM_VECTOR for layer in model.layers):
        return None  # items are an index, of whatever model
    inputs = inputs_of(keras.tree.flatten(item_encoder(model).output))
    columns = getattr(item_encoder(model), "feature_columns", ())
    if items is None and columns:
        return columns[0].name
    return inputs[0].name if len(inputs) == 1 else None


def _check_width(tower: keras.Model, index: ItemIndex) -> None:
    width = tower.output[USER_VECTOR].shape[-1]
    if width != index.vectors.shape[1]:
        raise ValueError(
            f"{_OWNER}: {tower.name} gives vectors of {width} numbers, the items have "
            f"{index.vectors.shape[1]}. Give the items of the same model."
        )


def _checked_histories(
    model: keras.Model,
    tower: keras.Model,
    index: ItemIndex,
    exclude: str | Sequence[str],
    item_name: str | None,
) -> dict[str, str | None]:
    """The name of the length of each history to exclude, or None."""
    specs = input_specs_of(tower)
    columns = {column.name: column for column in getattr(model, "feature_columns", ())}
    kept = {column.name: column for column in getattr(tower, "feature_columns", ())}
    of_item = [column for column in columns.values() if column.name not in kept]
    if of_item and item_name not in columns and index.model_ids is not index.ids:
        item_name = of_item[0].name
    found: dict[str, str | None] = {}
    for name in (exclude,) if isinstance(exclude, str) else exclude:
        if name not in specs or specs[name].shape.rank < 2:
            fitting = [key for key, spec in specs.items() if spec.shape.rank > 1]
            raise ValueError(
                f"{_OWNER}: exclude names {name!r}, which is no history of {tower.name}; it has "
                f"{fitting}."
            )
        column: Any = columns.get(name)
        owner = column and owner_of(column, of_item, list(kept.values()))
        of_items = owner == item_name or (owner is None and _may_hold(column, columns, item_name))
        if item_name in columns and not of_items:
            whose = repr(owner) if owner else "its own"
            raise ValueError(
                f"{_OWNER}: exclude names {name!r}, which holds ids of {whose}, the items' ids "
                f"are of {item_name!r}. Name a history of items."
            )
        is_text = specs[name].dtype == tf.string
        if is_text != (index.model_ids.dtype.kind == "U"):
            words = {True: "text", False: "integers"}
            raise ValueError(
                f"{_OWNER}: {name!r} holds {words[is_text]}, the items' ids are "
                f"{words[not is_text]}. Give the items' ids as the model reads them: ids='...'."
            )
        size = None if getattr(column, "use_hash", True) else column.vocabulary_size
        own = index.model_ids
        if size is not None and not ((own >= 0) & (own < size)).any():
            raise ValueError(
                f"{_OWNER}: {name!r} holds ids 0..{size - 1}, the items' are "
                f"{index.model_ids.min()}..{index.model_ids.max()}. Make the index with "
                "ItemIndex.of_model, which knows what the model calls its items."
            )
        found[name] = getattr(kept.get(name), "length_name", None)
    return found


def _may_hold(column: Any, columns: Mapping[str, Any], item_name: str | None) -> bool:
    """Whether a history with a table of its own holds item ids, by its name or its ids' number."""
    sizes = [getattr(one, "vocabulary_size", None) for one in (column, columns.get(str(item_name)))]
    return column is None or column.name == f"{HISTORY_PREFIX}{item_name}" or sizes[0] == sizes[1]


def _further_lists(
    tower: keras.Model, index: ItemIndex, exclude_input: str | None
) -> dict[str, tf.TensorSpec]:
    if exclude_input is None:
        return {}
    if exclude_input in input_specs_of(tower):
        raise ValueError(
            f"{_OWNER}: exclude_input={exclude_input!r} is an input of {tower.name} already. Give "
            "another name, or exclude=... if what that history holds must not come back."
        )
    kind = tf.string if index.ids.dtype.kind == "U" else tf.int64
    return {exclude_input: tf.TensorSpec((None, None), kind, name=exclude_input)}


def _raw_keys(encoder: Any, item_name: str, index: ItemIndex) -> np.ndarray:
    """The raw keys of the items, in their order."""
    if index.ids.dtype.kind != "i":
        raise ValueError(
            f"{_OWNER}: with an encoder the items' ids are those that it makes, got text. Leave "
            "the encoder out, or give ids."
        )
    vocabulary = encoder.vocabulary(item_name)
    strangers = index.ids[(index.ids < vocabulary.first_id) | (index.ids >= vocabulary.size)]
    if len(strangers):
        raise ValueError(
            f"{_OWNER}: the item {strangers[0].item()} stands for no key of {item_name!r}, whose "
            f"ids are {vocabulary.first_id} to {vocabulary.size - 1}. Leave it out of items."
        )
    keys = vocabulary.values[index.ids - vocabulary.first_id]
    return keys.astype(str) if vocabulary.kind == "string" else keys.astype(np.int64)
