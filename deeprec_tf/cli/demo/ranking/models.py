"""The ranking task's models: how they are trained and tested, and the popularity baseline."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import keras
import numpy as np

from deeprec_tf.cli.demo.movies import ITEM, Rows
from deeprec_tf.cli.demo.ranking.data import BEHAVIORS, RankingData
from deeprec_tf.cli.demo.settings import RankingSettings
from deeprec_tf.cli.demo.training import TrainedModel, Watch, fit
from deeprec_tf.evaluation import CTREvaluation, evaluate_ctr, exact_auc, gauc, log_loss
from deeprec_tf.registry import ModelCard

EVALUATION_BATCH = 2048


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


def train(card: ModelCard, data: RankingData, settings: RankingSettings) -> TrainedModel:
    """Builds and trains a model; stops when the exact validation AUC no longer rises."""
    keras.utils.set_random_seed(settings.seed)
    optimizer = keras.optimizers.Adam(settings.learning_rate)
    # No metrics: `CTREvaluation` measures what is wanted, exactly.
    model = card(data.columns(settings), list(BEHAVIORS), optimizer=optimizer, metrics=())
    training, validation = data.parts["train"], data.parts["validation"]
    watch = Watch(
        CTREvaluation(
            (validation, validation["label"]), group="user_id", batch_size=EVALUATION_BATCH
        ),
        metric="val_auc",
        words=lambda logs: f"AUC {logs['val_auc']:.4f}",
    )
    return fit(
        card.name, model, inputs_of(model, training), training["label"], settings, watch
    )


def inputs_of(model: keras.Model, rows: Rows) -> Rows:
    """The columns that a model reads; those that only its training reads may be absent."""
    names = (tensor.name for tensor in model.inputs)
    return {name: rows[name] for name in names if name in rows}


def test_scores(
    trained: Sequence[TrainedModel], popularity: Popularity, data: RankingData
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


def _intercept_and_log(counts: np.ndarray) -> np.ndarray:
    return np.stack([np.ones(len(counts)), np.log1p(counts)], axis=1)


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return 0.5 * (1.0 + np.tanh(0.5 * logits))
