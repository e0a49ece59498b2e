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

    Fields are the leading axis inside, so that a pair is read as one block and the matrices are
    applied in one batched product. F(F-1)/2 vectors a row stand in memory: they are the output.

    Args:
        bilinear_type: "field_all": one W for all pairs; "field_each": one for each left field,
            F - 1 in all; "field_interaction": one for each pair. The short names "all", "each"
            and "interaction" mean the same.

    Call arguments:
        fields: float tensor (B, F, D), F at least 2.

    Returns:
        Float tensor (B, F(F-1)/2, D), pairs in the order (0, 1), (0, 2), …, (1, 2), ….

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
        self.rows, self.columns = (side.astype("int32") for side in np.triu_indices(fields, k=1))
        count = {"field_all": 1, "field_each": fields - 1}.get(self.bilinear_type, len(self.rows))
        # The variance of a matrix, not of the stack, decides how large its entries start.
        bound = np.sqrt(6 / (2 * width))
        self.kernel = self.add_weight(
            shape=(count, width, width),
            initializer=keras.initializers.RandomUniform(-bound, bound), name="kernel",
        )

    def call(self, fields):
        """Applies the layer."""
        by_field = ops.transpose(fields, (1, 0, 2))  # (F, B, D)
        right = ops.take(by_field, self.columns, axis=0)  # (P, B, D)
        if self.bilinear_type == "field_interaction":
            left = ops.matmul(ops.take(by_field, self.rows, axis=0), self.kernel)
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
