"""Numbers as fields."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="deeprec_tf")
class DenseFields(keras.layers.Layer):
    """Gives every number a vector of its own and scales it: e_i = x_i v_i.

    So numbers interact with categorical fields, as in factorization machines (Rendle 2010) and
    AutoInt (Song et al. 2019, equation 4). A number of 0 gives the zero vector, so standardized
    or log-scaled values are wanted.

    Args:
        embedding_dim: D, width of the vectors.

    Call arguments:
        numbers: float tensor (B, n).

    Returns:
        Float tensor (B, n, D).

    References:
        Rendle, Factorization Machines, ICDM 2010.
    """

    def __init__(self, embedding_dim, **kwargs):
        super().__init__(**kwargs)
        self.embedding_dim = int(embedding_dim)
        if self.embedding_dim < 1:
            raise ValueError(
                f"{self.name}: embedding_dim must be a positive integer, got {embedding_dim!r}."
            )

    def build(self, numbers_shape):
        """Creates the vectors; like the tables' they start at N(0, 0.01^2)."""
        self.vectors = self.add_weight(
            shape=(numbers_shape[-1], self.embedding_dim),
            initializer=keras.initializers.RandomNormal(stddev=0.01), name="vectors",
        )

    def call(self, numbers):
        """Applies the layer."""
        return ops.expand_dims(numbers, -1) * self.vectors

    def compute_output_shape(self, numbers_shape):
        """One vector a number."""
        return (*numbers_shape, self.embedding_dim)

    def get_config(self):
        """Returns the argument."""
        return {**super().get_config(), "embedding_dim": self.embedding_dim}
