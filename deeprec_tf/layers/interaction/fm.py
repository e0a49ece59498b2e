"""The factorization machine's pairwise term."""

import keras
from keras import ops

from deeprec_tf.layers.interaction.bi_interaction import BiInteraction


@keras.saving.register_keras_serializable(package="deeprec_tf")
class FM(BiInteraction):
    """Σ over field pairs i < j of <v_i, v_j>, as ½ Σ_d [(Σ_f v)² - Σ_f v²] (equation 5).

    Bi-interaction pooling summed over its width.

    Call arguments:
        fields: float tensor (B, F, D).

    Returns:
        Float tensor (B, 1).

    References:
        Rendle, Factorization Machines, ICDM 2010.
    """

    def call(self, fields):
        """Applies the layer."""
        return ops.sum(super().call(fields), axis=-1, keepdims=True)

    def compute_output_shape(self, fields_shape):
        """One number a row."""
        return (fields_shape[0], 1)
