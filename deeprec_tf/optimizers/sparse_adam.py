"""Adam that is right, and fast, on embedding tables.

Kingma and Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015; AMSGrad from Reddi, Kale
and Kumar, "On the Convergence of Adam and Beyond", ICLR 2018. The lazy form, which leaves the
moments of untouched rows alone, is no part of either paper.
"""

from __future__ import annotations

import keras
import tensorflow as tf

from deeprec_tf.optimizers.row_sparse import RowSparse
from deeprec_tf.optimizers.rows import Rows


@keras.saving.register_keras_serializable(package="deeprec_tf")
class SparseAdam(RowSparse, keras.optimizers.Adam):
    """Adam whose step on an embedding table costs what the rows of the batch cost.

    For a table whose gradient is `tf.IndexedSlices` the gradients of repeated ids are summed to
    one row g an id, and for these rows only

        m <- m + (1 - beta_1) (g - m)
        v <- v + (1 - beta_2) (g^2 - v)
        w <- w - lr weight_decay w - lr sqrt(1 - beta_2^t) / (1 - beta_1^t) m / (sqrt(v) + eps)

    with t the count of all steps. Rows that no id of the batch names are neither read nor
    written, so their moments do not decay and they do not move: that is lazy Adam, and it
    differs from Adam there. `lazy=False` is Adam itself: equal to Keras's Adam fed the summed
    dense gradient, at a cost that grows with the table. Variables with tensors as gradients
    are updated by Keras's formula.

    Clipping (`clipnorm`, `global_clipnorm`, `clipvalue`) works on the summed rows and equals
    clipping of the dense gradient. In the lazy form `weight_decay` acts on the rows touched
    and `gradient_accumulation_steps` is refused for tables; `use_ema` averages whole tables
    each step, as in Keras.

    Args:
        learning_rate: float, `keras.optimizers.schedules.LearningRateSchedule`, or callable.
        beta_1: decay rate of the first moment, in [0, 1).
        beta_2: decay rate of the second moment, in [0, 1).
        epsilon: added to the root of the second moment.
        amsgrad: divide by the largest second moment so far.
        weight_decay: rate of decoupled weight decay; touched rows only in the lazy form.
        clipnorm: largest norm of each variable's gradient.
        clipvalue: largest absolute value of a gradient's element.
        global_clipnorm: largest norm of all gradients together. At most one of the three.
        use_ema: keep a moving average of the weights and take it over after training.
        ema_momentum: the average's decay rate, in [0, 1].
        ema_overwrite_frequency: take the average over every so many steps as well.
        loss_scale_factor: factor on the loss, divided out of the gradients.
        gradient_accumulation_steps: steps whose mean gradient makes one update; needs
            lazy=False for tables.
        name: the optimizer's name.
        lazy: True updates touched rows only; False is dense Adam.

    Raises:
        TypeError: `lazy` is no bool.

    Example:
        >>> import keras
        >>> from deeprec_tf.optimizers import SparseAdam
        >>> schedule = keras.optimizers.schedules.CosineDecay(1e-3, decay_steps=1000)
        >>> SparseAdam(schedule, global_clipnorm=1.0).lazy
        True
    """

    def __init__(
        self,
        learning_rate=0.001,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-7,
        amsgrad=False,
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
        *,
        lazy=True,
    ):
        super().__init__(
            learning_rate=learning_rate,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            amsgrad=amsgrad,
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
        if not isinstance(lazy, bool):
            raise TypeError(f"SparseAdam: lazy must be True or False, got {lazy!r}.")
        self.lazy = lazy

    @property
    def densify(self) -> bool:
        """Dense Adam wants dense gradients."""
        return not self.lazy

    def update_step(self, gradient, variable, learning_rate):
        """Update one variable from a tensor or, for a table, from rows."""
        if isinstance(gradient, tf.IndexedSlices) or self.amsgrad:
            super().update_step(gradient, variable, learning_rate)
            return
        # Keras's formula in one operation instead of twenty; equal but for float32's 1 - beta.
        index = self._get_variable_index(variable)
        step = tf.cast(self.iterations + 1, variable.dtype)
        beta_1 = tf.cast(self.beta_1, variable.dtype)
        beta_2 = tf.cast(self.beta_2, variable.dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=tf.pow(beta_1, step),
            beta2_power=tf.pow(beta_2, step),
            lr=tf.cast(learning_rate, variable.dtype),
            beta1=beta_1,
            beta2=beta_2,
            epsilon=tf.cast(self.epsilon, variable.dtype),
            grad=tf.cast(gradient, variable.dtype),
        )

    def update_rows(self, rows: Rows, variable: tf.Variable, learning_rate: tf.Tensor) -> None:
        """One step of lazy Adam on the rows that have a gradient."""
        index = self._get_variable_index(variable)
        momentum = self._momentums[index].value
        velocity = self._velocities[index].value
        step = tf.cast(self.iterations + 1, variable.dtype)
        beta_1 = tf.cast(self.beta_1, variable.dtype)
        beta_2 = tf.cast(self.beta_2, variable.dtype)
        correction = tf.sqrt(1 - tf.pow(beta_2, step)) / (1 - tf.pow(beta_1, step))

        m = tf.gather(momentum, rows.indices)
        m_change = (rows.values - m) * (1 - beta_1)
        v = tf.gather(velocity, rows.indices)
        v_change = (tf.square(rows.values) - v) * (1 - beta_2)
        decay = self.decay_of_rows(rows, variable, learning_rate)
        self.add_to_rows(momentum, rows, m_change, m)
        self.add_to_rows(velocity, rows, v_change, v)

        m, v = m + m_change, v + v_change
        if self.amsgrad:
            largest = self._velocity_hats[index].value
            v_hat = tf.gather(largest, rows.indices)
            rise = tf.maximum(v - v_hat, 0)
            self.add_to_rows(largest, rows, rise, v_hat)
            v = v_hat + rise
        adam = learning_rate * correction * m / (tf.sqrt(v) + self.epsilon)
        self.add_to_rows(variable, rows, -(adam + decay))

    def get_config(self):
        """Keras's Adam's configuration and `lazy`."""
        return {**super().get_config(), "lazy": self.lazy}
