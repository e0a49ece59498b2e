"""Hashing of raw integer ids inside the graph."""

import keras
from keras import ops

_PRIME = 2**31 - 1
_LOW, _HIGH, _SHIFT = 1_274_126_177, 668_265_263, 374_761_393


@keras.saving.register_keras_serializable(package="deeprec_tf")
class HashIds(keras.layers.Layer):
    """Hashes int64 ids into 1..vocabulary_size-1 and keeps 0 as it is.

    Universal hashing after Carter and Wegman (1979) on the two 31-bit halves of the id:
    row = 1 + ((a·low + b·high + c) mod p) mod (vocabulary_size - 1), p = 2^31 - 1. Products
    of 31-bit numbers fit into int64, so the same integers come out of TensorFlow, XLA, ONNX
    and NumPy.

    Args:
        vocabulary_size: rows of the table, at least 2.

    Call arguments:
        ids: int64 tensor of any shape, any value.

    Returns:
        int32 tensor of the same shape.
    """

    def __init__(self, vocabulary_size, **kwargs):
        super().__init__(**kwargs)
        self.vocabulary_size = vocabulary_size

    def call(self, ids):
        """Applies the layer."""
        ids = ops.cast(ids, "int64")
        low = _remainder(ids, _PRIME + 1)
        high = _remainder(ops.floor_divide(ids - low, _PRIME + 1), _PRIME)
        key = ops.mod(low * _LOW + high * _HIGH + _SHIFT, _PRIME)
        rows = 1 + ops.mod(key, self.vocabulary_size - 1)
        return ops.cast(ops.where(ops.equal(ids, 0), ops.zeros_like(rows), rows), "int32")

    def compute_output_spec(self, ids):
        """Rows have the shape of the ids."""
        return keras.KerasTensor(ids.shape, dtype="int32")

    def get_config(self):
        """Returns the arguments."""
        return {**super().get_config(), "vocabulary_size": self.vocabulary_size}


def _remainder(numbers, divisor):
    """`ops.mod`, never negative, in ONNX too, where tf2onnx has it of a division towards zero."""
    remainder = ops.mod(numbers, divisor)
    return ops.where(remainder < 0, remainder + divisor, remainder)
