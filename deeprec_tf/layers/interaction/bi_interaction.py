"""Bi-interaction pooling."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="deeprec_tf")
class BiInteraction(keras.layers.Layer):
    """Σ over field pairs i < j of v_i ∘ v_j, as ½ [(Σ_f v)² - Σ_f v²] (NFM, equations 3 and 4).

    The factorization machine's pairwise term before its last sum, over D.

    Call arguments:
        fields: float tensor (B, F, D).

    Returns:
        Float tensor (B, D).

    References:
        He and Chua, Neural Factorization Machines for Sparse Predictive Analytics, SIGIR 2017.
    """

    def call(self, fields):
        """Applies the layer."""
        square_of_sum = ops.square(ops.sum(fields, axis=1))  # (B, D)
        return 0.5 * (square_of_sum - ops.sum(ops.square(fields), axis=1))

    def compute_output_shape(self, fields_shape):
        """The fields are gone."""
        return (fields_shape[0], fields_shape[2])
