"""The factorization machine's pairwise term."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="deeprec_tf")
class FM(keras.layers.Layer):
    """Σ over field pairs i < j of <v_i, v_j>, as ½ Σ_d [(Σ_f v)² - Σ_f v²] (equation 5).

    Call arguments:
        fields: float tensor (B, F, D).

    Returns:
        Float tensor (B, 1).

    References:
        Rendle, Factorization Machines, ICDM 2010.
    """

    def call(self, fields):
        """Applies the layer."""
        square_of_sum = ops.square(ops.sum(fields, axis=1))  # (B, D)
        sum_of_square = ops.sum(ops.square(fields), axis=1)  # (B, D)
        return 0.5 * ops.sum(square_of_sum - sum_of_square, axis=-1, keepdims=True)

    def compute_output_shape(self, fields_shape):
        """One number a row."""
        return (fields_shape[0], 1)
