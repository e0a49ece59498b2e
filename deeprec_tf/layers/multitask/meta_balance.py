"""Gradients of auxiliary tasks brought near the main task's."""

import keras
from keras import ops

from deeprec_tf.layers.multitask.loss_balance import LossBalance

_MODES = ("both", "shrink", "enlarge")


@keras.saving.register_keras_serializable(package="deeprec_tf")
class MetaBalance(LossBalance):
    """MetaBalance: per weight, auxiliary gradients are scaled towards the norm of the main task's.

    With m_k the moving average of the norms ||g_k|| of a weight's gradients, task 0 the main one:

        m_k ← beta m_k + (1 - beta) ||g_k||
        g_k ← r · g_k · m_0 / m_k + (1 - r) · g_k          for k > 0

    A weight that the main task does not train keeps its gradients, and so does one that an
    auxiliary task does not train. Penalties are added as they are. The averages start at the first
    norms, not at 0, which leaves their ratio as it is; a norm of 0, as without labels, or one that
    is not finite leaves them alone.

    Args:
        relax: r in [0, 1]: 0 changes nothing, 1 makes the norms equal.
        beta: the average's memory in [0, 1).
        mode: "both", or only "shrink" larger gradients, or only "enlarge" smaller ones.
        **kwargs: as for `LossBalance`; filled in by the builder. The first of `tasks` is the main
            one.

    Call arguments:
        predictions: dict of float tensors by task name.

    Returns:
        `predictions`.

    Raises:
        ValueError: a share outside its range, or an unknown mode.

    Example:
        >>> MetaBalance(0.5, mode="shrink", tasks=("ctr", "cvr")).mode
        'shrink'

    References:
        He et al., MetaBalance: Improving Multi-Task Recommendations via Adapting Gradient
        Magnitudes of Auxiliary Tasks, WWW 2022, algorithm 1.
    """

    reads = "gradients"

    def __init__(self, relax=0.7, *, beta=0.9, mode="both", **kwargs):
        super().__init__(**kwargs)
        if not 0 <= relax <= 1:
            raise ValueError(f"{self.name}: relax must be in [0, 1], got {relax!r}.")
        if not 0 <= beta < 1:
            raise ValueError(f"{self.name}: beta must be in [0, 1), got {beta!r}.")
        if mode not in _MODES:
            raise ValueError(f"{self.name}: mode must be one of {_MODES}, got {mode!r}.")
        self.relax = relax
        self.beta = beta
        self.mode = mode

    def build(self, predictions_shape):
        """Creates the averages of the norms, one a weight and task."""
        self.norms = self.state_weight("norms", shape=(self.num_weights, len(self.tasks)))

    def coefficients(self, products, shared):
        """What each task's gradient of each weight is multiplied by; moves the averages on.

        Args:
            products: (P, K, K) inner products of the tasks' gradients of each weight.
            shared: P booleans, whether two tasks or more train the weight.

        Returns:
            float32 (P, K).
        """
        norms = ops.sqrt(ops.diagonal(products, axis1=1, axis2=2))  # (P, K)
        moved = self.beta * self.norms + (1 - self.beta) * norms
        moved = ops.where(self.norms > 0, moved, norms)
        counts = ops.logical_and(ops.isfinite(norms), norms > 0)
        averages = ops.where(counts, moved, self.norms)
        self.norms.assign(averages)
        trained = ops.logical_and(averages > 0, averages[:, :1] > 0)
        ratio = ops.where(trained, averages[:, :1] / ops.where(trained, averages, 1.0), 1.0)
        if self.mode == "shrink":
            ratio = ops.minimum(ratio, 1.0)
        elif self.mode == "enlarge":
            ratio = ops.maximum(ratio, 1.0)
        return self.relax * ratio + (1 - self.relax)

    def get_config(self):
        """Returns the arguments."""
        return {
            **super().get_config(), "relax": self.relax, "beta": self.beta, "mode": self.mode,
        }
