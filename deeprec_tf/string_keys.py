"""Strings as int64 keys: what columns with `dtype="string"` are for the graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

# Keys stay below 2^31, so that they pass through ONNX and XLA as they are.
_KEYS = 2**31 - 2


def string_keys(values: Any) -> Any:
    """Strings as int64 keys, 0 for "" (padding); any other dtype is returned as it is.

    Args:
        values: tensor of any shape and dtype.

    Returns:
        int64 tensor of the same shape for strings: 1 + fingerprint mod (2^31 - 2).
    """
    if getattr(values, "dtype", None) != tf.string:
        return values
    keys = 1 + tf.strings.to_hash_bucket_fast(values, _KEYS)
    return tf.where(values == "", tf.zeros_like(keys), keys)


def string_keys_of_array(array: np.ndarray) -> np.ndarray:
    """The same for a NumPy array: object and string arrays become int64."""
    if array.dtype.kind not in "OUS":
        return array
    return string_keys(tf.constant(array.astype(object), dtype=tf.string)).numpy()
