"""From a logit to what a model answers."""

import keras
from keras import ops

_ACTIVATIONS = {"binary": "sigmoid", "regression": "linear", "multiclass": "softmax"}


@keras.saving.register_keras_serializable(package="deeprec_tf")
class PredictionLayer(keras.layers.Layer):
    """Adds the global bias to a logit and applies the task's output function, in float32.

    Args:
        task: "binary" (sigmoid), "regression" (identity) or "multiclass" (softmax).
        use_bias: whether to add a bias, one an output.

    Call arguments:
        logit: float tensor (B, n); n is 1 but for "multiclass".

    Returns:
        float32 tensor (B, n).

    Raises:
        ValueError: the task is unknown.

    Example:
        >>> float(PredictionLayer()(keras.ops.zeros((1, 1)))[0, 0])
        0.5
    """

    def __init__(self, task="binary", *, use_bias=True, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})
        if task not in _ACTIVATIONS:
            raise ValueError(
                f"{self.name}: task must be one of {tuple(_ACTIVATIONS)}, got {task!r}."
            )
        self.task = task
        self.use_bias = use_bias
        # Keras keeps the logit beside a sigmoid's output, and its cross-entropy reads it there.
        self.activation = keras.activations.get(_ACTIVATIONS[task])

    def build(self, logit_shape):
        """Creates the bias."""
        if self.use_bias:
            self.bias = self.add_weight(
                shape=(logit_shape[-1],), initializer="zeros", name="bias"
            )

    def call(self, logit):
        """Applies the layer."""
        logit = ops.cast(logit, "float32")
        if self.use_bias:
            logit = logit + self.bias
        return self.activation(logit)

    def compute_output_shape(self, logit_shape):
        """Shape is kept."""
        return logit_shape

    def get_config(self):
        """Returns the arguments."""
        return {**super().get_config(), "task": self.task, "use_bias": self.use_bias}
