"""What an earlier task hands on to a later one."""

import math

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="deeprec_tf")
class InformationTransfer(keras.layers.Layer):
    """z = sum over u in {p, q} of w_u h_1(u), w = softmax over the two of <h_2(u), h_3(u)> / √d.

    p is what the earlier task hands on, q the task's own state, h_1 to h_3 are linear (AITM,
    equations 3 to 5).

    Call arguments:
        transferred: float tensor (B, d), p.
        own: float tensor (B, d), q.

    Returns:
        Float tensor (B, d), z.

    Example:
        >>> x = keras.ops.ones((2, 4))
        >>> InformationTransfer()(x, x).shape
        TensorShape([2, 4])

    References:
        Xi et al., Modeling the Sequential Dependence among Audience Multi-step Conversions with
        Multi-task Learning in Targeted Display Advertising, KDD 2021.
    """

    def build(self, transferred_shape, own_shape):
        """Creates h_1, h_2, h_3 as one map."""
        width = own_shape[-1]
        self.projection = keras.layers.Dense(
            3 * width, use_bias=False, name="projection", dtype=self.dtype_policy,
            kernel_initializer=keras.initializers.RandomUniform(
                -math.sqrt(3 / width), math.sqrt(3 / width)  # Glorot's of each square part
            ),
        )
        self.projection.build((*own_shape[:-1], 2, width))

    def call(self, transferred, own):
        """Applies the layer."""
        values, weights = self._weighed(transferred, own)
        return ops.einsum("bk,bkd->bd", ops.cast(weights, self.compute_dtype), values)

    def _weighed(self, transferred, own):
        """h_1 of both (B, 2, d), and their weights, float32 (B, 2)."""
        both = ops.stack([transferred, own], axis=1)
        values, keys, queries = ops.split(self.projection(both), 3, axis=-1)
        scores = ops.sum(ops.cast(keys, "float32") * ops.cast(queries, "float32"), axis=-1)
        return values, ops.softmax(scores / math.sqrt(own.shape[-1]))

    def explain(self, transferred, own):
        """How much the earlier task and the own state count: {"weights": (B, 2)}."""
        return {"weights": self._weighed(transferred, own)[1]}

    def compute_output_shape(self, transferred_shape, own_shape):
        """The own state's shape."""
        return tuple(own_shape)
