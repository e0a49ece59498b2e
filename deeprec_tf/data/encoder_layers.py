"""The encoder as Keras layers: raw tensors in, model inputs out, the bits of `transform`.

Texts, lookup tables and float64 live here, outside the model: the model's own graph starts at
ids and floats, so that it compiles under XLA and exports to ONNX.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from deeprec_tf.data.encoder_features import Category, CategoryList, Feature, Number
from deeprec_tf.data.vocabulary import MISSING_INTEGER

if TYPE_CHECKING:
    from deeprec_tf.data.number_transforms import NumberState
    from deeprec_tf.data.vocabulary import Vocabulary


@keras.saving.register_keras_serializable(package="deeprec_tf")
class SplitText(keras.layers.Layer):
    """Splits texts at a separator and keeps the last `maxlen` pieces; empty pieces are dropped.

    Args:
        separator: text between the pieces.
        maxlen: most pieces a row keeps.

    Call arguments:
        texts: string tensor (B,).

    Returns:
        String tensor (B, maxlen), left-aligned, "" behind the pieces.
    """

    def __init__(self, separator: str, maxlen: int, **kwargs: Any):
        super().__init__(**{"dtype": "string", **kwargs})
        self.separator = separator
        self.maxlen = maxlen

    def call(self, texts: Any) -> Any:
        """Split, drop empty pieces, keep the last ones."""
        import tensorflow as tf  # Keras has no operations on strings

        pieces = tf.strings.split(texts, sep=self.separator)
        pieces = tf.ragged.boolean_mask(pieces, tf.not_equal(pieces, ""))
        return _last(pieces, self.maxlen, "")

    def compute_output_spec(self, texts: Any) -> keras.KerasTensor:
        """Shape and dtype of the result; strings can't be traced."""
        return keras.KerasTensor((texts.shape[0], self.maxlen), dtype="string")

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "separator": self.separator, "maxlen": self.maxlen}


@keras.saving.register_keras_serializable(package="deeprec_tf")
class KeepNewest(keras.layers.Layer):
    """Drops values that stand for "no element" and keeps the last `maxlen` of the others.

    Args:
        maxlen: most elements a row keeps.
        drop: values to drop; the first of them pads the result.

    Call arguments:
        values: int64 or string tensor (B, T).

    Returns:
        Tensor (B, maxlen) of the same dtype, left-aligned.
    """

    def __init__(self, maxlen: int, drop: Sequence[int] | Sequence[str], **kwargs: Any):
        super().__init__(**{"autocast": False, **kwargs})
        self.maxlen = maxlen
        self.drop = list(drop)

    def call(self, values: Any) -> Any:
        """Drop, keep the last ones, left-align."""
        import tensorflow as tf  # ragged tensors keep this one pass

        real = tf.reduce_all([tf.not_equal(values, value) for value in self.drop], axis=0)
        return _last(tf.ragged.boolean_mask(values, real), self.maxlen, self.drop[0])

    def compute_output_spec(self, values: Any) -> keras.KerasTensor:
        """Shape and dtype of the result; strings can't be traced."""
        return keras.KerasTensor((values.shape[0], self.maxlen), dtype=values.dtype)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "maxlen": self.maxlen, "drop": self.drop}


def _last(ragged: Any, maxlen: int, fill: Any) -> Any:
    return ragged[:, -maxlen:].to_tensor(default_value=fill, shape=(None, maxlen))


def lookup_layer(vocabulary: Vocabulary) -> keras.layers.Layer:
    """Keras lookup of a vocabulary: 0 for missing, 1 for unknown, then the values from 2."""
    name = f"lookup_{vocabulary.name}"
    if vocabulary.kind == "int64":
        return keras.layers.IntegerLookup(
            vocabulary=vocabulary.values,
            mask_token=MISSING_INTEGER,
            oov_token=_unused(vocabulary.values, range(-1, -(2**62), -1)),
            name=name,
        )
    spare = ("[UNK]" + "_" * count for count in range(len(vocabulary) + 1))
    return keras.layers.StringLookup(
        vocabulary=vocabulary.values.tolist(),
        mask_token="",
        oov_token=_unused(vocabulary.values, spare),
        name=name,
    )


def _unused(values: np.ndarray, tokens: Any) -> Any:
    taken = set(values.tolist())
    return next(token for token in tokens if token not in taken)


def category_input(feature: Category | CategoryList, kind: str) -> Any:
    """The raw Input of a category or a list."""
    if isinstance(feature, CategoryList) and feature.separator is None:
        return keras.Input((None,), dtype=kind, name=feature.name)
    dtype = "string" if isinstance(feature, CategoryList) else kind
    return keras.Input((), dtype=dtype, name=feature.name)


def category_ids(raw: Any, lookup: Any, vocabulary: Vocabulary, missing: int) -> Any:
    """Ids (B,) int32 of raw keys (B,)."""
    ids = _shifted(lookup(raw), vocabulary)
    return ops.where(ops.equal(ids, 0), ops.cast(missing, "int32"), ids)


def list_ids(raw: Any, feature: CategoryList, lookup: Any, vocabulary: Vocabulary) -> Any:
    """Ids (B, maxlen) int32 of raw lists."""
    if feature.separator is not None:
        layer = SplitText(feature.separator, feature.maxlen, name=f"split_{feature.name}")
    else:
        drop: list[Any] = [""]
        if vocabulary.kind == "int64":
            drop = [MISSING_INTEGER] + ([] if feature.padding is None else [feature.padding])
        layer = KeepNewest(feature.maxlen, drop, name=f"newest_{feature.name}")
    return _shifted(lookup(layer(raw)), vocabulary)


def _shifted(looked_up: Any, vocabulary: Vocabulary) -> Any:
    """Ids from a lookup: values start at 2 there, at 3 where id 2 is kept for missing."""
    ids = ops.cast(looked_up, "int32")
    if vocabulary.first_id == 2:
        return ids
    return ops.where(ops.greater(ids, 1), ids + (vocabulary.first_id - 2), ids)


def number_values(raw: Any, feature: Number, state: NumberState) -> Any:
    """The model's input of raw float32 numbers (B,)."""
    missing = ops.logical_not(ops.isfinite(raw))
    filled = ops.where(missing, ops.cast(state.fill or 0.0, "float32"), raw)
    if feature.transform == "bucketize":
        buckets = keras.layers.Discretization(
            bin_boundaries=list(state.edges), name=f"bucketize_{feature.name}"
        )(filled)
        ids = ops.cast(buckets, "int32") + 2
        return ops.where(missing, ops.cast(1, "int32"), ids) if state.fill is None else ids
    if feature.transform is None:
        return filled
    exact = ops.cast(filled, "float64")
    if feature.transform == "log1p":
        exact = ops.sign(exact) * ops.log1p(ops.absolute(exact))
    else:
        exact = keras.layers.Normalization(
            axis=None,
            mean=state.mean,
            variance=state.variance,
            dtype="float64",
            name=f"standardize_{feature.name}",
        )(exact)
    return ops.cast(exact, "float32")


def encoder_model(
    features: Sequence[Feature], states: dict[str, Any]
) -> keras.Model:
    """A functional model: dict of raw tensors in, dict of model inputs out.

    `states` is what was learned, by feature; features of one vocabulary share one lookup layer.
    """
    lookups: dict[str, keras.layers.Layer] = {}
    inputs: dict[str, Any] = {}
    outputs: dict[str, Any] = {}
    for feature in features:
        name = feature.name
        if isinstance(feature, Category | CategoryList):
            vocabulary = states[name]
            if vocabulary.name not in lookups:
                lookups[vocabulary.name] = lookup_layer(vocabulary)
            lookup = lookups[vocabulary.name]
            inputs[name] = category_input(feature, vocabulary.kind)
            if isinstance(feature, Category):
                missing = feature.missing_id
                outputs[name] = category_ids(inputs[name], lookup, vocabulary, missing)
                continue
            outputs[name] = list_ids(inputs[name], feature, lookup, vocabulary)
            if feature.length_name is not None:
                real = ops.cast(ops.not_equal(outputs[name], 0), "int32")
                outputs[feature.length_name] = ops.sum(real, axis=1)
        elif isinstance(feature, Number):
            inputs[name] = keras.Input((), dtype="float32", name=name)
            outputs[name] = number_values(inputs[name], feature, states[name])
        else:
            inputs[name] = keras.Input((), dtype="string", name=name)
            outputs[name] = keras.layers.Identity(dtype="string", name=f"keep_{name}")(inputs[name])
    return keras.Model(inputs, outputs, name="feature_encoder")
