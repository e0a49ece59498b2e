"""Loss balancing by equal training rates."""

import keras
from keras import ops

from deeprec_tf.layers.multitask.loss_balance import LossBalance, all_finite

_BETA_1, _BETA_2, _EPSILON = 0.9, 0.999, 1e-8


@keras.saving.register_keras_serializable(package="deeprec_tf")
class GradNorm(LossBalance):
    """GradNorm: the weights are trained so that no task's gradient outgrows the others'.

    With W the last layer that all tasks share and g_k = ||grad_W L_k||:

        G_k = w_k g_k
        r_k = (L_k / L_k(0)) / mean_j (L_j / L_j(0))
        target_k = mean_j G_j · r_k^alpha, a constant, each task's own
        L_grad = sum_k |G_k - target_k|, so dL_grad/dw_k = sign(G_k - target_k) g_k

    One step of Adam on w, clipped at 0 and scaled to sum K, follows every step of the model, which
    uses the weights of before. L_k(0) is the task's first loss. A task that a batch has no label of
    is left out of it.

    Args:
        alpha: strength, at least 0: 0 wants equal norms, more pulls slow tasks harder (.12 to 1.5
            in the paper).
        learning_rate: that of the weights' Adam.
        **kwargs: as for `LossBalance`; filled in by the builder.

    Call arguments:
        predictions: dict of float tensors by task name.

    Returns:
        `predictions`.

    Raises:
        ValueError: an alpha or learning rate below 0.

    Example:
        >>> GradNorm(alpha=0.5, tasks=("ctr", "cvr")).reads
        'shared_layers'

    References:
        Chen et al., GradNorm: Gradient Normalization for Adaptive Loss Balancing in Deep Multitask
        Networks, ICML 2018, algorithm 1.
    """

    reads = "shared_layers"

    def __init__(self, alpha=1.5, *, learning_rate=0.025, **kwargs):
        super().__init__(**kwargs)
        for name, value in (("alpha", alpha), ("learning_rate", learning_rate)):
            if value < 0:
                raise ValueError(f"{self.name}: {name} must be at least 0, got {value!r}.")
        self.alpha = alpha
        self.learning_rate = learning_rate

    def build(self, predictions_shape):
        """Creates the weights, the first losses, and the state of the weights' Adam."""
        self.task_weights = self.state_weight("task_weights", initializer="ones")
        self.first_losses = self.state_weight("first_losses")
        self.first_moment = self.state_weight("first_moment")
        self.second_moment = self.state_weight("second_moment")
        self.steps = self.state_weight("steps", shape=())

    def total(self, losses, present=None):
        """The weighted losses; no gradient reaches the weights here."""
        return ops.sum(ops.stop_gradient(self.task_weights) * losses)

    def observe(self, losses, present, norms=None):
        """One step of the weights, from L_k and g_k (K,)."""
        is_sound = all_finite(losses, norms)
        losses, norms = (ops.where(is_sound, value, 0.0) for value in (losses, norms))
        there = ops.where(is_sound, present, 0.0)
        count = ops.maximum(ops.sum(there), 1.0)
        known = self.first_losses > 0
        first = ops.where(known, self.first_losses, ops.where(there > 0, losses, 0.0))
        self.first_losses.assign(first)

        rates = there * losses / ops.where(first > 0, first, 1.0)
        rates = rates * count / ops.maximum(ops.sum(rates), keras.config.epsilon())  # r_k
        weighted = self.task_weights * norms  # G_k
        mean = ops.sum(weighted * there) / count
        target = mean * ops.power(ops.maximum(rates, 0.0), self.alpha)
        self._step(ops.sign(weighted - target) * norms * there, is_sound)

    def _step(self, gradient, is_sound):
        """Adam on the weights; a step that is not sound changes nothing."""
        steps = self.steps + 1.0
        first = _BETA_1 * self.first_moment + (1 - _BETA_1) * gradient
        second = _BETA_2 * self.second_moment + (1 - _BETA_2) * ops.square(gradient)
        unbiased = first / (1 - ops.power(_BETA_1, steps))
        scale = ops.sqrt(second / (1 - ops.power(_BETA_2, steps))) + _EPSILON
        moved = ops.maximum(self.task_weights - self.learning_rate * unbiased / scale, 0.0)
        moved = moved * len(self.tasks) / ops.maximum(ops.sum(moved), keras.config.epsilon())
        for weight, value in (
            (self.steps, steps), (self.first_moment, first), (self.second_moment, second),
            (self.task_weights, moved),
        ):
            weight.assign(ops.where(is_sound, value, weight))

    def get_config(self):
        """Returns the arguments."""
        return {
            **super().get_config(), "alpha": self.alpha, "learning_rate": self.learning_rate,
        }
