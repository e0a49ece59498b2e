"""A decoder behind a model that generates: item ids in, the items' raw keys out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from deeprec_tf.export.raw_inputs import RawInputs
from deeprec_tf.features import VarLenSparseFeat
from deeprec_tf.layers.generative.item_generator import ItemGenerator

IDS = "ids"


class RawAnswers(tf.Module):
    """Maps generated ids to the keys that a fitted encoder gave them.

    Where there is no answer, it is -1, or "" among texts.

    Args:
        encoder: a fitted `deeprec_tf.data.FeatureEncoder`.
        raw_inputs: what maps the model's inputs; the first history says what an item is.
        model: the model that answers.

    Attributes:
        keys: the keys by id + 1.

    Raises:
        ValueError: the encoder has no keys of the items, or the model may answer an id that
            stands for none.
    """

    def __init__(self, encoder: Any, raw_inputs: RawInputs, model: keras.Model) -> None:
        super().__init__()
        if raw_inputs.items is None:
            histories = [c for c in model.feature_columns if isinstance(c, VarLenSparseFeat)]
            table = histories[0].embedding_name
            raise ValueError(
                f"export_saved_model: {model.name} answers with items of "
                f"{[column.name for column in histories]}, whose keys the encoder does not know. "
                f"Give it Category({table!r}), or a feature with vocabulary={table!r}; or leave "
                "the encoder out."
            )
        history, feature = raw_inputs.items
        vocabulary = encoder.vocabulary(feature)
        _refuse_without_key(model, vocabulary)
        is_text = vocabulary.kind == "string"
        keys = np.full(1 + history.vocabulary_size, "" if is_text else -1, object)
        known = vocabulary.values[: len(keys) - 1 - vocabulary.first_id]
        keys[1 + vocabulary.first_id : 1 + vocabulary.first_id + len(known)] = known
        with tf.device("CPU"):  # text is nowhere else
            values = tf.constant(keys.tolist() if is_text else keys.astype("int64"))
            self.keys = tf.Variable(values, trainable=False, name="item_keys")

    def __call__(self, answers: Mapping[str, Any]) -> dict[str, Any]:
        """The answers with keys for ids."""
        return {**answers, IDS: tf.gather(self.keys, answers[IDS] + 1)}


def _refuse_without_key(model: keras.Model, vocabulary: Any) -> None:
    for layer in model.layers:
        if not isinstance(layer, ItemGenerator):
            continue
        ids = layer.decoder.tree.item_ids
        strangers = ids[(ids < vocabulary.first_id) | (ids >= vocabulary.size)].tolist()
        if strangers:
            are_few = len(strangers) <= 5
            named = str(tuple(strangers)) if are_few else f"{strangers[0]} .. {strangers[-1]}"
            raise ValueError(
                f"export_saved_model: {model.name} may answer ids that stand for no key of "
                f"{vocabulary.name!r}, whose ids are {vocabulary.first_id} to "
                f"{vocabulary.size - 1}: {named}. Build it with "
                f"hidden_items={named if are_few else 'these ids'}, or leave the encoder out."
            )
