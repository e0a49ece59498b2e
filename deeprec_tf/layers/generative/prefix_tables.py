"""The prefixes of all identifiers, as constants of a model."""

import keras
import numpy as np
from keras import ops

from deeprec_tf.layers.core.constants import constant_weight


@keras.saving.register_keras_serializable(package="deeprec_tf")
class PrefixTables(keras.layers.Layer):
    """Which codes go on from a prefix, and where they lead to.

    Args:
        shapes: shape (N_t, K_t) of each position's table.
        num_items: items that the tables lead to.
        tables: int arrays of these shapes, as `deeprec_tf.identifiers.PrefixTree` has them: what a
            prefix and a code lead to, 0 for nothing. Not part of the configuration: a saved model
            has the tables themselves.

    Call arguments:
        nodes: int32 tensor (...), prefixes of `position` codes.
        position: which position's codes follow, from 0.

    Returns:
        int32 tensor (..., K_t): the longer prefix, or the item behind the last code; 0 for none.

    Raises:
        ValueError: tables of other shapes.
    """

    weights_are_data = True  # not learned: a warm start leaves them

    def __init__(self, shapes, num_items, *, tables=None, **kwargs):
        super().__init__(**kwargs)
        self.shapes = [[int(size) for size in shape] for shape in shapes]
        self.num_items = int(num_items)
        if tables is not None and [list(np.shape(table)) for table in tables] != self.shapes:
            raise ValueError(
                f"{self.name}: tables must have the shapes {self.shapes}, got "
                f"{[np.shape(table) for table in tables]}."
            )
        self._start = tables

    def build(self, nodes_shape=None):
        """Creates the tables."""
        start, self._start = self._start, None
        values = start or [np.zeros(shape, "int32") for shape in self.shapes]
        self.tables = [
            constant_weight(self, f"table_{position}", table)
            for position, table in enumerate(values)
        ]

    @property
    def sizes(self):
        """Codes of each position."""
        return [shape[1] for shape in self.shapes]

    @property
    def counts(self):
        """Prefixes that there are with one code, with two, ...; the last are the items."""
        return [*(shape[0] - 1 for shape in self.shapes[1:]), self.num_items]

    @property
    def item_ids(self):
        """The ids that the tables lead to, an ascending int array."""
        leaves = ops.convert_to_numpy(self.tables[-1])
        return np.unique(leaves[leaves > 0])

    def call(self, nodes, position):
        """Applies the layer."""
        return ops.cast(ops.take(self.tables[position], nodes, axis=0), "int32")

    def compute_output_spec(self, nodes, position):
        """One number a code."""
        shape = (*nodes.shape, self.shapes[position][1])
        return keras.KerasTensor(shape, dtype="int32")

    def get_config(self):
        """The arguments, without the tables."""
        return {**super().get_config(), "shapes": self.shapes, "num_items": self.num_items}
