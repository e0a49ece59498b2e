"""Products of field pairs under a learned matrix a pair."""

import keras
from keras import ops

from deeprec_tf.layers.interaction.bilinear_pairs import BilinearPairs


@keras.saving.register_keras_serializable(package="deeprec_tf")
class KernelProducts(keras.layers.Layer):
    """p_ij = v_iᵀ K_ij v_j of all field pairs i < j, K_ij a learned matrix (PNN's kernel form).

    With identities they are the inner products.

    Call arguments:
        fields: float tensor (B, F, D), F at least 2.

    Returns:
        Float tensor (B, F(F-1)/2), pairs in the order of `BilinearPairs`.

    Raises:
        ValueError: there is one field only, and so no pair.

    References:
        Qu et al., Product-based Neural Networks for User Response Prediction over Multi-field
        Categorical Data, TOIS 2018.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.pairs = BilinearPairs("field_interaction", name="pairs", dtype=self.dtype_policy)

    def build(self, fields_shape):
        """Creates the matrices (pairs, D, D)."""
        self.pairs.build(fields_shape)

    def call(self, fields):
        """Applies the layer."""
        return ops.sum(self.pairs(fields), axis=-1)

    def compute_output_shape(self, fields_shape):
        """One number a pair."""
        return self.pairs.compute_output_shape(fields_shape)[:2]
