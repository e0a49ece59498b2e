"""The demo's models: which there are, how they are trained, the popularity baseline."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from deeprec_tf.cli.console import ProgressBar
from deeprec_tf.cli.demo_data import BEHAVIORS, ITEM, DemoData, Rows
from deeprec_tf.cli.demo_settings import DemoSettings
from deeprec_tf.cli.errors import CommandError
from deeprec_tf.evaluation import CTREvaluation, evaluate_ctr, exact_auc, gauc, log_loss
from deeprec_tf.registry import ModelCard, get_model, list_models

EVALUATION_BATCH = 2048
_ROLES = {"target_item", "behaviors", "negative_behaviors"}  # what the demo's columns are


@dataclass
class TrainedModel:
    """A model and how its training went.

    Attributes:
        name: as the registry spells it.
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


@dataclass
class Popularity:
    """P(click) = sigmoid(a + b log(1 + ratings in training)): what is liked by all.

    Attributes:
        weights: a and b.
        seconds: time in `fit`.
    """

    weights: np.ndarray = field(default_factory=lambda: np.zeros(2))
    seconds: float = 0.0

    def fit(self, counts: np.ndarray, labels: np.ndarray) -> Popularity:
        """Maximum likelihood by Newton's method.

        Args:
            counts: ratings of each row's movie, (N,).
            labels: 0 or 1, (N,).
        """
        began = time.perf_counter()
        x = _intercept_and_log(counts)
        for _ in range(25):
            p = _sigmoid(x @ self.weights)
            curvature = (x * (p * (1 - p))[:, None]).T @ x + 1e-9 * np.eye(2)
            step = np.linalg.solve(curvature, x.T @ (labels - p))
            self.weights = self.weights + step
            if np.abs(step).max() < 1e-9:
                break
        self.seconds = time.perf_counter() - began
        return self

    def predict(self, counts: np.ndarray) -> np.ndarray:
        """Probabilities (N,)."""
        return _sigmoid(_intercept_and_log(counts) @ self.weights)


def find_cards(names: Sequence[str]) -> list[ModelCard]:
    """The cards of models that the demo can train, whatever case they are typed in.

    Raises:
        CommandError: there is no such model, or it needs other data.
    """
    spelled = {name.lower(): name for name in list_models()}
    spelled |= {
        alias.lower(): name for name in spelled.values() for alias in get_model(name).aliases
    }
    cards: dict[str, ModelCard] = {}
    for name in names:
        card = get_model(spelled[name.lower()]) if name.lower() in spelled else None
        if card is None or not _fits(card):
            fitting = [other for other in list_models() if _fits(get_model(other))]
            fault = "there is no such model" if card is None else "it reads no behavior sequence"
            raise CommandError(
                f"--model {name}: {fault}. The demo can train: {', '.join(fitting)}."
            )
        cards[card.name] = card
    return list(cards.values())


def train(card: ModelCard, data: DemoData, settings: DemoSettings) -> TrainedModel:
    """Builds and trains a model; stops when the exact validation AUC no longer rises."""
    keras.utils.set_random_seed(settings.seed)
    optimizer = keras.optimizers.Adam(settings.learning_rate)
    # No metrics: `CTREvaluation` measures what is wanted, exactly.
    model = card(data.columns(settings), list(BEHAVIORS), optimizer=optimizer, metrics=())
    training, validation = data.parts["train"], data.parts["validation"]
    callbacks = [
        CTREvaluation(
            (validation, validation["label"]), group="user_id", batch_size=EVALUATION_BATCH
        ),
        keras.callbacks.EarlyStopping(
            "val_auc", mode="max", patience=settings.patience, restore_best_weights=True
        ),
        _TrainingBar(card.name, settings.epochs),
    ]
    began = time.perf_counter()
    history = model.fit(
        inputs_of(model, training),
        training["label"],
        batch_size=settings.batch_size,
        epochs=settings.epochs,
        callbacks=callbacks,
        verbose=0,
    ).history
    return TrainedModel(
        name=card.name,
        model=model,
        history={name: [float(value) for value in values] for name, values in history.items()},
        seconds=time.perf_counter() - began,
        best_epoch=int(np.argmax(history["val_auc"])) + 1,
    )


def inputs_of(model: keras.Model, rows: Rows) -> Rows:
    """The columns that a model reads; those that only its training reads may be absent."""
    names = (tensor.name for tensor in model.inputs)
    return {name: rows[name] for name in names if name in rows}


def test_scores(
    trained: Sequence[TrainedModel], popularity: Popularity, data: DemoData
) -> dict[str, dict[str, float]]:
    """Exact AUC, GAUC and log loss on the test part, by model; the one use of that part."""
    test = data.parts["test"]
    labels, users = test["label"], test["user_id"]
    p = popularity.predict(data.train_counts[test[ITEM]])
    scores = {
        "popularity": {
            "auc": exact_auc(labels, p),
            "gauc": gauc(labels, p, users).value,
            "log_loss": log_loss(labels, p),
        }
    }
    for one in trained:
        scores[one.name] = evaluate_ctr(
            one.model, test, labels, group="user_id", batch_size=EVALUATION_BATCH
        )
    return scores


class _TrainingBar(keras.callbacks.Callback):
    """A progress bar an epoch, in the console's form."""

    def __init__(self, name: str, epochs: int) -> None:
        super().__init__()
        self.name = name
        self.epochs = epochs

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        label = f"{self.name} epoch {epoch + 1}/{self.epochs}"
        self.bar = ProgressBar(label, self.params["steps"])

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        done = batch + 1
        note = "validation" if done == self.params["steps"] else f"loss {logs['loss']:.3f}"
        self.bar.update(done, note)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.bar.finish(f"loss {logs['loss']:.3f}  validation AUC {logs['val_auc']:.4f}")


def _fits(card: ModelCard) -> bool:
    return card.family == "ranking" and "behaviors" in card.needs and set(card.needs) <= _ROLES


def _intercept_and_log(counts: np.ndarray) -> np.ndarray:
    return np.stack([np.ones(len(counts)), np.log1p(counts)], axis=1)


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return 0.5 * (1.0 + np.tanh(0.5 * logits))
