"""Rows of a propagated table, and the penalty on what they were made of."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="deeprec_tf")
class GraphRows(keras.layers.Layer):
    """Rows of a table by ids, with a dense gradient, as the propagation makes it so in any case.

    Call arguments:
        table: float tensor (V, D).
        ids: integer tensor (...).

    Returns:
        float32 tensor (..., D).
    """

    def __init__(self, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})

    def call(self, table, ids):
        """Applies the layer."""
        return _rows(table, ids)

    def compute_mask(self, *args, **kwargs):
        """No implicit mask."""
        return None

    def compute_output_spec(self, table, ids):
        """A row an id."""
        return keras.KerasTensor((*ids.shape, table.shape[-1]), dtype="float32")


@keras.saving.register_keras_serializable(package="deeprec_tf")
class GraphPenalty(keras.layers.Layer):
    """Vectors as they are, and the loss l2/2 · Σ ‖e‖² / B over rows of a table that they use.

    B is the size of the batch; where the whole batch shares the rows, their number, as if one of
    them were each row's own.

    Args:
        l2: weight of the penalty, at least 0.
        **kwargs: `name`.

    Call arguments:
        vectors: any float tensor that the loss of the batch depends on.
        table: float tensor (V, D).
        ids: integer tensor (B, ...), or (n,) for all rows of the batch.

    Returns:
        The vectors.

    Raises:
        ValueError: a negative weight.
    """

    def __init__(self, l2, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})
        if not l2 >= 0:
            raise ValueError(f"{self.name}: l2 must be at least 0, got {l2!r}.")
        self.l2 = float(l2)

    def call(self, vectors, table, ids):
        """Applies the layer."""
        squares = ops.sum(ops.square(_rows(table, ids)))
        count = ops.maximum(ops.cast(ops.shape(ids)[0], "float32"), 1.0)
        self.add_loss(self.l2 / 2.0 * squares / count)
        return vectors

    def compute_mask(self, *args, **kwargs):
        """No implicit mask."""
        return None

    def compute_output_spec(self, vectors, table, ids):
        """That of the vectors."""
        return keras.KerasTensor(vectors.shape, dtype="float32")

    def get_config(self):
        """Returns the argument."""
        return {**super().get_config(), "l2": self.l2}


def _rows(table, ids):
    size, width = table.shape

    @ops.custom_gradient
    def rows(table):
        def gradient(upstream):
            flat = ops.reshape(upstream, (-1, width))
            return ops.segment_sum(flat, ops.reshape(ids, (-1,)), num_segments=size)

        return ops.take(table, ids, axis=0), gradient

    return rows(table)
