"""Guards in the batches of a user's own data set: what arrays are refused for, in tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from deeprec_tf.batches import padding_in_front, too_long
from deeprec_tf.labels import RETRIEVAL, no_numbers

_SHOWN = 50  # numbers of a row that an error shows


def known(owner: str, name: str, ids: tf.Tensor, size: int) -> tf.Tensor:
    """The ids of a batch, refused in words where one lies outside its table."""
    if not ids.dtype.is_integer or isinstance(ids, tf.RaggedTensor | tf.SparseTensor):
        return ids
    wide = tf.cast(ids, tf.int64)
    outside = tf.logical_or(wide < 0, wide >= size)
    message = (
        f"{owner}: column {name} has an id outside 0..{size - 1}. Raise vocabulary_size, re-encode "
        "the ids, or set use_hash=True. The batch has smallest and largest:"
    )
    smallest_and_largest = [tf.reduce_min(wide), tf.reduce_max(wide)]
    with tf.control_dependencies(
        [tf.debugging.Assert(~tf.reduce_any(outside), [message, *smallest_and_largest])]
    ):
        return tf.identity(ids)


def short_enough(owner: str, name: str, values: tf.Tensor, maxlen: int) -> tf.Tensor:
    """The sequences of a batch, refused in words where they are longer than `maxlen`."""
    if isinstance(values, tf.RaggedTensor | tf.SparseTensor) or (values.shape.rank or 0) < 2:
        return values
    steps = values.shape[1]
    if steps is not None:
        if steps > maxlen:
            raise ValueError(too_long(owner, name, steps, maxlen))
        return values
    steps = tf.shape(values)[1]
    message = too_long(owner, name, "too many", maxlen).replace("'", "")  # TensorFlow escapes them
    with tf.control_dependencies([tf.debugging.Assert(steps <= maxlen, [message, steps])]):
        return tf.identity(values)


def left_aligned(owner: str, name: str, ids: tf.Tensor, in_groups: bool) -> tf.Tensor:
    """The sequences of a batch, refused in words where padding has a real step behind it."""
    if isinstance(ids, tf.RaggedTensor | tf.SparseTensor) or (ids.shape.rank or 0) < 2:
        return ids
    real = tf.not_equal(ids, tf.zeros((), ids.dtype))
    steps = real if ids.shape.rank == 2 else tf.reduce_any(real, axis=2)
    gaps = tf.reduce_any(steps[:, 1:] & ~steps[:, :-1], axis=1)
    if in_groups and ids.shape.rank == 3:
        gaps |= tf.reduce_any(real[..., 1:] & ~real[..., :-1], axis=(1, 2))
    message = padding_in_front(owner, name, "").replace("'", "") + " The first such row:"
    first = tf.boolean_mask(ids, gaps)[:1]
    with tf.control_dependencies(
        [tf.debugging.Assert(~tf.reduce_any(gaps), [message, first], summarize=_SHOWN)]
    ):
        return tf.identity(ids)


def sound_labels(
    owner: str, y: Any, *, binary: bool = False, classes: int | None = None,
    task_types: Mapping[str, str | int] | None = None,
) -> Any:
    """The labels of a batch, refused in words by the rules of `labels.clean_labels`.

    Args:
        owner: what error messages begin with.
        y: tensor (B, n) of labels, or a structure of them; by task name where there are several.
        binary: refuse labels outside 0..1.
        classes: refuse labels that are none of the classes 0..classes-1.
        task_types: for a model of several tasks, the type of each that has a loss.

    Returns:
        The same labels.

    Raises:
        TypeError: labels that are no numbers. Values are refused when a batch is read.
    """
    if task_types is not None:
        return {
            task: _sound(f"{owner}: y[{task}]", labels, task_types.get(task, "binary"), lack=True)
            for task, labels in y.items()
        }
    kind = classes if classes is not None else "binary" if binary else "regression"
    return tf.nest.map_structure(lambda labels: _sound(f"{owner}: y", labels, kind, lack=False), y)


def _sound(what: str, labels: Any, task_type: str | int, *, lack: bool) -> Any:
    """Labels of one output; NaN is none, where a row may lack its label."""
    if not isinstance(labels, tf.Tensor):
        return labels
    if labels.dtype == tf.string:
        raise TypeError(no_numbers(what, "string"))
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
        guards.append(_none(bad, numbers, f"{what} holds {holds}. {mend}. The first:"))
    if task_type not in ("regression", RETRIEVAL):
        bad, wanted = (numbers < 0) | (numbers > 1), "0..1"
        if isinstance(task_type, int):
            whole = numbers == tf.floor(numbers) if numbers.dtype.is_floating else True
            bad = (numbers < 0) | (numbers >= task_type) | ~tf.convert_to_tensor(whole)
            wanted = f"the classes 0..{task_type - 1}"
        bad &= numbers == numbers  # NaN is not
        mend = "Mend the label, or build the model with another task type"
        mend += "; NaN marks a row without label" if lack else ""
        guards.append(_none(bad, numbers, f"{what} lies outside {wanted}. {mend}. The first:"))
    with tf.control_dependencies(guards):
        return tf.identity(labels)


def _none(bad: tf.Tensor, values: tf.Tensor, message: str) -> Any:
    """The operation that fails with the message where a value is bad."""
    bad, values = tf.reshape(bad, (-1,)), tf.reshape(values, (-1,))
    first = tf.boolean_mask(values, bad)[:3]
    return tf.debugging.Assert(~tf.reduce_any(bad), [message, first])
