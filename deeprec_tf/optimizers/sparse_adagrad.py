"""Adagrad that is right, and fast, on embedding tables.

Duchi, Hazan and Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic
Optimization", JMLR 2011.
"""

from __future__ import annotations

import keras
import tensorflow as tf

from deeprec_tf.optimizers.row_sparse import RowSparse
from deeprec_tf.optimizers.rows import Rows


@keras.saving.register_keras_serializable(package="deeprec_tf")
class SparseAdagrad(RowSparse, keras.optimizers.Adagrad):
    """Adagrad whose step on an embedding table costs what the rows of the batch cost.

    For a table whose gradient is `tf.IndexedSlices` the gradients of repeated ids are summed to
    one row g an id, and for these rows only

        a <- a + g^2
        w <- w - lr weight_decay w - lr g / sqrt(a + eps)

    A row without a gradient does not move in dense Adagrad either, so this is Adagrad itself
    and there is no lazy form. Variables with tensors as gradients are updated by Keras's
    Adagrad.

    Clipping works on the summed rows and equals clipping of the dense gradient; `weight_decay`
    acts on the rows touched; `use_ema` averages whole tables each step, as in Keras. With
    `gradient_accumulation_steps` gradients of tables are dense, and so is weight decay.

    Args:
        learning_rate: float, `keras.optimizers.schedules.LearningRateSchedule`, or callable.
        initial_accumulator_value: start of the sum of squares a, at least 0.
        epsilon: added to the sum of squares.
        weight_decay: rate of decoupled weight decay; touched rows only.
        clipnorm: largest norm of each variable's gradient.
        clipvalue: largest absolute value of a gradient's element.
        global_clipnorm: largest norm of all gradients together. At most one of the three.
        use_ema: keep a moving average of the weights and take it over after training.
        ema_momentum: the average's decay rate, in [0, 1].
        ema_overwrite_frequency: take the average over every so many steps as well.
        loss_scale_factor: factor on the loss, divided out of the gradients.
        gradient_accumulation_steps: steps whose mean gradient makes one update.
        name: the optimizer's name.

    Example:
        >>> from deeprec_tf.optimizers import SparseAdagrad
        >>> SparseAdagrad(0.05, initial_accumulator_value=0.1).initial_accumulator_value
        0.1
    """

    def __init__(
        self,
        learning_rate=0.001,
        initial_accumulator_value=0.1,
        epsilon=1e-7,
        weight_decay=None,
        clipnorm=None,
        clipvalue=None,
        global_clipnorm=None,
        use_ema=False,
        ema_momentum=0.99,
        ema_overwrite_frequency=None,
        loss_scale_factor=None,
        gradient_accumulation_steps=None,
        name=None,
    ):
        super().__init__(
            learning_rate=learning_rate,
            initial_accumulator_value=initial_accumulator_value,
            epsilon=epsilon,
            weight_decay=weight_decay,
            clipnorm=clipnorm,
            clipvalue=clipvalue,
            global_clipnorm=global_clipnorm,
            use_ema=use_ema,
            ema_momentum=ema_momentum,
            ema_overwrite_frequency=ema_overwrite_frequency,
            loss_scale_factor=loss_scale_factor,
            gradient_accumulation_steps=gradient_accumulation_steps,
            name=name,
        )

    @property
    def densify(self) -> bool:
        """Only an accumulated gradient is dense; Adagrad's result is the same."""
        return bool(self.gradient_accumulation_steps)

    def update_rows(self, rows: Rows, variable: tf.Variable, learning_rate: tf.Tensor) -> None:
        """One step of Adagrad on the rows that have a gradient."""
        accumulator = self._accumulators[self._get_variable_index(variable)].value
        decay = self.decay_of_rows(rows, variable, learning_rate)
        total = self.add_to_rows(accumulator, rows, tf.square(rows.values))
        step = learning_rate * rows.values / tf.sqrt(total + self.epsilon)
        self.add_to_rows(variable, rows, -(step + decay))
