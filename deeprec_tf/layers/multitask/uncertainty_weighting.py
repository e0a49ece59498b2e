"""Loss balancing by each task's own noise, which is learned."""

import keras
from keras import ops

from deeprec_tf.layers.multitask.loss_balance import LossBalance


@keras.saving.register_keras_serializable(package="deeprec_tf")
class UncertaintyWeighting(LossBalance):
    """Homoscedastic uncertainty: total = sum_k c_k exp(-s_k) L_k + s_k / 2, s_k = log sigma_k².

    c is ½ for regression and 1 for classification (Kendall et al., equations 7 and 10). The s_k
    start at 0, are trained with the model and may go below 0, so that a task can gain weight. A
    batch without a label of a task, or without weight on it, leaves its s_k alone.

    Args:
        **kwargs: as for `LossBalance`; filled in by the builder.

    Call arguments:
        predictions: dict of float tensors by task name.

    Returns:
        `predictions`.

    Example:
        >>> types = ("binary", "regression")
        >>> balance = UncertaintyWeighting(tasks=("ctr", "price"), task_types=types)
        >>> balance.build({})
        >>> float(balance.total(keras.ops.array([1.0, 1.0])))
        1.5

    References:
        Kendall et al., Multi-Task Learning Using Uncertainty to Weigh Losses for Scene Geometry
        and Semantics, CVPR 2018.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)

    def build(self, predictions_shape):
        """Creates the logarithms of the variances."""
        self.log_variances = self.add_weight(
            shape=(len(self.tasks),), initializer="zeros", name="log_variances"
        )

    def total(self, losses, present=None):
        """The weighted losses and the penalty of a large variance, of the tasks that are there."""
        present = ops.ones_like(self.log_variances) if present is None else present
        there = ops.greater(present, 0)
        s = ops.where(there, self.log_variances, 0.0)  # before exp, which might overflow
        factors = [0.5 if kind == "regression" else 1.0 for kind in self.task_types]
        weighted = ops.array(factors, "float32") * ops.exp(-s) * losses
        return ops.sum(ops.where(there, weighted + s / 2, 0.0))
