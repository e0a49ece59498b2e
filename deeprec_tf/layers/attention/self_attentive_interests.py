"""Behaviors to interests by self-attention."""

import keras
from keras import ops

from deeprec_tf.layers.core.masking import masked_softmax


@keras.saving.register_keras_serializable(package="deeprec_tf")
class SelfAttentiveInterests(keras.layers.Layer):
    """K weighted sums of a user's behaviors: A = softmax_t(G ∘ tanh(H W1) W2), interests Aᵀ V.

    Args:
        num_interests: K.
        units: width of the hidden layer.
        **kwargs: `name`, `dtype`.

    Call arguments:
        keys: float tensor (B, T, D), behaviors with their positions, H.
        values: float tensor (B, T, d), behaviors, V.
        mask: bool tensor (B, T), True = real.
        shares: float tensor (B, T, K), how much of a step belongs to each interest: factors G of
            the scores; 1 when left out.

    Returns:
        Float tensor (B, K, d); zeros for an empty history.

    Raises:
        ValueError: a number below 1.

    References:
        Lin et al., A Structured Self-Attentive Sentence Embedding, ICLR 2017.
        Cen et al., Controllable Multi-Interest Framework for Recommendation, KDD 2020.
        Tan et al., Sparse-Interest Network for Sequential Recommendation, WSDM 2021 (with shares).
    """

    def __init__(self, num_interests, units, **kwargs):
        super().__init__(**kwargs)
        for word, number in (("num_interests", num_interests), ("units", units)):
            if number < 1:
                raise ValueError(f"{self.name}: {word} must be at least 1, got {number!r}.")
        self.num_interests = int(num_interests)
        self.units = int(units)

    def build(self, keys_shape, values_shape=None, mask_shape=None, shares_shape=None):
        """Makes both maps."""
        self.inner = self.add_weight(
            shape=(keys_shape[-1], self.units), initializer="glorot_uniform", name="inner"
        )
        self.outer = self.add_weight(
            shape=(self.units, self.num_interests), initializer="glorot_uniform", name="outer"
        )

    def call(self, keys, values, mask, shares=None):
        """Applies the layer."""
        weights = ops.cast(self._weights(keys, mask, shares), values.dtype)
        return ops.einsum("btk,btd->bkd", weights, values)

    def explain(self, keys, values, mask, shares=None):
        """What each step counts for each interest: {"weights": float32 (B, T, K)}, padding 0."""
        return {"weights": self._weights(keys, mask, shares)}

    def _weights(self, keys, mask, shares):
        scores = ops.matmul(ops.tanh(ops.matmul(keys, self.inner)), self.outer)  # (B, T, K)
        if shares is not None:
            scores = scores * ops.cast(shares, scores.dtype)
        return masked_softmax(scores, mask[..., None], axis=1)

    def compute_mask(self, *args, **kwargs):
        """Time is gone."""
        return None

    def compute_output_shape(self, keys_shape, values_shape, mask_shape=None, shares_shape=None):
        """K interests a user."""
        return (keys_shape[0], self.num_interests, values_shape[-1])

    def get_config(self):
        """Returns the arguments."""
        return {
            **super().get_config(), "num_interests": self.num_interests, "units": self.units,
        }
