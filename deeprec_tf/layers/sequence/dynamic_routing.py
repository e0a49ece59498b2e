"""Behaviors to interests by dynamic routing."""

import keras
import numpy as np
from keras import ops

from deeprec_tf.layers.core.masking import masked_softmax

_TINY = 1e-12


@keras.saving.register_keras_serializable(package="deeprec_tf")
class DynamicRouting(keras.layers.Layer):
    """Clusters a user's behaviors around K interests (MIND's behavior-to-interest routing).

    All behaviors pass one map S. The logits b_tk of a behavior belonging to an interest start at
    random numbers that are fixed, one a position and interest, so that interests can part and a
    user gets the same ones at every call. Each round then does

        w_tk = softmax_k(b_tk),  z_k = Σ_t w_tk S e_t,
        u_k = ‖z_k‖² / (1 + ‖z_k‖²) · z_k / ‖z_k‖,  b_tk ← b_tk + <u_k, S e_t>

    over the real steps t. Gradients pass through the last round alone, as is common.

    With `adaptive`, a user with n behaviors has max(1, min(K, ⌊log2 n⌋)) interests; the others
    take no part in the softmax and come out as zeros.

    Args:
        num_interests: K.
        hidden_size: width d of the interests.
        maxlen: longest history.
        iterations: rounds.
        adaptive: whether short histories have fewer interests.
        **kwargs: `name`, `dtype`.

    Call arguments:
        behaviors: float tensor (B, T, D), T at most `maxlen`.
        mask: bool tensor (B, T), True = real.

    Returns:
        float32 tensor (B, K, d).

    Raises:
        ValueError: a number below 1.

    References:
        Sabour et al., Dynamic Routing Between Capsules, NeurIPS 2017.
        Li et al., Multi-Interest Network with Dynamic Routing for Recommendation at Tmall,
        CIKM 2019.
    """

    def __init__(
        self, num_interests, hidden_size, maxlen, *, iterations=3, adaptive=True, **kwargs
    ):
        super().__init__(**{**kwargs, "dtype": "float32"})
        numbers = {
            "num_interests": num_interests, "hidden_size": hidden_size, "maxlen": maxlen,
            "iterations": iterations,
        }
        for word, number in numbers.items():
            if number < 1:
                raise ValueError(f"{self.name}: {word} must be at least 1, got {number!r}.")
            setattr(self, word, int(number))
        self.adaptive = adaptive

    def build(self, behaviors_shape, mask_shape=None):
        """Makes S and the start logits."""
        self.kernel = self.add_weight(
            shape=(behaviors_shape[-1], self.hidden_size), initializer="glorot_uniform",
            name="kernel",
        )
        self.start = self.add_weight(
            shape=(self.maxlen, self.num_interests), trainable=False, name="start_logits",
            initializer=keras.initializers.RandomNormal(stddev=1.0),
        )

    def call(self, behaviors, mask):
        """Applies the layer."""
        mapped = ops.matmul(behaviors, self.kernel)  # (B, T, d)
        weights = self._route(ops.stop_gradient(mapped), mask)  # (B, T, K)
        return squash(ops.einsum("btk,btd->bkd", weights, mapped))

    def explain(self, behaviors, mask):
        """What each step counts for each interest: {"weights": float32 (B, T, K)}, padding 0."""
        return {"weights": self._route(ops.matmul(behaviors, self.kernel), mask)}

    def _route(self, mapped, mask):
        """The weights of the last round."""
        used = self._used(mask)[:, None, :]  # (B, 1, K)
        valid = ops.logical_and(mask[..., None], used)  # (B, T, K)
        logits = self.start[None, : ops.shape(mapped)[1]]
        weights = masked_softmax(logits, valid)
        for _ in range(self.iterations - 1):
            interests = squash(ops.einsum("btk,btd->bkd", weights, mapped))
            logits = logits + ops.einsum("bkd,btd->btk", interests, mapped)
            weights = masked_softmax(logits, valid)
        return ops.stop_gradient(weights)

    def _used(self, mask):
        """Which interests a user has: bool (B, K). n >= 2^k says that ⌊log2 n⌋ >= k, exactly."""
        exponents = np.arange(1, self.num_interests + 1, dtype="int32")
        least = 2 ** np.minimum(exponents, 30)  # 2^31 is no int32; no history has 2^30 steps
        least[0] = 0
        length = ops.sum(ops.cast(mask, "int32"), axis=1, keepdims=True)
        return ops.greater_equal(length, least if self.adaptive else 0 * least)

    def compute_mask(self, *args, **kwargs):
        """Time is gone."""
        return None

    def compute_output_shape(self, behaviors_shape, mask_shape=None):
        """K interests a user."""
        return (behaviors_shape[0], self.num_interests, self.hidden_size)

    def get_config(self):
        """Returns the arguments."""
        return {
            **super().get_config(),
            "num_interests": self.num_interests,
            "hidden_size": self.hidden_size,
            "maxlen": self.maxlen,
            "iterations": self.iterations,
            "adaptive": self.adaptive,
        }


def squash(vectors):
    """‖z‖² / (1 + ‖z‖²) · z / ‖z‖, zeros for zeros."""
    squares = ops.sum(ops.square(vectors), axis=-1, keepdims=True)
    return vectors * ops.sqrt(ops.maximum(squares, _TINY)) / (1.0 + squares)
