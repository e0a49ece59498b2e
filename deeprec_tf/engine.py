"""RecModel: the one `keras.Model` subclass, its input path and its train step."""

from __future__ import annotations

from types import GeneratorType
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from deeprec_tf.array_dataset import EpochOrder
from deeprec_tf.batch_sources import is_source
from deeprec_tf.dense_part import can_compile, compiled_forward_and_back, forward_and_back
from deeprec_tf.features import columns_to_config
from deeprec_tf.graph import (
    columns_of_inputs,
    inputs_of,
    prediction_outputs,
    refuse_taken_names,
)
from deeprec_tf.input_path import DEFAULT_BATCH_SIZE, InputPath, without
from deeprec_tf.labels import split_off
from deeprec_tf.layers.core.prediction import PredictionLayer
from deeprec_tf.optimizers import RowSparse, sparse_form, sum_repeated_rows
from deeprec_tf.optimizers.build_optimizer import build_optimizer
from deeprec_tf.reads import READS
from deeprec_tf.settled import SettledTables
from deeprec_tf.task_kinds import ROW_LOSS as ROW_LOSS
from deeprec_tf.task_losses import TaskLosses


@keras.saving.register_keras_serializable(package="deeprec_tf")
class RecModel(InputPath, TaskLosses, SettledTables, keras.Model):
    """A functional Keras model that knows its feature columns. Every builder returns one.

    What it adds to `keras.Model`:

    - `compile` turns 'adam' and 'adagrad', by name or as Keras's own instances, into the
      row-sparse forms, and a reloaded model has its optimizer back;
    - `fit`, `evaluate` and `predict` check arrays against the columns (`check_batch`), hash
      string columns, lift labels to the outputs' rank and batch arrays by one gather a feature;
      the row order of an epoch depends on `shuffle_seed` and the epoch's number alone;
    - other optimizers get the gradients of repeated ids summed, so that they are right too.

    A recall model has its loss in its graph: an output `row_loss` (B, 1) beside its prediction. It
    is trained on the mean of that, weighted by the labels, which are rewards (1 where there are
    none), and by the sample weights; `predict` gives the prediction alone.

    Args:
        *args: inputs and outputs, as for `keras.Model`.
        feature_columns: the columns that the inputs were made from.
        ignored_inputs: names that a batch may hold though the model does without them.
        positive_item: name of the input with the positive item's id, in a recall model; id 0 is
            padding and refused there.
        **kwargs: `name`, `trainable`.

    Attributes:
        feature_columns: the columns, also after a reload (without pretrained arrays).
        shuffle_seed: seed of the row order. Set it for one order in every `fit`; left alone, each
            `fit` draws one from NumPy's global generator, which `keras.utils.set_random_seed`
            seeds.
    """

    def __init__(
        self, *args, feature_columns=(), ignored_inputs=(), positive_item=None, **kwargs
    ):
        if len(args) == 2:
            refuse_taken_names(kwargs.get("name") or "RecModel", keras.tree.flatten(args))
        super().__init__(*args, **kwargs)
        self._set_reads(columns_to_config(feature_columns), ignored_inputs, positive_item)
        self.row_order = EpochOrder()
        self._chosen_seed: int | None = None
        self._jit_asked: bool | str = False
        with tf.init_scope():
            self.keep_aside("_first_rows", tf.Variable(0, trainable=False, dtype="int64"))

    @property
    def shuffle_seed(self) -> int | None:
        """Seed of the row order: the one that was set, or the one the last `fit` has drawn."""
        return self.row_order.seed

    @shuffle_seed.setter
    def shuffle_seed(self, seed: int | None) -> None:
        self.row_order.seed = self._chosen_seed = seed

    # ---- saving -------------------------------------------------------------------------

    def get_config(self):
        """The functional graph and the columns."""
        return {**super().get_config(), **self._reads()}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Rebuilds the graph and the columns."""
        reads = {name: config[name] for name in READS if name in config}
        graph = {name: value for name, value in config.items() if name not in READS}
        model = super().from_config(graph, custom_objects=custom_objects)
        model._set_reads(**reads)
        return model

    def get_compile_config(self):
        """Optimizer, loss and metrics; the optimizer's state is saved even before a first step."""
        if self.compiled:
            build_optimizer(self)
        config = super().get_compile_config()  # Keras has what "auto" came to on this machine
        if config and isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer):
            # Keras would scale by the policy of the process that loads, not by the layers' own.
            config["optimizer"] = keras.saving.serialize_keras_object(self.optimizer)
        # All that keras.models.clone_model hands on: it neither asks for nor gives a config.
        return config and config | {"jit_compile": self._jit_asked, "reads": self._reads()}

    def compile_from_config(self, config):
        """Restores optimizer, loss and metrics; Keras leaves them out for an own `compile`."""
        config = dict(config)
        reads = config.pop("reads", {})
        if not self._columns_config:
            self._set_reads(**reads)
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.built:
            build_optimizer(self)

    # ---- compiling ----------------------------------------------------------------------

    def compile(self, optimizer="adam", loss=None, **kwargs):
        """Compiles as `keras.Model.compile` does, with row-sparse Adam and Adagrad.

        Args:
            optimizer: Keras optimizer or name.
            loss: Keras loss, name, or dict by task.
            **kwargs: everything else that `keras.Model.compile` takes.
        """
        balance = self.loss_balance
        if self.has_row_loss and balance is None and loss is not None:
            raise ValueError(
                f"{self.name}.compile: the loss of a recall model is part of its graph, got "
                f"loss={loss!r}. Leave loss out here, and give it to the builder."
            )
        if self.has_row_loss and balance is None and kwargs.get("metrics"):
            raise ValueError(
                f"{self.name}.compile: metrics={kwargs['metrics']!r} would compare rewards with "
                "scores. Use deeprec_tf.evaluation.RetrievalEvaluation among fit's callbacks."
            )
        self._jit_asked = self._checked_jit(kwargs.get("jit_compile", "auto"))
        if balance is not None:
            kwargs = self._task_arguments(loss, kwargs)
            loss = kwargs.pop("loss")
        super().compile(optimizer=sparse_form(optimizer), loss=loss, **kwargs)

    @property
    def has_row_loss(self) -> bool:
        """Whether the graph gives the loss of each row: a recall model."""
        return isinstance(self.output, dict) and ROW_LOSS in self.output

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The compiled loss; in a recall model, the weighted mean of the rows' own losses."""
        if self.loss_balance is not None:
            return self.sum_of_losses(y, y_pred, sample_weight)
        if not self.has_row_loss:
            return super().compute_loss(x, y, y_pred, sample_weight, training=training)
        losses = y_pred[ROW_LOSS]
        for factor in (y, sample_weight):
            if factor is not None:
                losses = losses * tf.reshape(tf.cast(factor, losses.dtype), (-1, 1))
        # A replica may have no rows; losses of replicas are summed, as Keras's own.
        rows = tf.cast(tf.shape(losses)[0], losses.dtype)
        mean = tf.math.divide_no_nan(tf.reduce_sum(losses), rows)
        total = tf.add_n([mean, *(tf.cast(value, mean.dtype) for value in self.losses)])
        return total / tf.distribute.get_strategy().num_replicas_in_sync

    # ---- the input path -----------------------------------------------------------------

    def _predictor(self) -> tuple[RecModel, list[str]]:
        """The part of the graph that predicts, and the names of the inputs it does without."""
        cached = getattr(self, "_cut_for_prediction", None)
        if cached is None:
            cached = self._cut()
            self.keep_aside("_cut_for_prediction", cached)
        cached[0].run_eagerly = self.run_eagerly
        return cached

    def _cut(self) -> tuple[RecModel, list[str]]:
        if not any(isinstance(layer, PredictionLayer) for layer in self.layers):
            return self, []
        outputs = prediction_outputs(self)
        is_dict = len(outputs) > 1 or (isinstance(self.output, dict) and not self.has_row_loss)
        part = part_of(self, outputs if is_dict else next(iter(outputs.values())), self.name)
        left = {tensor.name for tensor in part.inputs}
        unused = [tensor.name for tensor in self.inputs if tensor.name not in left]
        return (part, unused) if unused or self.has_row_loss else (self, [])

    # ---- training, evaluation, prediction -----------------------------------------------

    def fit(
        self,
        x=None,
        y=None,
        batch_size=None,
        epochs=1,
        verbose="auto",
        callbacks=None,
        validation_split=0.0,
        validation_data=None,
        shuffle=True,
        sample_weight=None,
        validation_batch_size=None,
        redraw=None,
        **kwargs,
    ):
        """Trains as `keras.Model.fit` does.

        Args:
            x: dict of arrays by input name, a DataFrame with exactly the inputs as columns, a
                `tf.data.Dataset` of batches, or anything else Keras takes.
            y: labels (N,) or (N, 1); a dict by task name for several tasks.
            batch_size: rows a batch; 256 when None.
            epochs: passes over the data.
            verbose: 0 silent, 1 progress bar, 2 a line an epoch.
            callbacks: list of Keras callbacks.
            validation_split: share of the rows, taken from the end before shuffling.
            validation_data: (x, y) or (x, y, sample_weight), or a dataset.
            shuffle: new row order every epoch, determined by `shuffle_seed` and the epoch.
            sample_weight: weights (N,), or a dict by task name.
            validation_batch_size: `batch_size` when None.
            redraw: function from the epoch's number to a dict of arrays that replace inputs of
                the same names in that epoch, such as freshly sampled negatives:
                `lambda epoch: sampler.sample_histories(users, histories, seed=(7, epoch))`.
                As a function of the epoch alone it also resumes right. Arrays only, of as many
                rows as are trained: without those of a `validation_split`.
            **kwargs: everything else that `keras.Model.fit` takes.

        Returns:
            `keras.callbacks.History`.

        Raises:
            TypeError, ValueError: from `check_batch`, naming the input, the row and the mend.
        """
        if validation_split and validation_data is None:
            if not self._is_arrays(x):
                raise ValueError(
                    f"{self.name}.fit: validation_split needs x as a dict of arrays or a "
                    f"DataFrame, got {type(x).__name__}. Pass validation_data instead."
                )
            x, y, sample_weight, validation_data = split_off(
                self.name, x, y, sample_weight, validation_split
            )
        order = self.row_order
        if self._chosen_seed is None:  # else one fit after another would see one order
            order.seed = int(np.random.randint(2**31 - 1))
        if redraw is not None and not self._is_arrays(x):
            raise ValueError(f"{self.name}.fit: redraw needs x as a dict of arrays.")
        order.begin(kwargs.get("initial_epoch", 0))
        self._first_rows.assign(0)
        if validation_data is not None:
            rows = validation_batch_size or batch_size
            read_again = epochs > 1 and kwargs.get("validation_steps") is None
            validation_data = self._validation(validation_data, rows, read_again)
        # Several replicas, or a TPU's one, need whole batches: batch statistics over the rows of
        # a replica that got none would be NaN.
        replicas = self.distribute_strategy.num_replicas_in_sync
        on_tpu = isinstance(self.distribute_strategy, tf.distribute.TPUStrategy)
        prepared, y, sample_weight = self._prepare(
            "fit", x, y, sample_weight, batch_size,
            order=order if shuffle else None, drop_remainder=on_tpu or replicas > 1, redraw=redraw,
        )
        if isinstance(prepared, tf.data.Dataset):
            batch_size, shuffle = None, False  # the dataset sees to both
            self._build_for_training(prepared.element_spec)
        elif isinstance(prepared, GeneratorType):
            shuffle = False  # its order is its own
        clock = keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda epoch, logs: (order.begin(epoch), self.begin_epoch())
        )
        if not isinstance(callbacks, keras.callbacks.CallbackList):
            callbacks = [clock, *keras.tree.flatten(callbacks or ())]
        else:
            callbacks.append(clock)
        return super().fit(
            x=prepared, y=y, sample_weight=sample_weight, batch_size=batch_size, epochs=epochs,
            verbose=verbose, callbacks=callbacks, validation_data=validation_data,
            shuffle=shuffle, **kwargs,
        )

    def _build_for_training(self, batch) -> None:
        """Makes the variables of optimizer and metrics: a step that makes them is traced twice."""
        if self._distribute_strategy is not None or not self.compiled:
            return  # Keras does it there, or says what is missing
        build_optimizer(self)
        metrics = self._compile_metrics
        _, y, sample_weight = keras.utils.unpack_x_y_sample_weight(batch)
        if y is not None and metrics is not None and not metrics.built:
            self.make_metric_variables(y, sample_weight)

    def evaluate(
        self, x=None, y=None, batch_size=None, verbose="auto", sample_weight=None, **kwargs
    ):
        """Evaluates as `keras.Model.evaluate` does; inputs as in `fit`."""
        if not kwargs.get("_use_cached_eval_dataset"):  # `fit` has prepared what it validates by
            x, y, sample_weight = self._prepare("evaluate", x, y, sample_weight, batch_size)
        batch_size = None if isinstance(x, tf.data.Dataset) else batch_size
        return super().evaluate(
            x=x, y=y, batch_size=batch_size, verbose=verbose, sample_weight=sample_weight, **kwargs
        )

    def predict(self, x, batch_size=None, verbose="auto", **kwargs):
        """Predicts as `keras.Model.predict` does; inputs that only training reads may be left out.

        Returns:
            float32 array (N, 1), or a dict of them by task name.
        """
        if isinstance(x, tf.data.Dataset) or is_source(x):
            model, x = self._to_predict(x)
            return super(RecModel, model).predict(x, verbose=verbose, **kwargs)
        if self._is_arrays(x) or isinstance(x, list | tuple | np.ndarray):
            model, unused = self._predictor()
            if model is not self:
                x = without(x, unused)
                return model.predict(x, batch_size=batch_size, verbose=verbose, **kwargs)
            arrays = self._check_arrays("predict", x)
            x = self._batches((arrays,), batch_size or 4 * DEFAULT_BATCH_SIZE)
        batch_size = None if isinstance(x, tf.data.Dataset) else batch_size
        return super().predict(x, batch_size=batch_size, verbose=verbose, **kwargs)

    def train_on_batch(self, x, y=None, sample_weight=None, **kwargs):
        """One gradient step on one batch of arrays."""
        x, y, sample_weight = self._one_batch("train_on_batch", x, y, sample_weight)
        self._build_for_training((x, y, sample_weight))
        return super().train_on_batch(x, y, sample_weight=sample_weight, **kwargs)

    def test_on_batch(self, x, y=None, sample_weight=None, **kwargs):
        """Loss and metrics of one batch of arrays."""
        x, y, sample_weight = self._one_batch("test_on_batch", x, y, sample_weight)
        return super().test_on_batch(x, y, sample_weight=sample_weight, **kwargs)

    def predict_on_batch(self, x):
        """Predictions for one batch of arrays."""
        model, unused = self._predictor()
        if model is not self:
            return model.predict_on_batch(without(x, unused))
        arrays = self._check_arrays("predict_on_batch", x)
        if self.distribute_strategy.num_replicas_in_sync > 1:  # Keras gives each of them all rows
            rows = len(next(iter(arrays.values())))
            return super().predict(self._batches((arrays,), rows), verbose=0)
        return super().predict_on_batch(arrays)

    def train_step(self, data):
        """One step: loss, gradients with repeated ids summed, update, metrics."""
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        x = self._by_name(x)
        if self._jit_asked == "auto" and isinstance(x, dict) and can_compile(self):
            y_pred, loss, gradients = compiled_forward_and_back(
                self, x, y, sample_weight, self._first_rows
            )
        else:
            y_pred, loss, gradients = forward_and_back(self, x, y, sample_weight)
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        self._loss_tracker.update_state(
            loss * replicas, sample_weight=tf.shape(tf.nest.flatten(x)[0])[0]
        )
        # A loss-scale optimizer stands around the one that updates.
        if not isinstance(getattr(self.optimizer, "inner_optimizer", self.optimizer), RowSparse):
            gradients = [
                sum_repeated_rows(g) if isinstance(g, tf.IndexedSlices) else g for g in gradients
            ]
        self.optimizer.apply_gradients(zip(gradients, self.trainable_weights, strict=True))
        return self.compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    def test_step(self, data):
        """One step of `evaluate`."""
        x, *rest = keras.utils.unpack_x_y_sample_weight(data)
        return super().test_step((self._by_name(x), *rest))

    def predict_step(self, data):
        """One step of `predict`."""
        x, *_ = keras.utils.unpack_x_y_sample_weight(data)
        return super().predict_step((self._by_name(x, refuses=False),))


def part_of(model: keras.Model, outputs: Any, name: str) -> keras.Model:
    """The part of a model's graph up to some of its tensors: its layers and weights, shared.

    Args:
        model: a functional model; a `RecModel` gives a `RecModel`.
        outputs: tensor of its graph, or a dict of them by name.
        name: name of the part.

    Returns:
        An uncompiled model of those inputs, by name, that the outputs depend on.
    """
    needed = {id(tensor) for tensor in inputs_of(keras.tree.flatten(outputs))}
    inputs = {t.name: t for t in keras.tree.flatten(model.inputs) if id(t) in needed}
    with model.distribute_strategy.scope():  # the part predicts where the model was trained
        if not isinstance(model, RecModel):
            return keras.Model(inputs, outputs, name=name)
        columns = columns_of_inputs(model.feature_columns, inputs)
        part = RecModel(
            inputs, outputs, feature_columns=columns, positive_item=model._positive_item, name=name
        )
        part._settles_with(model)
        return part
