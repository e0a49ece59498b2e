"""A decoder behind a model that generates: item ids in, the items' raw keys out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from deeprec_tf.export.raw_inputs import RawInputs

IDS = "ids"


class RawAnswers(tf.Module):
    """Maps generated ids to the keys that a fitted encoder gave them.

    Where an id stands for no key, and where there is none, it is -1, or "" among texts.

    Args:
        encoder: a fitted `deeprec_tf.data.FeatureEncoder`.
        raw_inputs: what maps the model's inputs; the first history says what an item is.

    Attributes:
        keys: the keys by id + 1.
    """

    def __init__(self, encoder: Any, raw_inputs: RawInputs) -> None:
        super().__init__()
        vocabulary = encoder.vocabulary(raw_inputs.item_category)
        is_text = vocabulary.kind == "string"
        keys = np.full(1 + raw_inputs.item_count, "" if is_text else -1, object)
        known = vocabulary.values[: len(keys) - 1 - vocabulary.first_id]
        keys[1 + vocabulary.first_id : 1 + vocabulary.first_id + len(known)] = known
        with tf.device("CPU"):  # text is nowhere else
            values = tf.constant(keys.tolist() if is_text else keys.astype("int64"))
            self.keys = tf.Variable(values, trainable=False, name="item_keys")

    def __call__(self, answers: Mapping[str, Any]) -> dict[str, Any]:
        """The answers with keys for ids."""
        return {**answers, IDS: tf.gather(self.keys, answers[IDS] + 1)}
