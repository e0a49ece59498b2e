"""Loss balancing by how fast each task's loss falls from epoch to epoch."""

import keras
from keras import ops

from deeprec_tf.layers.multitask.loss_balance import LossBalance, all_finite


@keras.saving.register_keras_serializable(package="deeprec_tf")
class DynamicWeightAverage(LossBalance):
    """DWA: w_k(t) = K softmax_k(r_k(t - 1) / T), r_k(t - 1) = L_k(t - 1) / L_k(t - 2).

    L_k(t) is the mean loss of epoch t over the steps that have a label of the task. In the first
    two epochs all weights are 1; so they are without `fit`, which counts the epochs. A task whose
    loss was 0 in an epoch counts as one that does not fall, r_k = 1.

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
        self.steps = self.state_weight("steps")
        self.last = self.state_weight("last")
        self.before_last = self.state_weight("before_last")

    def total(self, losses, present=None):
        """The weighted losses."""
        return ops.sum(self.task_weights * losses)

    def observe(self, losses, present, norms=None):
        """Adds a step's losses to those of the epoch."""
        counts = ops.where(all_finite(losses), present, 0.0)
        self.sums.assign_add(ops.where(counts > 0, losses, 0.0))
        self.steps.assign_add(counts)

    def begin_epoch(self):
        """Means of the epoch that is over, and the weights of the one that begins."""
        if not bool(ops.any(self.steps > 0)):
            return
        self.before_last.assign(self.last)
        self.last.assign(self.sums / ops.maximum(self.steps, 1.0))
        self.sums.assign(ops.zeros_like(self.sums))
        self.steps.assign(ops.zeros_like(self.steps))
        known = ops.logical_and(self.before_last > 0, self.last > 0)
        if bool(ops.any(known)):
            ratios = ops.where(known, self.last / ops.where(known, self.before_last, 1.0), 1.0)
            weights = ops.softmax(ratios / self.temperature) * len(self.tasks)
            self.task_weights.assign(weights)

    def get_config(self):
        """Returns the arguments."""
        return {**super().get_config(), "temperature": self.temperature}
