"""Several interests of a user: which are in use, and which one an item is about."""

import keras
from keras import ops

from deeprec_tf.layers.core.masking import masked_softmax


def used_interests(interests):
    """Which interests are in use: bool (B, K). One of zeros is not, unless all of a user are."""
    used = ops.any(ops.not_equal(interests, 0), axis=-1)
    return ops.logical_or(used, ops.logical_not(ops.any(used, axis=-1, keepdims=True)))


@keras.saving.register_keras_serializable(package="deeprec_tf")
class LabelAwareAttention(keras.layers.Layer):
    """The user as the target sees them: Σ_k softmax_k(p · <u_k, v>) u_k over the interests in use.

    The power p multiplies the scores: a power of a negative score would be NaN or turn its sign.
    The larger it is, the more the best interest counts alone; "hard" takes only that.

    Args:
        power: p, at least 0, or "hard".
        **kwargs: `name`, `dtype`.

    Call arguments:
        interests: float tensor (B, K, D); zeros where an interest is not in use.
        target: float tensor (B, D).

    Returns:
        float32 tensor (B, D).

    Raises:
        ValueError: a power below 0, or another word.

    References:
        Li et al., Multi-Interest Network with Dynamic Routing for Recommendation at Tmall,
        CIKM 2019.
    """

    def __init__(self, power=1.0, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})
        if power != "hard" and (isinstance(power, str) or not power >= 0):
            raise ValueError(f"{self.name}: power must be at least 0 or 'hard', got {power!r}.")
        self.power = power

    def call(self, interests, target):
        """Applies the layer."""
        return ops.einsum("bk,bkd->bd", self._weights(interests, target), interests)

    def explain(self, interests, target):
        """What each interest counts: {"weights": float32 (B, K)}, those not in use 0."""
        return {"weights": self._weights(interests, target)}

    def _weights(self, interests, target):
        scores = ops.einsum("bkd,bd->bk", interests, target)
        used = used_interests(interests)
        if self.power == "hard":
            best = ops.argmax(ops.where(used, scores, -1e9), axis=-1)
            return ops.one_hot(best, interests.shape[1], dtype="float32")
        return masked_softmax(scores * self.power, used)

    def compute_mask(self, *args, **kwargs):
        """No implicit mask."""
        return None

    def compute_output_shape(self, interests_shape, target_shape):
        """One vector a row."""
        return (interests_shape[0], interests_shape[-1])

    def get_config(self):
        """Returns the argument."""
        return {**super().get_config(), "power": self.power}


@keras.saving.register_keras_serializable(package="deeprec_tf")
class UsedInterests(keras.layers.Layer):
    """What was made of a user's interests, zeros for those that are not in use.

    Call arguments:
        values: float tensor (B, K, D).
        interests: float tensor (B, K, d) that they were made of; one of zeros is not in use,
            unless all of a user are.

    Returns:
        float32 tensor (B, K, D).
    """

    def __init__(self, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})

    def call(self, values, interests):
        """Applies the layer."""
        return ops.where(used_interests(interests)[..., None], values, 0.0)

    def compute_mask(self, *args, **kwargs):
        """No implicit mask."""
        return None

    def compute_output_shape(self, values_shape, interests_shape):
        """Shape is kept."""
        return values_shape
