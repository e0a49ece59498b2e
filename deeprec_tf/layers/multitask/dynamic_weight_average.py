"""Loss balancing by how fast each task's loss falls from epoch to epoch."""

import keras
from keras import ops

from deeprec_tf.layers.multitask.loss_balance import LossBalance


@keras.saving.register_keras_serializable(package="deeprec_tf")
class DynamicWeightAverage(LossBalance):
    """DWA: w_k(t) = K softmax_k(r_k(t - 1) / T), r_k(t - 1) = L_k(t - 1) / L_k(t - 2).

    L_k(t) is the mean loss of epoch t. In the first two epochs all weights are 1; so they are
    without `fit`, which counts the epochs.

    Args:
        temperature: T, above 0; large values give equal weights.
        **kwargs: as for `LossBalance`; filled in by the builder.

    Call arguments:
        predictions: dict of float tensors by task name.

    Returns:
        `predictions`.

    Raises:
        ValueError: a temperature of 0 or below.

    Example:
        >>> DynamicWeightAverage(2.0, tasks=("ctr", "cvr")).temperature
        2.0

    References:
        Liu et al., End-to-End Multi-Task Learning with Attention, CVPR 2019, equation 7.
    """

    def __init__(self, temperature=2.0, **kwargs):
        super().__init__(**kwargs)
        if temperature <= 0:
            raise ValueError(f"{self.name}: temperature must be above 0, got {temperature!r}.")
        self.temperature = temperature

    def build(self, predictions_shape):
        """Creates the weights, the running sums, and the means of the last two epochs."""
        self.task_weights = self.state_weight("task_weights", initializer="ones")
        self.sums = self.state_weight("sums")
        self.steps = self.state_weight("steps", shape=())
        self.last = self.state_weight("last")
        self.before_last = self.state_weight("before_last")

    def total(self, losses):
        """The weighted losses."""
        return ops.sum(self.task_weights * losses)

    def observe(self, losses, norms=None):
        """Adds a step's losses to those of the epoch."""
        self.sums.assign_add(losses)
        self.steps.assign_add(1.0)

    def begin_epoch(self):
        """Means of the epoch that is over, and the weights of the one that begins."""
        if not float(self.steps):
            return
        self.before_last.assign(self.last)
        self.last.assign(self.sums / self.steps)
        self.sums.assign(ops.zeros_like(self.sums))
        self.steps.assign(0.0)
        if bool(ops.all(self.before_last > 0)):
            ratios = self.last / self.before_last
            weights = ops.softmax(ratios / self.temperature) * len(self.tasks)
            self.task_weights.assign(weights)

    def get_config(self):
        """Returns the arguments."""
        return {**super().get_config(), "temperature": self.temperature}
