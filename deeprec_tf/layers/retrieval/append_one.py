"""A vector that meets an item's bias."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="deeprec_tf")
class AppendOne(keras.layers.Layer):
    """[u, 1]: so that <[u, 1], [v, b]> = <u, v> + b, and an index of vectors knows the bias.

    Call arguments:
        vectors: float tensor (..., D).

    Returns:
        Float tensor (..., D + 1).

    Example:
        >>> AppendOne()(np.array([[2.0, 3.0]])).numpy().tolist()
        [[2.0, 3.0, 1.0]]
    """

    def call(self, vectors):
        """Applies the layer."""
        return ops.concatenate([vectors, ops.ones_like(vectors[..., :1])], axis=-1)

    def compute_mask(self, *args, **kwargs):
        """No implicit mask."""
        return None

    def compute_output_shape(self, vectors_shape):
        """One more in the last axis."""
        return (*vectors_shape[:-1], vectors_shape[-1] + 1)
