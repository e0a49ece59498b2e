"""AdamW as pre-trained encoders are fine-tuned."""

import re

import keras

# The end of the name that TensorFlow has: "attention/query/bias:0", "…/bias/replica_1:0".
_NO_MATRIX = re.compile(r"(bias|beta|gamma)(/replica_\d+)?(:\d+)?$")


@keras.saving.register_keras_serializable(package="deeprec_tf")
class FineTuneAdamW(keras.optimizers.AdamW):
    """AdamW that lets norms and biases be: weight decay acts on matrices alone.

    Left out is what has one axis, and what is named as a bias or as a scale or shift of a norm: the
    biases of `keras.layers.MultiHeadAttention` have two axes, heads and their width.

    Keras's `exclude_from_weight_decay` does the same, but is forgotten when a model is saved.

    Args:
        learning_rate: number or Keras schedule; 2e-5 to 5e-5 for a whole encoder, 1e-4 to 1e-3
            for adapters. A warm-up is a schedule (`keras.optimizers.schedules`).
        weight_decay: share of a matrix that a step of learning rate 1 would take.
        **kwargs: whatever else `keras.optimizers.AdamW` takes.

    Example:
        >>> from deeprec_tf.optimizers import FineTuneAdamW
        >>> FineTuneAdamW().get_config()["weight_decay"]
        0.01
    """

    def __init__(self, learning_rate=3e-5, weight_decay=0.01, **kwargs):
        super().__init__(learning_rate=learning_rate, weight_decay=weight_decay, **kwargs)

    def _use_weight_decay(self, variable):
        is_matrix = len(variable.shape) > 1 and not _NO_MATRIX.search(variable.name)
        return is_matrix and super()._use_weight_decay(variable)
