"""The pairwise term of field-weighted factorization machines."""

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable(package="deeprec_tf")
class FieldWeightedFM(keras.layers.Layer):
    """Σ over field pairs i < j of r_ij <v_i, v_j>, r a learned scalar a pair (FwFM, equation 7).

    As Σ_i <v_i, Σ_j R_ij v_j> with R strictly upper triangular: no pair stands in memory. The
    scalars start at 1, where the layer is the factorization machine.

    Call arguments:
        fields: float tensor (B, F, D), F at least 2.

    Returns:
        Float tensor (B, 1).

    Raises:
        ValueError: there is one field only, and so no pair.

    References:
        Pan et al., Field-weighted Factorization Machines for Click-Through Rate Prediction in
        Display Advertising, WWW 2018.
    """

    def build(self, fields_shape):
        """Creates one weight a pair, in the order (0, 1), (0, 2), …, (1, 2), …."""
        fields = fields_shape[1]
        if fields < 2:
            raise ValueError(f"{self.name}: pairs need two fields or more, got {fields}.")
        rows, columns = np.triu_indices(fields, k=1)
        self.pair_weights = self.add_weight(
            shape=(len(rows),), initializer="ones", name="pair_weights"
        )
        # Where each entry of R is found among the weights and, behind them, a zero.
        places = np.full((fields, fields), len(rows), "int32")
        places[rows, columns] = np.arange(len(rows))
        self.places = places

    def call(self, fields):
        """Applies the layer."""
        weights = ops.cast(self.pair_weights, fields.dtype)
        with_zero = ops.concatenate([weights, ops.zeros_like(weights[:1])])
        matrix = ops.take(with_zero, self.places)  # (F, F)
        partners = ops.matmul(matrix, fields)  # (B, F, D)
        return ops.expand_dims(ops.sum(fields * partners, axis=(1, 2)), -1)

    def explain(self, fields):
        """How much each pair counts.

        Args:
            fields: as in a call.

        Returns:
            Dict with "weights", float tensor (pairs,): the r of (0, 1), (0, 2), …, (1, 2), ….
        """
        return {"weights": ops.convert_to_tensor(self.pair_weights)}

    def compute_output_shape(self, fields_shape):
        """One number a row."""
        return (fields_shape[0], 1)
