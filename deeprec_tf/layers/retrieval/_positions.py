"""Positions that a loss is taken at, one a row or many, and the loss of a row."""

from keras import ops

from deeprec_tf.layers.core.valid_steps import AllSteps, steps_of


class Positions:
    """The positions of a batch as one flat axis (N, ...), padding left out where it can be.

    Args:
        labels: integer tensor (B,) or (B, T), the positive of each position; 0 where there is none.
        training: whether the layer is called for training.
    """

    def __init__(self, labels, training):
        self.is_sequence = len(labels.shape) == 2
        self.real = ops.not_equal(labels, 0)
        self._shape = ops.shape(labels)
        self._steps = steps_of(self.real, training=training) if self.is_sequence else None

    def take(self, values):
        """What each position has: (B, ...) or (B, T, ...) to (N, ...)."""
        if not self.is_sequence:
            return values
        return self._flat(self._steps.take(values))

    def of_rows(self, values):
        """What each position's row has: (B, n) to (N, n)."""
        if not self.is_sequence:
            return values
        if isinstance(self._steps, AllSteps):
            width = ops.shape(values)[-1]
            return self._flat(
                ops.broadcast_to(self._steps.of_rows(values), (*self._shape, width))
            )
        return self._steps.of_rows(values)

    def _flat(self, values):
        if not isinstance(self._steps, AllSteps):
            return values
        return ops.reshape(values, (-1, *ops.shape(values)[2:]))

    def row_losses(self, losses):
        """What each row adds to the mean over all positions of the batch.

        The mean of these over the rows is the mean of the losses over the positions that have a
        positive; so a weight of a row weighs all its positions. Under a strategy these are the
        positions of a replica's share of the batch.

        Args:
            losses: float32 tensor (N,).

        Returns:
            float32 tensor (B, 1).
        """
        if not self.is_sequence:
            losses = ops.where(self.real, losses, 0.0)[:, None]
        elif isinstance(self._steps, AllSteps):
            losses = ops.where(self.real, ops.reshape(losses, self._shape), 0.0)
        else:
            losses = self._steps.restore(losses)
        rows = ops.cast(self._shape[0], "float32")
        count = ops.sum(ops.cast(self.real, "float32"))
        return ops.sum(losses, axis=1, keepdims=True) * (rows / ops.maximum(count, 1.0))
