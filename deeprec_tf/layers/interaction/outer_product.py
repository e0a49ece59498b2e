"""The outer product of the sum of fields."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="deeprec_tf")
class OuterProduct(keras.layers.Layer):
    """vec((Σ_f v_f) (Σ_f v_f)ᵀ): the sum of all pairs' outer products (PNN, equation 17).

    The paper's superposition: D² numbers in place of F² D².

    Call arguments:
        fields: float tensor (B, F, D).

    Returns:
        Float tensor (B, D²), row by row.

    References:
        Qu et al., Product-based Neural Networks for User Response Prediction, ICDM 2016.
    """

    def call(self, fields):
        """Applies the layer."""
        total = ops.sum(fields, axis=1)  # (B, D)
        square = ops.expand_dims(total, 2) * ops.expand_dims(total, 1)  # (B, D, D)
        return ops.reshape(square, (-1, fields.shape[2] ** 2))

    def compute_output_shape(self, fields_shape):
        """A flattened matrix."""
        return (fields_shape[0], fields_shape[2] ** 2)
