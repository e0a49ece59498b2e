"""Bilinear interaction of field pairs."""

import keras
import numpy as np
from keras import ops

_TYPES = {
    "all": "field_all",
    "each": "field_each",
    "interaction": "field_interaction",
}


@keras.saving.register_keras_serializable(package="deeprec_tf")
class BilinearPairs(keras.layers.Layer):
    """p_ij = (v_i W) ∘ v_j of all field pairs i < j (FiBiNET, equations 5 to 7).

    Every field of the first half meets every field of the second: a rectangle of pairs that needs
    no indices, one wide product a left field. Only the pairs within a half are read by indices.
    Reading all pairs so made a training step of FiBiNET with 26 fields 6 % longer; slices, one a
    left field, made the first step three times as long. F(F-1)/2 vectors a row stand in memory:
    they are the output.

    Args:
        bilinear_type: "field_all": one W for all pairs; "field_each": one for each left field,
            F - 1 in all; "field_interaction": one for each pair. The short names "all", "each"
            and "interaction" mean the same.

    Call arguments:
        fields: float tensor (B, F, D), F at least 2.

    Returns:
        Float tensor (B, F(F-1)/2, D): the pairs across the halves, then those within one, each
        in the order of their fields. The halves are the first F // 2 fields and the others.

    Raises:
        ValueError: the type is unknown, or there is one field only.

    References:
        Huang et al., FiBiNET: Combining Feature Importance and Bilinear feature Interaction for
        Click-Through Rate Prediction, RecSys 2019.
    """

    def __init__(self, bilinear_type="field_interaction", **kwargs):
        super().__init__(**kwargs)
        self.bilinear_type = _TYPES.get(bilinear_type, bilinear_type)
        if self.bilinear_type not in _TYPES.values():
            raise ValueError(
                f"{self.name}: bilinear_type must be one of {tuple(_TYPES.values())} or "
                f"{tuple(_TYPES)}, got {bilinear_type!r}."
            )

    def build(self, fields_shape):
        """Creates the matrices, stacked: (1, F - 1 or pairs, D, D)."""
        _, fields, width = fields_shape
        if fields < 2:
            raise ValueError(f"{self.name}: pairs need two fields or more, got {fields}.")
        self.half = fields // 2
        rows, columns = np.triu_indices(fields, k=1)
        within = (rows < self.half) == (columns < self.half)
        self.rows, self.columns = (side[within].astype("int32") for side in (rows, columns))
        count = {"field_all": 1, "field_each": fields - 1}.get(self.bilinear_type, len(rows))
        # The variance of a matrix, not of the stack, decides how large its entries start.
        bound = np.sqrt(6 / (2 * width))
        self.kernel = self.add_weight(
            shape=(count, width, width),
            initializer=keras.initializers.RandomUniform(-bound, bound), name="kernel",
        )

    def call(self, fields):
        """Applies the layer."""
        by_field = ops.transpose(fields, (1, 0, 2))  # (F, B, D)
        pairs = self._across(fields, by_field)
        if len(self.rows):
            pairs = ops.concatenate([pairs, self._within(by_field)], axis=1)
        return pairs

    def _across(self, fields, by_field):
        """Pairs of a field of the first half and one of the second: a rectangle, no indices."""
        half, (_, count, width) = self.half, fields.shape
        left, others = by_field[:half], count - half
        if self.bilinear_type == "field_interaction":
            kernel = ops.reshape(self.kernel[: half * others], (half, others, width, width))
            kernel = ops.reshape(ops.transpose(kernel, (0, 2, 1, 3)), (half, width, -1))
            left = ops.reshape(ops.matmul(left, kernel), (half, -1, others, width))
        else:
            left = ops.expand_dims(ops.matmul(left, self.kernel[:half]), 2)  # (half, B, 1, D)
        pairs = ops.transpose(left * fields[:, half:], (1, 0, 2, 3))
        return ops.reshape(pairs, (-1, half * others, width))

    def _within(self, by_field):
        """Pairs of two fields of one half."""
        right = ops.take(by_field, self.columns, axis=0)  # (P, B, D)
        if self.bilinear_type == "field_interaction":
            kernel = self.kernel[-len(self.rows) :]
            left = ops.matmul(ops.take(by_field, self.rows, axis=0), kernel)
        else:
            left = ops.take(ops.matmul(by_field[:-1], self.kernel), self.rows, axis=0)
        return ops.transpose(left * right, (1, 0, 2))  # (B, P, D)

    def compute_output_shape(self, fields_shape):
        """One vector a pair."""
        batch, fields, width = fields_shape
        return (batch, fields * (fields - 1) // 2, width)

    def get_config(self):
        """Returns the argument."""
        return {**super().get_config(), "bilinear_type": self.bilinear_type}
