"""The arithmetic from ids to the rows of a `FusedEmbedding`."""

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable(package="deeprec_tf")
class RowNumbers(keras.layers.Layer):
    """Ids of several tables as row numbers of the variable that holds them.

    An id below 0 or beyond its table becomes a number beyond the variable, so that the gather
    refuses it on the CPU (XLA clamps it, a GPU gives zeros) and no id reads a neighbor's row.

    Args:
        offsets: first row of each column's table.
        sizes: rows of each column's table.
        total: rows of the variable.

    Call arguments:
        *ids: one integer tensor (...) a column, all of one shape.

    Returns:
        int32 tensor (..., columns); int64 where the variable has 2^31 rows or more.
    """

    side_by_side = True

    def __init__(self, offsets, sizes, total, **kwargs):
        super().__init__(**kwargs)
        self.offsets, self.sizes, self.total = list(offsets), list(sizes), int(total)

    def call(self, *ids):
        """Applies the layer."""
        wide = any(keras.backend.standardize_dtype(i.dtype) in ("int64", "uint32") for i in ids)
        dtype = "int64" if wide or self.total >= 2**31 else "int32"
        stacked = ops.stack([ops.cast(i, dtype) for i in ids], axis=-1)
        known = ops.logical_and(stacked >= 0, stacked < np.array(self.sizes, dtype))
        rows = ops.where(
            known, stacked + np.array(self.offsets, dtype), np.array(self.total, dtype)
        )
        return ops.cast(rows, self._row_dtype)

    @property
    def _row_dtype(self):
        return "int32" if self.total < 2**31 else "int64"

    def compute_output_spec(self, *ids):
        """One more axis, for the columns."""
        return keras.KerasTensor((*ids[0].shape, len(ids)), dtype=self._row_dtype)

    def get_config(self):
        """Returns the arguments."""
        return {
            **super().get_config(),
            "offsets": self.offsets, "sizes": self.sizes, "total": self.total,
        }


@keras.saving.register_keras_serializable(package="deeprec_tf")
class RowPart(keras.layers.Layer):
    """A part of each row: its factors, or its linear weight.

    Args:
        start: first number.
        stop: behind the last number.

    Call arguments:
        rows: float tensor (..., W).

    Returns:
        Float tensor (..., stop - start).
    """

    def __init__(self, start, stop, **kwargs):
        super().__init__(**kwargs)
        self.start, self.stop = start, stop

    def call(self, rows):
        """Applies the layer."""
        return rows[..., self.start : self.stop]

    def compute_output_shape(self, rows_shape):
        """The last axis is cut."""
        return (*rows_shape[:-1], self.stop - self.start)

    def get_config(self):
        """Returns the arguments."""
        return {**super().get_config(), "start": self.start, "stop": self.stop}
