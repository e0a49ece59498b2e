"""Gradient surgery: no task pulls against another."""

import keras
from keras import ops

from deeprec_tf.layers.core.draws import DrawingLayer
from deeprec_tf.layers.multitask.loss_balance import LossBalance


@keras.saving.register_keras_serializable(package="deeprec_tf")
class PCGrad(LossBalance, DrawingLayer):
    """PCGrad: of each task's gradient the part that conflicts with another task's is removed.

    For each task i, and the others j in random order: where <g_i, g_j> < 0,
    g_i ← g_i - <g_i, g_j> / ||g_j||² g_j, with the others' gradients as they were. The sum over i
    is the step. g runs over all weights that two tasks or more train. What comes out is a linear
    combination of the gradients, and its coefficients follow from their inner products alone.

    Args:
        seed: seed of the order of the others; one from Keras's global seed when None.
        **kwargs: as for `LossBalance`; filled in by the builder.

    Call arguments:
        predictions: dict of float tensors by task name.

    Returns:
        `predictions`.

    Example:
        >>> balance = PCGrad(tasks=("ctr", "cvr"))
        >>> products = keras.ops.array([[[1.0, -1.0], [-1.0, 4.0]]])
        >>> balance.coefficients(products, [True]).numpy().round(2).tolist()
        [[2.0, 1.25]]

    References:
        Yu et al., Gradient Surgery for Multi-Task Learning, NeurIPS 2020, algorithm 1.
    """

    reads = "gradients"

    def __init__(self, *, seed=None, **kwargs):
        super().__init__(seed=seed, **kwargs)

    def coefficients(self, products, shared):
        """What each task's gradient of each weight is multiplied by.

        Args:
            products: (P, K, K) inner products of the tasks' gradients of each weight.
            shared: P booleans, whether two tasks or more train the weight.

        Returns:
            float32 (P, K).
        """
        count = len(self.tasks)
        is_shared = ops.reshape(ops.array(shared, "float32"), (-1, 1, 1))
        gram = ops.sum(products * is_shared, axis=0)  # (K, K)
        combined = ops.zeros((count,))
        for i in range(count):
            own = ops.one_hot(i, count)  # the gradient as a combination of all
            others = ops.array([j for j in range(count) if j != i])
            draws = keras.random.uniform((count - 1,), seed=self.seed_generator)
            order = ops.take(others, ops.argsort(draws))
            for place in range(count - 1):
                of_other = ops.take(gram, order[place], axis=0)  # <g_m, g_j> for all m
                inner = ops.sum(own * of_other)
                square = ops.take(of_other, order[place])
                pull = ops.minimum(inner, 0.0) / ops.maximum(square, 1e-30)
                own = own - pull * ops.one_hot(order[place], count)
            combined = combined + own
        return ops.where(is_shared[:, 0] > 0, combined, 1.0)
