"""Which of a user's prototypes each behavior belongs to."""

import keras
from keras import ops

from deeprec_tf.layers.core.unit_length import UnitLength


@keras.saving.register_keras_serializable(package="deeprec_tf")
class PrototypeAssignment(keras.layers.Layer):
    """P_tk = softmax_k(cos(x_t, c_k) / temperature): shares of the prototypes in each behavior.

    Args:
        temperature: above 0; the lower, the more the nearest prototype has.
        **kwargs: `name`.

    Call arguments:
        behaviors: float tensor (B, T, d).
        prototypes: float tensor (B, K, d).
        mask: bool tensor (B, T), True = real.

    Returns:
        float32 tensor (B, T, K); real steps sum to 1, padding is 0.

    Raises:
        ValueError: a temperature that is not above 0.

    References:
        Tan et al., Sparse-Interest Network for Sequential Recommendation, WSDM 2021.
    """

    def __init__(self, temperature=0.1, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})
        if not temperature > 0:
            raise ValueError(f"{self.name}: temperature must be above 0, got {temperature!r}.")
        self.temperature = float(temperature)
        self.unit = UnitLength()

    def build(self, behaviors_shape, prototypes_shape=None, mask_shape=None):
        """Nothing to make."""
        self.unit.build(behaviors_shape)

    def call(self, behaviors, prototypes, mask):
        """Applies the layer."""
        cosines = ops.einsum("btd,bkd->btk", self.unit(behaviors), self.unit(prototypes))
        shares = ops.softmax(cosines / self.temperature, axis=-1)
        return shares * ops.cast(mask, shares.dtype)[..., None]

    def explain(self, behaviors, prototypes, mask):
        """The shares: {"weights": float32 (B, T, K)}, padding 0."""
        return {"weights": self.call(behaviors, prototypes, mask)}

    def compute_mask(self, *args, **kwargs):
        """No implicit mask."""
        return None

    def compute_output_shape(self, behaviors_shape, prototypes_shape, mask_shape=None):
        """K shares a step."""
        return (*behaviors_shape[:2], prototypes_shape[1])

    def get_config(self):
        """Returns the argument."""
        return {**super().get_config(), "temperature": self.temperature}
