"""A table whose rows are read behind a propagation over a graph."""

import keras
from keras import ops

from deeprec_tf.layers.core.table_embedding import TableEmbedding


@keras.saving.register_keras_serializable(package="deeprec_tf")
class PropagatedEmbedding(TableEmbedding):
    """Rows of a table as they were when it was last propagated: a look-up, whatever the graph.

    What is trained is the table before the propagation, `embeddings`, which the call gives with
    `whole`. `GraphPropagation.settle` writes what becomes of it to `propagated`, whose rows the
    call gives else; no gradient passes there.

    Args:
        vocabulary_size: V, rows of the table.
        embedding_dim: D, their width.
        **kwargs: `name`, and the other arguments of `TableEmbedding`.

    Call arguments:
        ids: any integer dtype, any shape (...).
        whole: the table before the propagation instead of rows behind it.

    Returns:
        float32 tensor (..., D); (V, D) with `whole`.
    """

    weights_made_of_others = ("propagated",)

    def __init__(self, vocabulary_size, embedding_dim, **kwargs):
        super().__init__(vocabulary_size, embedding_dim, **{**kwargs, "dtype": "float32"})

    def build(self, ids_shape):
        """Makes both tables."""
        super().build(ids_shape)
        self.propagated = self.add_weight(
            name="propagated", shape=self.embeddings.shape, initializer="zeros", trainable=False,
            autocast=False,
        )

    def call(self, ids, whole=False):
        """Gather propagated rows, or read the table before the propagation."""
        return ops.copy(self.embeddings) if whole else super().call(ids)

    def gather(self, ids):
        """The propagated rows: (..., D)."""
        self._check_dtype(ids)
        return ops.take(self.propagated, ids, axis=0)
