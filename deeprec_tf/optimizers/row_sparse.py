"""What the row-sparse optimizers share: how a gradient of rows goes through Keras's steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import tensorflow as tf

from deeprec_tf.optimizers.rows import (
    DivisibleSlices,
    Rows,
    beside,
    dense_gradient,
    in_blocks,
    summed_rows,
)

if TYPE_CHECKING:
    from keras import Optimizer
else:
    Optimizer = object


class RowSparse(Optimizer):
    """Mixin in front of a Keras optimizer: gradients given as `tf.IndexedSlices` stay rows.

    Repeated ids are summed, then only the rows that occur are clipped, decayed and updated.
    Gradients that are tensors take Keras's own path. A subclass writes `update_rows`, and turns
    `densify` on where it wants the summed dense gradient of a table instead.
    """

    _indices_with_rows: frozenset = frozenset()

    @property
    def densify(self) -> bool:
        """Whether gradients of rows are made dense, repeats summed, before anything else."""
        return False

    def update_rows(self, rows: Rows, variable: tf.Variable, learning_rate: tf.Tensor) -> None:
        """Update the rows of one table that have a gradient.

        Args:
            rows: the summed gradient, in the variable's dtype.
            variable: the table (V, ...).
            learning_rate: scalar of the variable's dtype.
        """
        raise NotImplementedError(f"{type(self).__name__} must define update_rows.")

    def apply(self, grads, trainable_variables=None):
        """Apply gradients, tensors or `tf.IndexedSlices`, to the variables.

        Args:
            grads: one gradient a variable; None leaves a variable as it is.
            trainable_variables: the variables; those of `build` when left out.

        Raises:
            ValueError: `gradient_accumulation_steps` is set, and a gradient of rows can't be
                accumulated as rows.
        """
        grads = list(grads)
        if trainable_variables is not None:
            trainable_variables = list(trainable_variables)
        variables = trainable_variables or self._trainable_variables
        rows = [i for i, grad in enumerate(grads) if isinstance(grad, tf.IndexedSlices)]
        if rows and self.gradient_accumulation_steps and not self.densify:
            names = ", ".join(repr(getattr(variables[i], "path", "?")) for i in rows)
            raise ValueError(
                f"{type(self).__name__}: gradient_accumulation_steps="
                f"{self.gradient_accumulation_steps} needs dense gradients, but those of the "
                f"tables {names} are rows. Pass lazy=False, or drop the accumulation and use a "
                "larger batch."
            )
        for i in rows:
            if self.densify:
                grads[i] = dense_gradient(grads[i], variables[i].shape[0])
            elif self.loss_scale_factor is not None:
                grads[i] = DivisibleSlices(
                    grads[i].values, grads[i].indices, grads[i].dense_shape
                )
        super().apply(grads, trainable_variables)

    def update_step(self, gradient, variable, learning_rate):
        """Update one variable from a tensor or, for a table, from rows."""
        if not isinstance(gradient, tf.IndexedSlices):
            super().update_step(gradient, variable, learning_rate)
            return
        # Summed here, not before: an all-reduce over replicas makes ids repeat again.
        if isinstance(gradient, _SummedSlices) and gradient.dtype == variable.dtype:
            rows = gradient.rows
        else:
            rows = summed_rows(tf.cast(gradient, variable.dtype), table_rows=variable.shape[0])
        rate = tf.cast(learning_rate, variable.dtype)
        in_blocks(lambda block: self.update_rows(block, variable, rate), rows)

    def decay_of_rows(self, rows: Rows, variable: tf.Variable, learning_rate: tf.Tensor):
        """Weight decay's part of the step.

        Args:
            rows: the rows that are touched.
            variable: the table (V, ...).
            learning_rate: scalar.

        Returns:
            (R, ...) learning_rate * weight_decay * the table's rows; 0.0 without decay.
        """
        if self.weight_decay is None or not self._use_weight_decay(variable):
            return 0.0
        factor = tf.cast(self.weight_decay, variable.dtype) * learning_rate
        return factor * tf.gather(variable, rows.indices)

    def add_to_rows(
        self, variable, rows: Rows, delta: tf.Tensor, start: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Add to the rows of a table; rows that only fill up a static shape add nothing.

        Args:
            variable: the table (V, ...), of the model or of the optimizer.
            rows: which rows.
            delta: (R, ...) what to add.
            start: (R, ...) what those rows hold, if it is at hand: saves a gather.

        Returns:
            (R, ...) what the rows hold now.
        """
        if rows.real is None:
            # Rows that occur once each are written, which on a CPU is far faster than adding.
            start = tf.gather(variable, rows.indices) if start is None else start
            total = start + delta
            self.assign(variable, tf.IndexedSlices(total, rows.indices))
            return total
        delta = tf.where(beside(rows.real, delta), delta, tf.zeros_like(delta))
        self.assign_add(variable, tf.IndexedSlices(delta, rows.indices))
        # Written first and read after: the other order makes XLA copy the whole table.
        return tf.gather(variable, rows.indices)

    def _backend_apply_gradients(self, grads, trainable_variables):
        self._indices_with_rows = frozenset(
            self._get_variable_index(variable)
            for grad, variable in zip(grads, trainable_variables, strict=True)
            if isinstance(grad, tf.IndexedSlices)
        )
        super()._backend_apply_gradients(grads, trainable_variables)

    def _clip_gradients(self, grads):
        # The norm, and the clipped values, of summed rows are those of the dense gradient.
        if not (self.clipnorm or self.global_clipnorm or self.clipvalue):
            return grads
        sparse = {
            place: summed_rows(grad)
            for place, grad in enumerate(grads)
            if isinstance(grad, tf.IndexedSlices)
        }
        clipped = super()._clip_gradients(
            [sparse[i].values if i in sparse else grad for i, grad in enumerate(grads)]
        )
        return [
            _SummedSlices(sparse[i]._replace(values=values), grads[i].dense_shape)
            if i in sparse
            else values
            for i, values in enumerate(clipped)
        ]

    def _apply_weight_decay(self, variables):
        # Tables with a gradient of rows are decayed in update_rows, where the rows are known.
        super()._apply_weight_decay(
            [v for v in variables if self._get_variable_index(v) not in self._indices_with_rows]
        )


class _SummedSlices(tf.IndexedSlices):
    """IndexedSlices of summed rows; whatever is made of them is plain IndexedSlices again."""

    def __init__(self, rows, dense_shape):
        super().__init__(rows.values, rows.indices, dense_shape)
        self.rows = rows
