"""What every tensor from outside goes through before it meets the graph of a model."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from deeprec_tf.string_keys import string_keys


def model_input(values: Any) -> Any:
    """Ragged rows padded, strings as their keys, a sequence without any step as one of padding."""
    if isinstance(values, tf.RaggedTensor):
        values = values.to_tensor()
    return with_a_step(string_keys(values))


def with_a_step(values: Any) -> Any:
    """A sequence (B, 0, ...) as padding (B, 1, ...); anything else as it is.

    So is a new user's history asked for where a request is padded to its own longest row. Layers
    need a step: no largest score, last state or first position is to be had of none.
    """
    if not isinstance(values, tf.Tensor) or (values.shape.rank or 0) < 2 or values.shape[1]:
        return values
    missing = tf.maximum(1 - tf.shape(values)[1], 0)
    nothing = [[0, 0]] * (values.shape.rank - 2)
    padded = tf.pad(values, [[0, 0], [0, missing], *nothing])
    return tf.ensure_shape(padded, (values.shape[0], None, *values.shape[2:]))
