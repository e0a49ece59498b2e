"""Tables of one width in one variable."""

import keras
import numpy as np
from keras import ops

from deeprec_tf.layers.core.table_embedding import TableEmbedding, own_initializer


@keras.saving.register_keras_serializable(package="deeprec_tf")
class FusedEmbedding(TableEmbedding):
    """Several embedding tables of one width, stacked in one variable.

    One gather then serves any number of columns, and the optimizer sees one table: a model of 26
    fields builds, traces and trains with a few operations where it had hundreds. `RowNumbers`
    turns the ids of the tables into rows of the variable.

    With `linear`, every row ends in one more number that starts at 0: the id's weight in the
    linear part, so that factors and weight come with one gather. Such rows are float32 under any
    dtype policy, as parts of a logit.

    Args:
        tables: dict from the name of a table to its number of rows; they are stacked in order.
        embedding_dim: D, width of all tables (without the linear weight).
        linear: whether a row ends in a linear weight.
        embeddings_initializers: dict from the name of a table to its Keras initializer, where it
            is not the default N(0, 0.01^2).
        pretrained: dict from the name of a table to its start values (rows, D). Not part of the
            configuration.
        **kwargs: `trainable`, `name`, `dtype`.

    Call arguments:
        ids: row numbers from `RowNumbers`, integer tensor (...).

    Returns:
        (..., D), or (..., D + 1) with `linear`.

    Raises:
        ValueError: a size is no positive integer, or start values have a wrong shape.

    Example:
        >>> table = FusedEmbedding({"user": 3, "item": 5}, 2)
        >>> table(keras.ops.ones((4, 2), "int32")).shape, table.offsets
        (TensorShape([4, 2, 2]), {'user': 0, 'item': 3})
    """

    def __init__(
        self, tables, embedding_dim, *, linear=False, embeddings_initializers=None,
        pretrained=None, **kwargs,
    ):
        if linear:
            kwargs["dtype"] = "float32"
        for name, rows in tables.items():
            if rows < 1:
                raise ValueError(f"FusedEmbedding: table {name!r} must have a row, got {rows}.")
        super().__init__(sum(tables.values()), embedding_dim + bool(linear), **kwargs)
        self.tables = dict(tables)
        self.linear = bool(linear)
        self.factors = int(embedding_dim)
        ends = np.cumsum(list(self.tables.values())).tolist()
        self.offsets = dict(zip(self.tables, [0, *ends[:-1]], strict=True))
        self.embeddings_initializers = {
            name: own_initializer(initializer)
            for name, initializer in (embeddings_initializers or {}).items()
        }
        self._tables_start = {}
        for name, values in (pretrained or {}).items():
            self._tables_start[name] = self._checked_table(name, values)

    def build(self, rows_shape):
        """Make the variable; each table starts as its own initializer says."""
        start, self._tables_start = self._tables_start, {}

        def stacked(shape, dtype=None):
            factors = np.array(self.embeddings_initializer((shape[0], self.factors), dtype=dtype))
            for name, first in self.offsets.items():
                rows, own = self.tables[name], self.embeddings_initializers.get(name)
                if name in start:
                    factors[first : first + rows] = start[name]
                elif own is not None:
                    factors[first : first + rows] = own((rows, self.factors), dtype=dtype)
            weights = np.zeros((shape[0], int(self.linear)), factors.dtype)
            return ops.convert_to_tensor(np.concatenate([factors, weights], axis=1), dtype)

        self.embeddings = self.add_weight(
            name="embeddings", shape=(self.vocabulary_size, self.embedding_dim),
            initializer=stacked, autocast=False,
        )

    def _checked_table(self, name, values):
        values = np.array(values, dtype="float32")
        expected = (self.tables.get(name), self.factors)
        if values.shape != expected:
            raise ValueError(
                f"{self.name}: the values of table {name!r} must have the shape (vocabulary_size, "
                f"embedding_dim) = {expected}, got {values.shape}. Row i holds the vector of id i; "
                "row 0 too."
            )
        return values

    def get_config(self):
        """Every argument but `pretrained`."""
        config = super().get_config()
        for name in ("vocabulary_size", "embeddings_initializer"):
            del config[name]
        return {
            **config,
            "tables": self.tables,
            "embedding_dim": self.factors,
            "linear": self.linear,
            "embeddings_initializers": {
                name: keras.initializers.serialize(initializer)
                for name, initializer in self.embeddings_initializers.items()
            },
        }
