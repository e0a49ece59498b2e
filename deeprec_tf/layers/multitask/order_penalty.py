"""A later step of a funnel is never likelier than the one before it."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="deeprec_tf")
class OrderPenalty(keras.layers.Layer):
    """Passes the predictions through and adds AITM's calibrator to the loss (equation 7).

    weight · mean over rows of sum over t > 1 of max(p_t - p_(t-1), 0), p_t the probability of
    step t.

    Args:
        tasks: names of the steps, the first first.
        weight: factor of the penalty, at least 0.

    Call arguments:
        predictions: dict of float tensors (B, 1) by name.

    Returns:
        `predictions`.

    Raises:
        ValueError: a weight below 0.

    Example:
        >>> layer = OrderPenalty(("click", "buy"), weight=0.5)
        >>> _ = layer({"click": keras.ops.array([[0.2]]), "buy": keras.ops.array([[0.6]])})
        >>> round(float(layer.losses[0]), 3)
        0.2

    References:
        Xi et al., Modeling the Sequential Dependence among Audience Multi-step Conversions with
        Multi-task Learning in Targeted Display Advertising, KDD 2021.
    """

    def __init__(self, tasks, weight=0.6, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})
        if weight < 0:
            raise ValueError(f"{self.name}: weight must be at least 0, got {weight!r}.")
        self.tasks = tuple(tasks)
        self.weight = weight

    def call(self, predictions):
        """Applies the layer."""
        steps = [predictions[task] for task in self.tasks]
        excess = [ops.relu(after - before) for before, after in zip(steps, steps[1:], strict=False)]
        if excess and self.weight:
            rows = ops.cast(ops.shape(excess[0])[0], "float32")  # a replica may have none
            self.add_loss(self.weight * ops.sum(sum(excess)) / ops.maximum(rows, 1.0))
        return predictions

    def compute_output_shape(self, predictions_shape):
        """The predictions' shapes."""
        return predictions_shape

    def get_config(self):
        """Returns the arguments."""
        return {**super().get_config(), "tasks": self.tasks, "weight": self.weight}
