"""An encoder in front of a model: raw strings and numbers in, the model's inputs out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from deeprec_tf.data.encoder_layers import MISSING_INTEGER
from deeprec_tf.engine import RecModel
from deeprec_tf.export.signatures import input_specs_of
from deeprec_tf.features import SparseFeat, VarLenSparseFeat
from deeprec_tf.graph import inputs_of


@dataclass(frozen=True, slots=True)
class _History:
    """A history the encoder knows by the category whose table it shares."""

    column: VarLenSparseFeat
    category: str
    paddings: tuple[Any, ...]


class RawInputs:
    """Maps raw tensors to a model's inputs with the layers of a fitted encoder.

    - Inputs that the encoder makes come from its raw columns.
    - A history that shares the table of an encoded category takes that category's raw values,
      (B, T); padding is "" or the smallest int64, and 0 too where 0 is no key. Behind the
      length everything is padding.
    - Every other input stays as it is.

    Args:
        encoder: a fitted `deeprec_tf.data.FeatureEncoder`.
        model: an inference model or a tower.
        lists: further inputs (B, T) by name, each with the category whose raw values it takes.
        owner: who asks, for errors.

    Attributes:
        specs: what the mapping takes, by name.
        layer: the part of the encoder that the model needs; holds the lookup tables.

    Raises:
        TypeError: the encoder has no `as_layer`.
        ValueError: the encoder makes none of the model's inputs, or knows more values of one than
            the model has rows.
    """

    def __init__(
        self,
        encoder: Any,
        model: keras.Model,
        lists: Mapping[str, str] | None = None,
        owner: str = "export_saved_model",
    ) -> None:
        if not hasattr(encoder, "as_layer"):
            raise TypeError(
                f"{owner}: encoder must be a deeprec_tf.data.FeatureEncoder, got "
                f"{type(encoder).__name__}."
            )
        self._wanted = input_specs_of(model)
        whole = encoder.as_layer()
        made = [name for name in self._wanted if name in whole.output]
        self._histories = _histories(encoder, whole, model, made)
        for name, category in (lists or {}).items():
            self._histories.append(_list(owner, encoder, whole, name, category))
            self._wanted[name] = tf.TensorSpec((None, None), tf.int32, name=name)
        needed = dict.fromkeys([*made, *(history.category for history in self._histories)])
        if not needed:
            raise ValueError(
                f"{owner}: the encoder makes {list(whole.output)}, the model "
                f"{model.name} takes {list(self._wanted)}. Give the encoder that made the "
                "training data, or leave it out."
            )
        self._columns = list(getattr(model, "feature_columns", ()))
        # By input, the feature of the encoder whose values it holds.
        self._feature_of = {name: name for name in made}
        self._feature_of |= {history.column.name: history.category for history in self._histories}
        _refuse_larger_vocabularies(owner, encoder, self._columns, self._feature_of)
        self.layer = _part(whole, list(needed))
        self._made = _part(whole, made) if made else None
        self._categories = {h.category: _part(whole, [h.category]) for h in self._histories}
        self.specs = self._raw_specs()

    def __call__(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        """The model's inputs, of the dtypes and ranks that it declares."""
        values = {name: raw[name] for name in self._wanted if name in raw}
        if self._made is not None:
            values.update(self._made({name: raw[name] for name in _names(self._made)}))
        for history in self._histories:
            values[history.column.name] = self._ids(history, raw)
        return {name: _fitted(values[name], spec) for name, spec in self._wanted.items()}

    @property
    def items(self) -> tuple[VarLenSparseFeat, str] | None:
        """The first history that the encoder knows, and its feature whose keys that holds."""
        for column in self._columns:
            if isinstance(column, VarLenSparseFeat) and column.name in self._feature_of:
                return column, self._feature_of[column.name]
        return None

    def _raw_specs(self) -> dict[str, tf.TensorSpec]:
        specs = {}
        encoded = set() if self._made is None else set(self._made.output)
        encoded.update(history.column.name for history in self._histories)
        if self._made is not None:
            specs.update(input_specs_of(self._made))
        for history in self._histories:
            name = history.column.name
            dtype = keras.tree.flatten(self._categories[history.category].inputs)[0].dtype
            specs[name] = tf.TensorSpec(self._wanted[name].shape, dtype, name=name)
        specs.update({n: spec for n, spec in self._wanted.items() if n not in encoded})
        return specs

    def _ids(self, history: _History, raw: Mapping[str, Any]) -> Any:
        values = raw[history.column.name]
        layer = self._categories[history.category]
        flat = layer({name: tf.reshape(values, [-1]) for name in _names(layer)})
        ids = tf.reshape(flat[history.category], tf.shape(values))
        real = tf.reduce_all([values != padding for padding in history.paddings], axis=0)
        if history.column.length_name is not None:
            length = tf.cast(raw[history.column.length_name], tf.int32)
            within = tf.sequence_mask(length, tf.shape(values)[1])
            real &= within[..., None] if len(values.shape) == 3 else within
        return tf.where(real, ids, tf.zeros_like(ids))


def _histories(
    encoder: Any, whole: keras.Model, model: keras.Model, made: list[str]
) -> list[_History]:
    if not isinstance(model, RecModel):
        return []
    kinds = {tensor.name: tensor.dtype for tensor in keras.tree.flatten(whole.inputs)}
    categories = {
        column.embedding_name: column.name
        for column in encoder.feature_columns()
        if isinstance(column, SparseFeat) and kinds.get(column.name) in ("string", "int64")
    }
    found = []
    for column in model.feature_columns:
        name = categories.get(getattr(column, "embedding_name", None))
        if not isinstance(column, VarLenSparseFeat) or column.name in made or name is None:
            continue
        found.append(_History(column, name, _paddings(encoder, kinds[name], name)))
    return found


def _list(owner: str, encoder: Any, whole: keras.Model, name: str, category: str) -> _History:
    columns = encoder.feature_columns()
    found = [c for c in columns if isinstance(c, SparseFeat) and c.name == category]
    if not found:
        names = [column.name for column in columns if isinstance(column, SparseFeat)]
        raise ValueError(
            f"{owner}: the encoder has no category {category!r}, only {names}."
        )
    kinds = {tensor.name: tensor.dtype for tensor in keras.tree.flatten(whole.inputs)}
    column = VarLenSparseFeat(SparseFeat(name, found[0].vocabulary_size), maxlen=1)
    return _History(column, category, _paddings(encoder, kinds[category], category))


def _refuse_larger_vocabularies(
    owner: str, encoder: Any, columns: list[Any], feature_of: Mapping[str, str]
) -> None:
    """Raises ValueError where the encoder makes ids that a table of the model does not reach."""
    ids = {column.name: column.vocabulary_size for column in encoder.feature_columns() if
           isinstance(column, SparseFeat | VarLenSparseFeat)}  # fmt: skip
    for column in columns:
        known = ids.get(feature_of.get(column.name, ""))
        rows = None if getattr(column, "use_hash", True) else column.vocabulary_size
        if known is not None and rows is not None and known > rows:
            raise ValueError(
                f"{owner}: the encoder has ids 0..{known - 1} of {column.name!r}, the model's "
                f"table {rows} rows. Give the encoder as it was when the model was built, or a "
                "model with its columns, to which deeprec_tf.training.warm_start takes the rows."
            )


def _paddings(encoder: Any, kind: str, category: str) -> tuple[Any, ...]:
    """The raw values that are padding in lists of a category."""
    if kind != "int64":
        return ("",)
    zero_is_a_key = 0 in encoder.vocabulary(category).values
    return (MISSING_INTEGER,) if zero_is_a_key else (MISSING_INTEGER, 0)


def _part(whole: keras.Model, names: list[str]) -> keras.Model:
    """The part of the encoder that makes these outputs; lookup tables are shared."""
    outputs = {name: whole.output[name] for name in names}
    inputs = {tensor.name: tensor for tensor in inputs_of(outputs.values())}
    return keras.Model(inputs, outputs, name="encoder")


def _names(model: keras.Model) -> list[str]:
    return [tensor.name for tensor in keras.tree.flatten(model.inputs)]


def _fitted(value: Any, spec: tf.TensorSpec) -> Any:
    if len(value.shape) < len(spec.shape):
        value = tf.expand_dims(value, -1)  # (B,) for a vector of one number
    return value if value.dtype == spec.dtype else tf.cast(value, spec.dtype)
