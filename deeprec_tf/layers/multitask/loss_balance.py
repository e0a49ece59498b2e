"""The base of all loss balancing: fixed weights."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="deeprec_tf")
class LossBalance(keras.layers.Layer):
    """Passes the predictions through and says how the tasks' losses are weighed.

    The total is sum_k w_k L_k, L_k the mean loss of task k over the rows that have its label, times
    its `loss_weights` in `compile` (1 where there are none). Methods that weigh otherwise are
    subclasses; their state is part of the model and saved with it.

    An identity on the predictions: what serves is cut before it.

    Args:
        tasks: names of the tasks that have a loss; the model's builder fills it in, and what
            follows.
        task_types: "binary", "regression" or the number of classes, one a task.
        shared_layers: names of the last layers that all tasks share.
        num_weights: number of the model's weights before this layer.
        weights: fixed w_k, at least 0, one a task; all 1 when empty.

    Call arguments:
        predictions: dict of float tensors by task name.

    Returns:
        `predictions`.

    Raises:
        ValueError: a weight below 0 or not finite.

    Example:
        >>> balance = LossBalance(tasks=("ctr", "cvr"))
        >>> float(balance.total(keras.ops.array([0.5, 0.25])))
        0.75
    """

    # What a method reads in a step: "losses", "shared_layers" (the norms of each task's gradient
    # there), or "gradients" (each task's gradient of every weight).
    reads = "losses"

    def __init__(
        self, *, tasks=(), task_types=(), shared_layers=(), num_weights=0, weights=(), **kwargs
    ):
        super().__init__(**{**kwargs, "dtype": "float32"})
        if not all(0 <= weight < float("inf") for weight in weights):
            raise ValueError(f"{self.name}: weights must be finite and at least 0, got {weights}.")
        self.fixed_weights = tuple(map(float, weights))
        self.tasks = tuple(tasks)
        self.task_types = tuple(task_types)
        self.shared_layers = tuple(shared_layers)
        self.num_weights = num_weights
        self.trackers = [keras.metrics.Mean(name=f"{task}_loss") for task in self.tasks]
        self.penalty = keras.metrics.Mean(name="penalty")

    def call(self, predictions):
        """Applies the layer."""
        return predictions

    def total(self, losses, present=None):
        """What is minimized: a scalar.

        Args:
            losses: (K,) the tasks' losses, times their fixed weights.
            present: (K,) 1.0 for a task that the batch has a label of and that has weight, else
                0.0; all when None.
        """
        return ops.sum(losses)

    def observe(self, losses, present, norms=None):
        """Takes note of a training step; one whose numbers are not finite leaves no trace.

        Args:
            losses: (K,) the tasks' losses over all replicas.
            present: (K,) as in `total`.
            norms: (K,) norms of their gradients at the shared layers, where `reads` asks for them.
        """

    def begin_epoch(self):
        """Called by `fit` before each epoch."""

    def state_weight(self, name, shape=None, initializer="zeros"):
        """A weight that no gradient trains: one number a task, unless another shape is given."""
        return self.add_weight(
            shape=(len(self.tasks),) if shape is None else shape, initializer=initializer,
            trainable=False, name=name, aggregation="only_first_replica",
        )

    def compute_output_shape(self, predictions_shape):
        """The predictions' shapes."""
        return predictions_shape

    def get_config(self):
        """Returns the arguments."""
        return {
            **super().get_config(),
            "tasks": self.tasks,
            "task_types": self.task_types,
            "shared_layers": self.shared_layers,
            "num_weights": self.num_weights,
            "weights": self.fixed_weights,
        }


def all_finite(*tensors):
    """Whether every number is finite: a bool scalar."""
    finite = [ops.all(ops.isfinite(tensor)) for tensor in tensors if tensor is not None]
    return ops.all(ops.stack(finite))
