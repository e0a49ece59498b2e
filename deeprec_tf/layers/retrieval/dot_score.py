"""The score of a user and an item."""

import keras
import numpy as np
from keras import ops

from deeprec_tf.layers.retrieval.interests import used_interests


@keras.saving.register_keras_serializable(package="deeprec_tf")
class DotScore(keras.layers.Layer):
    """<u, v>, or the largest of a user's interests, max_k <u_k, v>.

    An interest of zeros is not in use and never wins, unless all of a user are zeros: its score 0
    would beat negative ones. `deeprec_tf.retrieval.ItemIndex` has the same rule.

    Call arguments:
        user_vector: float tensor (B, D), or (B, K, D) with several interests.
        item_vector: float tensor (B, D).

    Returns:
        float32 tensor (B, 1).
    """

    def __init__(self, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})

    def call(self, user_vector, item_vector):
        """Applies the layer."""
        if len(user_vector.shape) == 2:
            return ops.sum(user_vector * item_vector, axis=-1, keepdims=True)
        scores = ops.sum(user_vector * item_vector[:, None], axis=-1)
        scores = ops.where(used_interests(user_vector), scores, -np.inf)
        return ops.max(scores, axis=-1, keepdims=True)

    def compute_output_shape(self, user_vector_shape, item_vector_shape):
        """One number a row."""
        return (user_vector_shape[0], 1)
