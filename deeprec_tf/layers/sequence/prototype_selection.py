"""The few of many learned prototypes that a user's behaviors are about."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="deeprec_tf")
class PrototypeCovariance(keras.regularizers.Regularizer):
    """weight · ½ (‖M‖² − ‖diag M‖²), M = (C − mean)(C − mean)ᵀ / d: prototypes that differ.

    Args:
        weight: factor of the penalty, at least 0.
    """

    def __init__(self, weight):
        self.weight = float(weight)

    def __call__(self, prototypes):
        """The penalty of prototypes (L, d): a scalar."""
        centered = prototypes - ops.mean(prototypes, axis=1, keepdims=True)
        covariance = ops.matmul(centered, ops.transpose(centered)) / prototypes.shape[1]
        variances = ops.sum(ops.square(centered), axis=1) / prototypes.shape[1]  # its diagonal
        squares = ops.sum(ops.square(covariance)) - ops.sum(ops.square(variances))
        return self.weight * squares / 2.0

    def get_config(self):
        """Returns the argument."""
        return {"weight": self.weight}


@keras.saving.register_keras_serializable(package="deeprec_tf")
class PrototypeSelection(keras.layers.Layer):
    """The K of L prototypes nearest to a user, each times the sigmoid of its score.

    s = C z, the K highest are taken: c_k = C[i_k] · sigmoid(s[i_k]). Which ones are taken has no
    gradient; the sigmoid gives the scores one, and so trains the selection.

    Args:
        num_prototypes: L.
        num_selected: K, at most L.
        decorrelation: weight of `PrototypeCovariance` in the loss.
        **kwargs: `name`, `dtype`.

    Call arguments:
        summary: float tensor (B, d), z.

    Returns:
        Float tensor (B, K, d), the nearest prototype first.

    Raises:
        ValueError: K below 1 or above L, or a negative weight.

    References:
        Tan et al., Sparse-Interest Network for Sequential Recommendation, WSDM 2021.
    """

    def __init__(self, num_prototypes, num_selected, *, decorrelation=0.0, **kwargs):
        super().__init__(**kwargs)
        if not 1 <= num_selected <= num_prototypes:
            raise ValueError(
                f"{self.name}: of num_prototypes={num_prototypes!r} there can be selected 1 to "
                f"{num_prototypes!r}, got {num_selected!r}."
            )
        if not decorrelation >= 0:
            raise ValueError(
                f"{self.name}: decorrelation must be at least 0, got {decorrelation!r}."
            )
        self.num_prototypes = int(num_prototypes)
        self.num_selected = int(num_selected)
        self.decorrelation = float(decorrelation)

    def build(self, summary_shape):
        """Makes the prototypes."""
        self.prototypes = self.add_weight(
            shape=(self.num_prototypes, summary_shape[-1]), initializer="glorot_uniform",
            regularizer=PrototypeCovariance(self.decorrelation) if self.decorrelation else None,
            name="prototypes",
        )

    def call(self, summary):
        """Applies the layer."""
        scores, places = self._nearest(summary)
        chosen = ops.take(self.prototypes, places, axis=0)  # (B, K, d)
        return chosen * ops.cast(ops.sigmoid(scores), chosen.dtype)[..., None]

    def _nearest(self, summary):
        scores = ops.matmul(summary, ops.transpose(self.prototypes))  # (B, L)
        return ops.top_k(ops.cast(scores, "float32"), self.num_selected)

    def explain(self, summary):
        """The factor of each chosen prototype: {"weights": float32 (B, K)}."""
        return {"weights": ops.sigmoid(self._nearest(summary)[0])}

    def compute_mask(self, *args, **kwargs):
        """No implicit mask."""
        return None

    def compute_output_shape(self, summary_shape):
        """K prototypes a user."""
        return (summary_shape[0], self.num_selected, summary_shape[-1])

    def get_config(self):
        """Returns the arguments."""
        return {
            **super().get_config(), "num_prototypes": self.num_prototypes,
            "num_selected": self.num_selected, "decorrelation": self.decorrelation,
        }
