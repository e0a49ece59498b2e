"""How the demo trains a model: until its validation metric no longer rises."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from deeprec_tf.cli.console import ProgressBar
from deeprec_tf.cli.demo.settings import DemoSettings


@dataclass
class TrainedModel:
    """A model and how its training went.

    Attributes:
        name: as the registry spells it, and what tells it apart where it is trained twice.
        model: with the weights of its best epoch.
        history: metrics of every epoch, by name.
        seconds: time in `fit`, validation counted.
        best_epoch: the epoch of the weights, from 1.
    """

    name: str
    model: keras.Model
    history: dict[str, list[float]]
    seconds: float
    best_epoch: int


@dataclass(frozen=True)
class Watch:
    """What chooses the epoch.

    Attributes:
        callback: measures the validation part and writes into the logs of the epoch.
        metric: the one of its metrics that must rise.
        words: what of the logs is shown behind the progress bar.
    """

    callback: keras.callbacks.Callback
    metric: str
    words: Callable[[Mapping[str, float]], str]


def fit(
    name: str, model: keras.Model, x: Any, y: Any, settings: DemoSettings, watch: Watch
) -> TrainedModel:
    """Trains a compiled model and keeps the weights of its best epoch.

    Args:
        name: what the model is called.
        model: compiled, untrained.
        x: inputs of the training rows.
        y: their labels; None for models that need none.
        settings: epochs, batch size and patience.
        watch: what chooses the epoch.
    """
    callbacks = [
        watch.callback,
        keras.callbacks.EarlyStopping(
            watch.metric, mode="max", patience=settings.patience, restore_best_weights=True
        ),
        _TrainingBar(name, settings.epochs, watch.words),
    ]
    began = time.perf_counter()
    history = model.fit(
        x, y, batch_size=settings.batch_size, epochs=settings.epochs, callbacks=callbacks,
        verbose=0,
    ).history
    return TrainedModel(
        name=name,
        model=model,
        history={key: [float(value) for value in values] for key, values in history.items()},
        seconds=time.perf_counter() - began,
        best_epoch=int(np.argmax(history[watch.metric])) + 1,
    )


class _TrainingBar(keras.callbacks.Callback):
    """A progress bar an epoch, in the console's form."""

    def __init__(
        self, name: str, epochs: int, words: Callable[[Mapping[str, float]], str]
    ) -> None:
        super().__init__()
        self.name = name
        self.epochs = epochs
        self.words = words

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        label = f"{self.name} epoch {epoch + 1}/{self.epochs}"
        self.bar = ProgressBar(label, self.params["steps"])

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        done = batch + 1
        note = "validation" if done == self.params["steps"] else f"loss {logs['loss']:.3f}"
        self.bar.update(done, note)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.bar.finish(f"loss {logs['loss']:.3f}  validation {self.words(logs)}")
