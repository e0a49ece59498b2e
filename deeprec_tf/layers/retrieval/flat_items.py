"""Items in any places of a batch as one list, and back."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="deeprec_tf")
class FlatItems(keras.layers.Layer):
    """Joins the leading axes of a tensor: (..., n) to (N, n).

    Args:
        lead: how many axes are joined.

    Call arguments:
        inputs: tensor with `lead` axes or more.

    Returns:
        Tensor (N, ...).
    """

    def __init__(self, lead, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32", "autocast": False})
        self.lead = lead

    def call(self, inputs):
        """Applies the layer."""
        return ops.reshape(inputs, (-1, *ops.shape(inputs)[self.lead :]))

    def compute_mask(self, *args, **kwargs):
        """No implicit mask."""
        return None

    def compute_output_spec(self, inputs):
        """The other axes stay."""
        return keras.KerasTensor((None, *inputs.shape[self.lead :]), dtype=inputs.dtype)

    def get_config(self):
        """Returns the argument."""
        return {**super().get_config(), "lead": self.lead}


@keras.saving.register_keras_serializable(package="deeprec_tf")
class ItemsInPlace(keras.layers.Layer):
    """Puts a list of vectors back into the places of their ids: (N, D) to (..., D).

    Call arguments:
        vectors: float tensor (N, D).
        like: tensor (...) of N entries.

    Returns:
        Float tensor (..., D).
    """

    def call(self, vectors, like):
        """Applies the layer."""
        return ops.reshape(vectors, (*ops.shape(like), vectors.shape[-1]))

    def compute_mask(self, *args, **kwargs):
        """No implicit mask."""
        return None

    def compute_output_spec(self, vectors, like):
        """The places, and the width."""
        return keras.KerasTensor((*like.shape, vectors.shape[-1]), dtype=vectors.dtype)
