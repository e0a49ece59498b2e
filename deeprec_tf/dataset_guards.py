"""Guards in the batches of a user's own data set: what arrays are refused for, in tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from deeprec_tf.batches import padding_in_front, too_long
from deeprec_tf.features import InputSpec, VarLenDenseFeat, VarLenSparseFeat
from deeprec_tf.labels import RETRIEVAL, no_numbers

_SHOWN = 50  # numbers of a row that an error shows


def refuse_kind(owner: str, spec: InputSpec, values: Any) -> None:
    """Raises TypeError for texts that are no ids of a text column, and for its ids as numbers.

    Either would be hashed, and another row served to who asks by the other kind.
    """
    if not isinstance(values, tf.Tensor | tf.RaggedTensor):
        return
    wants_text = spec.role == "ids" and getattr(spec.column, "dtype", None) == "string"
    if wants_text and values.dtype != tf.string:
        raise TypeError(
            f"{owner}: {spec.name!r} has dtype 'string' but the batches hold "
            f"{values.dtype.name}. Give strings, '' for padding or missing ones."
        )
    if values.dtype != tf.string or wants_text:
        return
    if spec.role in ("values", "weight"):
        raise TypeError(
            f"{owner}: {spec.name!r} must hold numbers, got dtype string. Convert it, or declare a "
            "SparseFeat if it is a category."
        )
    mend = "Convert with tf.strings.to_number"
    if spec.role == "ids" and getattr(spec.column, "use_hash", False):
        mend = "Declare the column with dtype='string' to hash strings"
    raise TypeError(
        f"{owner}: {spec.name!r} must hold integers, got dtype string. {mend}, or encode raw "
        "values with deeprec_tf.data.FeatureEncoder."
    )


def not_in_step(owner: str, name: str, steps: Any, first: str, wanted: Any) -> str:
    """What to say of two sequences whose steps go side by side, of unequal numbers of them."""
    return (
        f"{owner}: {name!r} has {steps} steps, {first!r} has {wanted}. They go side by side: pad "
        "both to one length."
    )


def in_step(owner: str, names: Sequence[str], x: Mapping[str, Any]) -> dict[str, Any]:
    """Sequences that go side by side, refused in words where one has other steps than the first.

    Returns:
        The guarded ones among them.

    Raises:
        ValueError: numbers of steps that are known beforehand differ.
    """
    names = [name for name in names if _is_dense(x.get(name))]
    guarded = {}
    for name in names[1:]:
        first = names[0]
        steps, wanted = x[name].shape[1], x[first].shape[1]
        if steps is not None and wanted is not None:
            if steps != wanted:
                raise ValueError(not_in_step(owner, name, steps, first, wanted))
            continue
        steps, wanted = tf.shape(x[name])[1], tf.shape(x[first])[1]
        message = not_in_step(owner, name, "other", first, "its own").replace("'", "")
        guarded[name] = _guarded(x[name], [_refuse(steps != wanted, message, steps, wanted)])
    return guarded


def known(owner: str, name: str, ids: tf.Tensor, size: int | None) -> tf.Tensor:
    """The ids of a batch, refused in words where one lies outside its table; None for no limit.

    Raises:
        TypeError: ids that are no integers.
    """
    _refuse_fractions(owner, name, ids)
    if not _is_dense(ids) or not ids.dtype.is_integer or size is None:
        return ids
    wide = tf.cast(ids, tf.int64)
    outside = tf.logical_or(wide < 0, wide >= size)
    message = (
        f"{owner}: column {name} has an id outside 0..{size - 1}. Raise vocabulary_size, re-encode "
        "the ids, or set use_hash=True. The batch has smallest and largest:"
    )
    smallest_and_largest = [tf.reduce_min(wide), tf.reduce_max(wide)]
    return _guarded(ids, [_refuse(outside, message, *smallest_and_largest)])


def positive(owner: str, name: str, ids: tf.Tensor) -> tf.Tensor:
    """The items of a batch's rows, refused in words where one is padding."""
    if not _is_dense(ids) or not ids.dtype.is_integer:
        return ids
    message = f"{owner}: {name} is 0, but id 0 is padding. Give items ids from 1."
    return _guarded(ids, [_refuse(ids < 1, message)])


def finite(
    owner: str, name: str, values: tf.Tensor, dtype: str, largest: float | None = None
) -> tf.Tensor:
    """The numbers of a batch, refused in words where one is NaN, infinite or beyond the largest.

    So are fractions of a column whose dtype is that of whole numbers.
    """
    if not _is_dense(values) or not (values.dtype.is_floating or values.dtype.is_integer):
        return values
    guards = []
    if values.dtype.is_floating:
        message = (
            f"{owner}: {name} holds NaN or infinity. Fill missing values "
            "(deeprec_tf.data.FeatureEncoder does)."
        )
        guards.append(_refuse(~tf.math.is_finite(values), message))
        if tf.as_dtype(dtype).is_integer:
            bad = values != tf.floor(values)
            message = f"{owner}: {name} is declared {dtype}. Round it or declare a float dtype. It"
            first = tf.boolean_mask(values, bad)[:1]
            guards.append(_refuse(bad, f"{message} holds a fraction, the first:", first))
    if largest is not None:
        size = tf.abs(tf.cast(values, tf.float64))
        message = (
            f"{owner}: {name} holds a number too large for float16. Scale it, or build the model "
            "under another dtype policy. The largest:"
        )
        guards.append(_refuse(size > largest, message, tf.reduce_max(size)))
    return _guarded(values, guards)


def within_shares(owner: str, name: str, values: tf.Tensor, mend: str) -> tf.Tensor:
    """The numbers of a batch, refused in words where one lies outside 0..1."""
    if not _is_dense(values) or not values.dtype.is_floating:
        return values
    bad = (values < 0) | (values > 1)
    message = f"{owner}: {name} holds a number outside 0..1. {mend} The first:"
    return _guarded(values, [_refuse(bad, message, tf.boolean_mask(values, bad)[:1])])


def short_enough(owner: str, name: str, values: tf.Tensor, maxlen: int) -> tf.Tensor:
    """The sequences of a batch, refused in words where they are longer than `maxlen`."""
    if not _is_dense(values) or (values.shape.rank or 0) < 2:
        return values
    steps = values.shape[1]
    if steps is not None:
        if steps > maxlen:
            raise ValueError(too_long(owner, name, steps, maxlen))
        return values
    steps = tf.shape(values)[1]
    message = too_long(owner, name, "too many", maxlen).replace("'", "")  # TensorFlow escapes them
    return _guarded(values, [_refuse(steps > maxlen, message, steps)])


def left_aligned(owner: str, name: str, ids: tf.Tensor, in_groups: bool) -> tf.Tensor:
    """The sequences of a batch, refused in words where padding has a real step behind it."""
    if not _is_dense(ids) or (ids.shape.rank or 0) < 2:
        return ids
    real, steps = _real(ids)
    gaps = tf.reduce_any(steps[:, 1:] & ~steps[:, :-1], axis=1)
    if in_groups and ids.shape.rank == 3:
        gaps |= tf.reduce_any(real[..., 1:] & ~real[..., :-1], axis=(1, 2))
    message = padding_in_front(owner, name, "").replace("'", "") + " The first such row:"
    return _guarded(ids, [_refuse(gaps, message, tf.boolean_mask(ids, gaps)[:1])])


def fitting_lengths(
    owner: str, column: VarLenSparseFeat | VarLenDenseFeat, values: tf.Tensor, lengths: tf.Tensor
) -> tf.Tensor:
    """The lengths of a batch, refused in words where its sequences have other ones.

    Raises:
        TypeError: lengths that are no integers.
    """
    _refuse_fractions(owner, str(column.length_name), lengths)
    if not (_is_dense(values) and _is_dense(lengths) and lengths.dtype.is_integer):
        return lengths
    steps = tf.cast(tf.minimum(tf.shape(values)[1], column.maxlen), lengths.dtype)
    count = tf.reshape(lengths, (-1,))
    first = f"{owner}: {column.length_name} "
    message = f"{first}counts real steps: 0 to the steps of {column.name}. These and the first:"
    bad = (count < 0) | (count > steps)
    guards = [_refuse(bad, message, steps, tf.boolean_mask(count, bad)[:1])]
    if isinstance(column, VarLenSparseFeat):
        _, real = _real(values)
        bad = tf.reduce_any(real != tf.sequence_mask(count, tf.shape(values)[1]), axis=1)
        message = (
            f"{first}and {column.name} disagree. Ids are real (not 0) before the length and 0 from "
            "there on. The first such length and row:"
        )
        rows = tf.boolean_mask(count, bad)[:1], tf.boolean_mask(values, bad)[:1]
        guards.append(_refuse(bad, message, *rows))
    return _guarded(lengths, guards)


def sound_weights(owner: str, sample_weight: Any) -> Any:
    """The weights of a batch, refused in words where they are no finite numbers, one a row.

    Raises:
        TypeError: weights that are no numbers.
        ValueError: several a row. Values are refused when a batch is read.
    """

    def sound(weights: Any) -> Any:
        if not _is_dense(weights):
            return weights
        what = f"{owner}: sample_weight"
        if weights.dtype == tf.string:
            raise TypeError(no_numbers(what, "string", "Give one weight a row."))
        if any(size not in (1, None) for size in weights.shape[1:]):
            raise ValueError(
                f"{what} has the shape {tuple(weights.shape)}. Give one weight a row, or a dict "
                "of them by task."
            )
        if not weights.dtype.is_floating:
            return weights
        bad = ~tf.math.is_finite(weights)
        return _guarded(weights, [_refuse(bad, f"{what} holds NaN or infinity.")])

    return tf.nest.map_structure(sound, sample_weight)


def sound_labels(
    owner: str, y: Any, outputs: Any, *, binary: bool = False, classes: int | None = None,
    task_types: Mapping[str, str | int] | None = None,
) -> Any:
    """The labels of a batch, refused in words by the rules of `labels.clean_labels`.

    Args:
        owner: what error messages begin with.
        y: tensor (B, n) of labels, or a structure of them; by task name where there are several.
        outputs: the model's output tensor, or a dict of them by task name.
        binary: refuse labels outside 0..1.
        classes: refuse labels that are none of the classes 0..classes-1.
        task_types: for a model of several tasks, the type of each that has a loss.

    Returns:
        The same labels.

    Raises:
        TypeError: labels that are no numbers.
        ValueError: another width than the output's. Values are refused when a batch is read.
    """
    if task_types is not None:
        return {
            task: _sound(f"{owner}: y[{task}]", labels, task_types.get(task, "binary"), lack=True)
            for task, labels in y.items()
        }
    kind = classes if classes is not None else "binary" if binary else "regression"

    def sound(labels: Any, output: Any) -> Any:
        return _sound(f"{owner}: y", labels, kind, lack=False, width=output.shape[-1])

    if isinstance(y, Mapping) and isinstance(outputs, Mapping):
        return {name: sound(labels, outputs[name]) for name, labels in y.items()}
    return sound(y, outputs) if isinstance(y, tf.Tensor) and hasattr(outputs, "shape") else y


def _sound(
    what: str, labels: Any, task_type: str | int, *, lack: bool, width: int | None = 1
) -> Any:
    """Labels of one output; NaN is none, where a row may lack its label."""
    if not _is_dense(labels):
        return labels
    if labels.dtype == tf.string:
        raise TypeError(no_numbers(what, "string"))
    columns = labels.shape[-1] if labels.shape.rank else None
    if columns not in (1, None, width) and width is not None:
        raise ValueError(
            f"{what} has {columns} columns, the output has {width}. Give one label a row, or a "
            "dict by task name to a model of several tasks."
        )
    if not labels.dtype.is_floating and not labels.dtype.is_integer:
        return labels
    numbers = labels if labels.dtype.is_floating else tf.cast(labels, tf.int64)
    guards = []
    if numbers.dtype.is_floating:
        bad, holds = ~tf.math.is_finite(numbers), "NaN or infinity"
        mend = "Drop the row, or give it any label and sample_weight 0. In models of several tasks "
        mend += "NaN marks a row without label"
        if task_type == RETRIEVAL:
            mend = "Give rewards: 1 counts a row once, 0 not"
        elif lack:
            bad, holds, mend = tf.math.is_inf(numbers), "infinity", "NaN marks a row without label"
        guards.append(_refuse_labels(bad, numbers, f"{what} holds {holds}. {mend}."))
    if task_type not in ("regression", RETRIEVAL):
        bad, wanted = (numbers < 0) | (numbers > 1), "0..1"
        if isinstance(task_type, int):
            whole = numbers == tf.floor(numbers) if numbers.dtype.is_floating else True
            bad = (numbers < 0) | (numbers >= task_type) | ~tf.convert_to_tensor(whole)
            wanted = f"the classes 0..{task_type - 1}"
        bad &= numbers == numbers  # NaN is not
        mend = "Mend the label, or build the model with another task type"
        mend += "; NaN marks a row without label" if lack else ""
        guards.append(_refuse_labels(bad, numbers, f"{what} lies outside {wanted}. {mend}."))
    return _guarded(labels, guards)


def _refuse_fractions(owner: str, name: str, values: tf.Tensor) -> None:
    """Raises TypeError for floats: what is between two ids, or NaN, would become some id."""
    if _is_dense(values) and values.dtype.is_floating:
        raise TypeError(
            f"{owner}: {name!r} must hold integers, got {values.dtype.name}. Fill missing values "
            "and convert with .astype('int64'), or encode raw values with "
            "deeprec_tf.data.FeatureEncoder."
        )


def _refuse_labels(bad: tf.Tensor, values: tf.Tensor, message: str) -> Any:
    first = tf.boolean_mask(tf.reshape(values, (-1,)), tf.reshape(bad, (-1,)))[:3]
    return _refuse(bad, f"{message} The first:", first)


def _refuse(bad: tf.Tensor, message: str, *shown: tf.Tensor) -> Any:
    """The operation that fails with the message, and what is shown, where something is bad."""
    return tf.debugging.Assert(~tf.reduce_any(bad), [message, *shown], summarize=_SHOWN)


def _guarded(values: tf.Tensor, guards: Sequence[Any]) -> tf.Tensor:
    """The values, once none of the guards has failed."""
    with tf.control_dependencies(guards):
        return tf.identity(values) if guards else values


def _is_dense(values: Any) -> bool:
    return isinstance(values, tf.Tensor)


def _real(ids: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Which ids are no padding, (B, T) or (B, T, group), and which steps have one, (B, T)."""
    real = tf.not_equal(ids, tf.zeros((), ids.dtype))
    return real, real if ids.shape.rank == 2 else tf.reduce_any(real, axis=2)
