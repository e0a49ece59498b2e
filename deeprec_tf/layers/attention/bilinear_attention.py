"""Bilinear attention of a target over a sequence of states."""

import keras
from keras import ops

from deeprec_tf.layers.core.masking import masked_softmax


@keras.saving.register_keras_serializable(package="deeprec_tf")
class BilinearAttention(keras.layers.Layer):
    """Weights of states against a target: softmax over real t of h_t W e (DIEN, equation 7).

    Call arguments:
        target: float tensor (B, D).
        states: float tensor (B, T, n).
        states_mask: bool tensor (B, T), True = real.

    Returns:
        float32 tensor (B, T): sums to 1 over the real steps, padding 0; zeros for an empty row.

    References:
        Zhou et al., Deep Interest Evolution Network for Click-Through Rate Prediction, AAAI 2019.
    """

    def build(self, target_shape, states_shape, states_mask_shape=None):
        """Creates W."""
        self.kernel = self.add_weight(shape=(target_shape[-1], states_shape[-1]), name="kernel")

    def call(self, target, states, states_mask):
        """Applies the layer."""
        query = ops.matmul(target, self.kernel)  # (B, n), once a row
        return masked_softmax(ops.einsum("bn,btn->bt", query, states), states_mask)

    def explain(self, target, states, states_mask):
        """What each step counts: {"weights": float32 (B, T)}, padding 0."""
        return {"weights": self(target, states, states_mask)}

    def compute_mask(self, *args, **kwargs):
        """No implicit mask."""
        return None

    def compute_output_spec(self, target, states, states_mask):
        """One float32 weight a step."""
        return keras.KerasTensor(states.shape[:2], dtype="float32")
