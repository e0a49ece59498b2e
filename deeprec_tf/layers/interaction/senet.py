"""Weights of fields by squeeze and excitation."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="deeprec_tf")
class SENET(keras.layers.Layer):
    """Scales every field by its importance in this row (FiBiNET, equations 2 to 4).

    Squeeze: z_f = mean over D of v_f. Excitation: a = ReLU(W2 ReLU(W1 z)), with a bottleneck of
    max(1, F // reduction_ratio) units. Re-weight: a_f v_f.

    Args:
        reduction_ratio: how much narrower the bottleneck is than F.

    Call arguments:
        fields: float tensor (B, F, D).

    Returns:
        Float tensor (B, F, D).

    Raises:
        ValueError: the ratio is below 1.

    References:
        Huang et al., FiBiNET: Combining Feature Importance and Bilinear feature Interaction for
        Click-Through Rate Prediction, RecSys 2019.
    """

    def __init__(self, reduction_ratio=3, **kwargs):
        super().__init__(**kwargs)
        self.reduction_ratio = reduction_ratio
        if reduction_ratio < 1:
            raise ValueError(
                f"{self.name}: reduction_ratio must be at least 1, got {reduction_ratio!r}."
            )

    def build(self, fields_shape):
        """Creates W1 (F, bottleneck) and W2 (bottleneck, F)."""
        fields = fields_shape[1]
        units = max(1, int(fields // self.reduction_ratio))
        self.squeeze_kernel = self.add_weight(
            shape=(fields, units), initializer="glorot_uniform", name="squeeze_kernel"
        )
        self.excite_kernel = self.add_weight(
            shape=(units, fields), initializer="glorot_uniform", name="excite_kernel"
        )

    def _weights(self, fields):
        """Importance (B, F)."""
        squeezed = ops.mean(fields, axis=-1)
        hidden = ops.relu(ops.matmul(squeezed, self.squeeze_kernel))
        return ops.relu(ops.matmul(hidden, self.excite_kernel))

    def call(self, fields):
        """Applies the layer."""
        return ops.expand_dims(self._weights(fields), -1) * fields

    def explain(self, fields):
        """How much each field counts in a row.

        Args:
            fields: as in a call.

        Returns:
            Dict with "weights", float tensor (B, F), 0 or more.
        """
        return {"weights": self._weights(ops.cast(fields, "float32"))}

    def compute_output_shape(self, fields_shape):
        """Shape is kept."""
        return fields_shape

    def get_config(self):
        """Returns the argument."""
        return {**super().get_config(), "reduction_ratio": self.reduction_ratio}
