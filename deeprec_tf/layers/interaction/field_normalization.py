"""Layer normalization of every field by itself."""

import keras


@keras.saving.register_keras_serializable(package="deeprec_tf")
class FieldNormalization(keras.layers.Layer):
    """LN(e_f) = γ_f ∘ (e_f - mean) / sqrt(variance + ε) + β_f, each field with its own γ and β.

    Args:
        epsilon: added to the variance. Young embeddings are small: with Keras's own 1e-3 they
            would come out close to zero.

    Call arguments:
        fields: float tensor (B, F, D), D at least 2.

    Returns:
        Float tensor (B, F, D).

    Raises:
        ValueError: fields of width 1, which normalization would make constant.

    References:
        Wang et al., MaskNet: Introducing Feature-Wise Multiplication to CTR Ranking Models by
        Instance-Guided Mask, DLP-KDD 2021.
    """

    def __init__(self, epsilon=1e-5, **kwargs):
        super().__init__(**kwargs)
        self.epsilon = epsilon
        self.standard = keras.layers.LayerNormalization(
            epsilon=epsilon, center=False, scale=False, name="standard", dtype=self.dtype_policy
        )

    def build(self, fields_shape):
        """Creates scales and offsets."""
        if fields_shape[-1] < 2:
            raise ValueError(
                f"{self.name}: normalization makes fields of width 1 constant. Set embedding_dim "
                "to 2 or more."
            )
        self.standard.build(fields_shape)
        shape = tuple(fields_shape[1:])
        self.gamma = self.add_weight(shape=shape, initializer="ones", name="gamma")
        self.beta = self.add_weight(shape=shape, initializer="zeros", name="beta")

    def call(self, fields):
        """Applies the layer."""
        return self.standard(fields) * self.gamma + self.beta

    def compute_output_shape(self, fields_shape):
        """Shape is kept."""
        return tuple(fields_shape)

    def get_config(self):
        """Returns the argument."""
        return {**super().get_config(), "epsilon": self.epsilon}
