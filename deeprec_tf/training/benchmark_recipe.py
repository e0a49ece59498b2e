"""The recipe of the open benchmark of interaction models, as one callable.

Zhu et al., "Open Benchmarking for Click-Through Rate Prediction", CIKM 2021, and "BARS", SIGIR
2022. Departure: layers whose weights are not those of a `Dense` keep the start values that their
papers or their builder gave them.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from deeprec_tf.evaluation import evaluate_ctr
from deeprec_tf.features import VarLenSparseFeat
from deeprec_tf.layers.core.fused_embedding import FusedEmbedding
from deeprec_tf.layers.core.table_embedding import TableEmbedding
from deeprec_tf.optimizers import SparseAdam

_OWNER = "benchmark_recipe"
_LOWEST_RATE = 1e-6


@dataclasses.dataclass(frozen=True)
class BenchmarkResult:
    """What `benchmark_recipe` returns.

    Attributes:
        best: `{"auc", "log_loss"}` of the validation data under the weights that were kept.
        best_epoch: the epoch of those weights, from 0.
        history: lists with an entry an epoch, as in `keras.callbacks.History.history`: `loss`
            (with the penalty), `learning_rate`, `val_auc`, `val_log_loss`, and the metrics that
            the model was compiled with.
        epoch: numbers of the epochs.
    """

    best: dict[str, float]
    best_epoch: int
    history: dict[str, list[float]]
    epoch: list[int]


def benchmark_recipe(
    model: keras.Model,
    x: Any,
    y: Any = None,
    *,
    validation_data: Any,
    embedding_l2: float = 0.0,
    learning_rate: float = 1e-3,
    batch_size: int = 4096,
    epochs: int = 100,
    embedding_stddev: float | None = 1e-4,
    clip_norm: float | None = 10.0,
    patience: int = 2,
    drop: float = 0.1,
    min_delta: float = 1e-6,
    seed: int | None = None,
    verbose: int | str = 0,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> BenchmarkResult:
    """Trains an interaction model as the tables of the open benchmark were made.

    - Start values are drawn anew: embedding tables and linear weights N(0, embedding_stddev²), the
      row of a sequence's padding zero; kernels of `Dense` layers Glorot normal, their biases zero.
    - embedding_l2/2 · |W|² of the **whole** tables, linear weights included, is added to every
      batch's mean loss, so that rows without an id in the batch move too. The optimizer is dense
      Adam with epsilon 1e-8, the gradient's global norm is clipped, the penalty's part included.
    - After every epoch the exact AUC of the validation data is measured. An epoch that does not
      raise the best by `min_delta` multiplies the learning rate by `drop` (not below 1e-6), and
      `patience` such epochs in a row end the training. The weights go on from where they are.
    - At the end the weights of the best epoch are restored, the penalty is taken off, and the
      model is compiled as it was before the call. Its `shuffle_seed`, too, is what was set before.

    A model that was built under a strategy is trained under it.

    The rest of that recipe is the model's: `batch_norm=True` (momentum .9, epsilon 1e-5), widths
    400, 400, 400, embeddings of width 10.

    Args:
        model: a compiled model of a builder, with one binary output.
        x: training inputs, as in `fit`.
        y: labels (N,) or (N, 1).
        validation_data: (x, y) or (x, y, sample_weight), as in `evaluate_ctr`.
        embedding_l2: lambda of the penalty, at least 0. What decides most on small data: try
            1e-6 to 1e-1.
        learning_rate: of Adam, in the first epochs.
        batch_size: rows a batch.
        epochs: passes over the data at most.
        embedding_stddev: deviation of the tables' start values; None keeps all weights as they
            are, kernels too, for a warm start or pretrained tables.
        clip_norm: largest global norm of the gradient; None for no clipping.
        patience: epochs in a row without improvement that end the training, at least 1.
        drop: factor on the learning rate after an epoch without improvement, in (0, 1].
        min_delta: what the AUC must rise by to count as an improvement.
        seed: of the start values that are drawn, the row order and the dropout. What is not drawn
            here (weights of layers other than `Dense`) is fixed by `keras.utils.set_random_seed`
            before the model is built. None takes NumPy's global generator.
        verbose: as in `fit`.
        callbacks: further Keras callbacks; they find `val_auc` and `val_log_loss` in the logs.

    Returns:
        The best validation figures and the history.

    Raises:
        ValueError: the model isn't compiled, has several outputs or no embedding table to train;
            a number is out of its range; labels of validation hold one class only.

    Example:
        >>> from deeprec_tf.models import DeepFM
        >>> columns = [SparseFeat("user", 10), SparseFeat("item", 20)]
        >>> model = DeepFM(columns, hidden_units=(8,), batch_norm=True)
        >>> x = {"user": np.arange(40) % 10, "item": np.arange(40) % 20}
        >>> y = x["user"] % 2
        >>> result = benchmark_recipe(model, x, y, validation_data=(x, y), embedding_l2=1e-3,
        ...                           epochs=3, seed=1)
        >>> sorted(result.best)
        ['auc', 'log_loss']

    References:
        Zhu et al., Open Benchmarking for Click-Through Rate Prediction, CIKM 2021.
        Zhu et al., BARS: Towards Open Benchmarking for Recommender Systems, SIGIR 2022.
    """
    tables = _tables_to_train(model)
    for name, value, is_right in (
        ("embedding_l2", embedding_l2, embedding_l2 >= 0),
        ("patience", patience, patience >= 1),
        ("drop", drop, 0 < drop <= 1),
        ("epochs", epochs, epochs >= 1),
    ):
        if not is_right:
            raise ValueError(f"{_OWNER}: {name} is out of its range, got {value!r}.")
    plateau = _DropOnPlateau(validation_data, batch_size, patience, drop, min_delta)
    with model.distribute_strategy.scope():  # variables are made where the model's own are
        optimizer = SparseAdam(
            float(learning_rate), epsilon=1e-8, lazy=False,
            global_clipnorm=None if clip_norm is None else float(clip_norm),
        )
        with _compiled_for_the_recipe(model, tables, optimizer, embedding_l2):
            rng = np.random.default_rng(np.random.randint(2**31 - 1) if seed is None else seed)
            if embedding_stddev is not None:
                _draw_start_values(model, tables, embedding_stddev, rng)
            _seed_dropout_and_order(model, rng)
            history = model.fit(
                x, y, batch_size=batch_size, epochs=epochs, verbose=verbose,
                callbacks=[plateau, *callbacks],
            )
        model.set_weights(plateau.best_weights)
    return BenchmarkResult(plateau.best, plateau.best_epoch, history.history, history.epoch)


def _tables_to_train(model: keras.Model) -> list[TableEmbedding]:
    """The layers whose tables are regularised."""
    if not getattr(model, "compiled", False):
        raise ValueError(f"{_OWNER}: {model.name} is not compiled. Every builder compiles.")
    if len(model.outputs) != 1:
        raise ValueError(
            f"{_OWNER}: {model.name} has {len(model.outputs)} outputs; the recipe watches the AUC "
            "of one."
        )
    layers = model._flatten_layers(include_self=False)
    tables = [one for one in layers if isinstance(one, TableEmbedding) and one.trainable]
    if not tables:
        raise ValueError(f"{_OWNER}: {model.name} has no embedding table that is trained.")
    return tables


@contextlib.contextmanager
def _compiled_for_the_recipe(model, tables, optimizer, embedding_l2):
    """Within it the model has that optimizer and penalty; after it what it had before."""
    compiled = {**model._compile_config.config, "jit_compile": model._jit_asked}
    own_optimizer, own_seed = model.optimizer, model._chosen_seed
    own_regularizers = [table.embeddings.regularizer for table in tables]
    try:
        if embedding_l2:
            for table in tables:
                table.embeddings.regularizer = keras.regularizers.L2(embedding_l2 / 2)
        model.compile(**{**compiled, "optimizer": optimizer})
        yield
    finally:
        for table, own in zip(tables, own_regularizers, strict=True):
            table.embeddings.regularizer = own
        model.compile(**{**compiled, "optimizer": own_optimizer})
        model.shuffle_seed = own_seed


def _draw_start_values(model, tables, stddev, rng) -> None:
    """Tables normal with a zero row for padding, kernels Glorot normal, biases zero."""
    padded = {
        column.embedding_name
        for column in model.feature_columns
        if isinstance(column, VarLenSparseFeat)
    }
    for table in tables:
        values = rng.normal(0.0, stddev, table.embeddings.shape).astype("float32")
        starts = table.offsets if isinstance(table, FusedEmbedding) else {
            table.name.removeprefix("embedding_").removeprefix("linear_"): 0
        }
        values[[first for name, first in starts.items() if name in padded]] = 0.0
        table.embeddings.assign(values)
    for layer in model._flatten_layers(include_self=False):
        if isinstance(layer, keras.layers.Dense) and layer.trainable:
            glorot = keras.initializers.GlorotNormal(seed=int(rng.integers(2**31)))
            layer.kernel.assign(glorot(layer.kernel.shape))
            if layer.bias is not None:
                layer.bias.assign(np.zeros(layer.bias.shape))


def _seed_dropout_and_order(model, rng) -> None:
    """Dropout masks and the order of the rows, from the seed."""
    model.shuffle_seed = int(rng.integers(2**31))
    for layer in model._flatten_layers(include_self=False):
        generator = getattr(layer, "seed_generator", None)
        if generator is not None:
            generator.state.assign(np.array([rng.integers(2**31), 0], generator.state.dtype))


class _DropOnPlateau(keras.callbacks.Callback):
    """Measures the AUC after an epoch, keeps the best weights, lowers the rate, ends training."""

    def __init__(self, validation_data, batch_size, patience, drop, min_delta):
        super().__init__()
        self.validation_data = validation_data
        self.batch_size = batch_size
        self.patience = patience
        self.drop = drop
        self.min_delta = min_delta
        self.best: dict[str, float] = {}
        self.best_epoch = -1
        self.best_weights: list[np.ndarray] = []
        self.waited = 0

    def on_epoch_end(self, epoch, logs=None):
        """One look at the validation data."""
        x, y, weight = keras.utils.unpack_x_y_sample_weight(self.validation_data)
        scores = evaluate_ctr(
            self.model, x, y, batch_size=self.batch_size, sample_weight=weight
        )
        rate = self.model.optimizer.learning_rate
        logs.update({f"val_{name}": score for name, score in scores.items()})
        logs["learning_rate"] = float(rate)
        if self.best and scores["auc"] < self.best["auc"] + self.min_delta:
            self.waited += 1
            dropped = max(float(rate) * self.drop, _LOWEST_RATE)
            rate.assign(min(float(rate), dropped))
            self.model.stop_training |= self.waited >= self.patience
        else:
            self.waited = 0
            self.best, self.best_epoch = scores, epoch
            self.best_weights = self.model.get_weights()
