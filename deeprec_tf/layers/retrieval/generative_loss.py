"""A loss of the next item beside a prediction."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="deeprec_tf")
class GenerativeLoss(keras.layers.Layer):
    """Passes the prediction through and adds weight · mean of the rows' own losses.

    An identity on the prediction keeps the loss on the path to the output, where a functional
    model does not prune it.

    Args:
        weight: λ, factor of the loss, above 0.

    Call arguments:
        prediction: float tensor (B, n), returned as it is.
        row_losses: float tensor (B, 1), as `RetrievalLoss` gives them.

    Returns:
        `prediction`.

    Raises:
        ValueError: a weight that is not above 0.
    """

    def __init__(self, weight, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})
        if not weight > 0:
            raise ValueError(f"{self.name}: weight must be above 0, got {weight!r}.")
        self.weight = float(weight)
        self.tracker = keras.metrics.Mean(name=self.name)

    def call(self, prediction, row_losses):
        """Applies the layer."""
        rows = ops.cast(ops.shape(row_losses)[0], "float32")
        loss = ops.sum(row_losses) / ops.maximum(rows, 1.0)
        self.add_loss(self.weight * loss)
        self.tracker.update_state(loss)
        return prediction

    def compute_mask(self, *args, **kwargs):
        """No implicit mask."""
        return None

    def compute_output_shape(self, prediction_shape, row_losses_shape=None):
        """The prediction's shape."""
        return prediction_shape

    def get_config(self):
        """Returns the argument."""
        return {**super().get_config(), "weight": self.weight}
