"""EDCN's bridge between the branches."""

import keras
from keras import ops

_TYPES = ("pointwise_addition", "hadamard_product", "concatenation", "attention_pooling")


@keras.saving.register_keras_serializable(package="deeprec_tf")
class Bridge(keras.layers.Layer):
    """One vector of what both branches of a layer found, of their width (EDCN).

    pointwise_addition: x + h. hadamard_product: x ∘ h. concatenation: ReLU(W [x; h] + b).
    attention_pooling: a_x x + a_h h, with (a_x, a_h) the softmax over the two scores
    p_xᵀ ReLU(W_x x + b_x) and p_hᵀ ReLU(W_h h + b_h), each from a network of its own.

    Args:
        bridge_type: one of the four.
        attention_units: width of the attention networks; n when None.

    Call arguments:
        cross: float tensor (B, n), x.
        deep: float tensor (B, n), h.

    Returns:
        Float tensor (B, n).

    Raises:
        ValueError: an unknown bridge type, or branches of different widths.

    Example:
        >>> Bridge("hadamard_product")(keras.ops.ones((1, 2)), keras.ops.ones((1, 2))).shape
        TensorShape([1, 2])

    References:
        Chen et al., Enhancing Explicit and Implicit Feature Interactions via Information Sharing
        for Parallel Deep CTR Models, DLP-KDD 2021.
    """

    def __init__(self, bridge_type="concatenation", *, attention_units=None, **kwargs):
        super().__init__(**kwargs)
        self.bridge_type = bridge_type
        self.attention_units = attention_units
        if bridge_type not in _TYPES:
            raise ValueError(
                f"{self.name}: bridge_type must be one of {_TYPES}, got {bridge_type!r}."
            )

    def build(self, cross_shape, deep_shape):
        """Creates the networks that the type needs."""
        width = cross_shape[-1]
        if deep_shape[-1] != width:
            raise ValueError(
                f"{self.name}: the branches must be of one width, got {width} and {deep_shape[-1]}."
            )
        policy = self.dtype_policy
        if self.bridge_type == "concatenation":
            self.joint = keras.layers.Dense(width, activation="relu", name="joint", dtype=policy)
            self.joint.build((cross_shape[0], 2 * width))
        elif self.bridge_type == "attention_pooling":
            units = self.attention_units or width
            self.networks = []
            for branch in ("cross", "deep"):
                hidden = keras.layers.Dense(
                    units, activation="relu", name=f"{branch}_hidden", dtype=policy
                )
                score = keras.layers.Dense(
                    1, use_bias=False, name=f"{branch}_score", dtype=policy
                )
                hidden.build(cross_shape)
                score.build((cross_shape[0], units))
                self.networks.append((hidden, score))

    def call(self, cross, deep):
        """Applies the layer."""
        if self.bridge_type == "pointwise_addition":
            return cross + deep
        if self.bridge_type == "hadamard_product":
            return cross * deep
        if self.bridge_type == "concatenation":
            return self.joint(ops.concatenate([cross, deep], axis=-1))
        weights = self._weights(cross, deep)
        return weights[:, :1] * cross + weights[:, 1:] * deep

    def _weights(self, cross, deep):
        """(B, 2)."""
        scores = [
            score(hidden(branch))
            for (hidden, score), branch in zip(self.networks, (cross, deep), strict=True)
        ]
        scores = ops.cast(ops.concatenate(scores, axis=-1), "float32")
        return ops.cast(ops.softmax(scores, axis=-1), self.compute_dtype)

    def explain(self, cross, deep):
        """What each branch counts: {"weights": (B, 2)}; nothing for bridges without weights."""
        if self.bridge_type != "attention_pooling":
            return {}
        return {"weights": self._weights(cross, deep)}

    def compute_output_shape(self, cross_shape, deep_shape):
        """The width stays."""
        return tuple(cross_shape)

    def get_config(self):
        """Returns the arguments."""
        return {
            **super().get_config(),
            "bridge_type": self.bridge_type,
            "attention_units": self.attention_units,
        }
