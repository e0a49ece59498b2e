"""From item ids to the tokens of their codes."""

import keras
import numpy as np
from keras import ops

from deeprec_tf.layers.core.constants import constant_weight


@keras.saving.register_keras_serializable(package="deeprec_tf")
class CodeTokens(keras.layers.Layer):
    """The L tokens of each item: its codes, counted on from position to position.

    Code c of position t is token c + K_1 + ... + K_{t-1}, so one table holds a codebook of each
    position behind another; row 0 is padding's.

    Args:
        num_items: V, ids there are, 0 for padding among them.
        sizes: codes K_t of each position.
        codes: int array (V, L), row 0 zeros. Not part of the configuration: a saved model has the
            codes themselves.

    Call arguments:
        ids: integer tensor (B,) or (B, T).

    Returns:
        int32 tensor (B, L) or (B, T·L), 0 for padding.

    Raises:
        ValueError: codes of another shape.
    """

    weights_are_data = True  # not learned: a warm start leaves them

    def __init__(self, num_items, sizes, *, codes=None, **kwargs):
        super().__init__(**kwargs)
        self.num_items = int(num_items)
        self.sizes = [int(size) for size in sizes]
        shape = (self.num_items, len(self.sizes))
        if codes is not None and np.shape(codes) != shape:
            raise ValueError(
                f"{self.name}: codes must have the shape (V, L) = {shape}, got {np.shape(codes)}."
            )
        self._start = codes

    @property
    def offsets(self):
        """By how much the codes of each position are counted on."""
        return [sum(self.sizes[:position]) for position in range(len(self.sizes))]

    def build(self, ids_shape):
        """Creates the table of tokens."""
        start, self._start = self._start, None
        codes = np.zeros((self.num_items, len(self.sizes)), "int32") if start is None else start
        tokens = np.where(np.asarray(codes) > 0, codes + np.asarray(self.offsets), 0)
        self.tokens = constant_weight(self, "tokens", tokens)

    def call(self, ids):
        """Applies the layer."""
        tokens = ops.cast(ops.take(self.tokens, ids, axis=0), "int32")
        if len(ids.shape) == 1:
            return tokens
        rows, steps = ops.shape(ids)[:2]
        return ops.reshape(tokens, (rows, steps * len(self.sizes)))  # -1 would not do for no step

    def compute_output_spec(self, ids):
        """L tokens an id, side by side."""
        steps = [None if size is None else size * len(self.sizes) for size in ids.shape[1:]]
        return keras.KerasTensor((ids.shape[0], *(steps or [len(self.sizes)])), dtype="int32")

    def get_config(self):
        """The arguments, without the codes."""
        return {**super().get_config(), "num_items": self.num_items, "sizes": self.sizes}
