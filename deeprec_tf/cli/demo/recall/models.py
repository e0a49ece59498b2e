"""The recall task's models and baselines: how they are trained, and tested over all movies."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from deeprec_tf.cli.console import Console
from deeprec_tf.cli.demo.movies import ITEM
from deeprec_tf.cli.demo.recall.data import RecallData
from deeprec_tf.cli.demo.settings import RecallSettings
from deeprec_tf.cli.demo.training import TrainedModel, Watch, fit
from deeprec_tf.evaluation import (
    RetrievalEvaluation,
    evaluate_retrieval,
    fit_item_knn,
    fit_markov_chain,
    fit_popularity,
)
from deeprec_tf.registry import ModelCard

# These learn from every position of a sequence, the others once a row.
_EVERY_POSITION = ("SASRec", "GRU4Rec", "BERT4Rec", "HSTU", "HLLM")
_ARGUMENTS: dict[str, dict[str, Any]] = {
    "SASRec": {"num_layers": 1, "num_heads": 1, "dropout": 0.4},
    "GRU4Rec": {"dropout": 0.3},
    "YoutubeDNN": {"hidden_units": (128,), "dropout": 0.2},
    "MIND": {"num_interests": 3},
}
METRICS = ("hr", "ndcg", "coverage")


@dataclasses.dataclass(frozen=True)
class Baseline:
    """What needs no training by gradients.

    Attributes:
        scores: function from lists of movies to the scores of all movies.
        seconds: time to fit it.
    """

    scores: Callable[[Any], Any]
    seconds: float


def fit_baselines(console: Console, data: RecallData) -> dict[str, Baseline]:
    """Popularity, what comes after the last movie, and item-kNN, from the training part."""
    fitting = {
        "popularity": fit_popularity,
        "Markov chain": fit_markov_chain,
        "item-kNN": fit_item_knn,
    }
    baselines = {}
    for name, fit_baseline in fitting.items():
        began = time.perf_counter()
        scores = fit_baseline(data.training_lists, data.size)
        baselines[name] = Baseline(scores, time.perf_counter() - began)
        console.line(f"{name}: counted in {baselines[name].seconds:.1f} s")
    return baselines


def train(
    card: ModelCard, data: RecallData, settings: RecallSettings, **arguments: Any
) -> TrainedModel:
    """Builds and trains a model; stops when the validation NDCG no longer rises."""
    keras.utils.set_random_seed(settings.seed)
    model = card(
        *data.columns(settings), optimizer=keras.optimizers.Adam(settings.learning_rate),
        **_ARGUMENTS.get(card.name, {}), **arguments,
    )
    x = data.moments
    if card.name in _EVERY_POSITION:
        x = data.sequences
        settings = dataclasses.replace(settings, batch_size=settings.sequences_a_step)
    validation, metric = data.parts["validation"], f"val_ndcg@{settings.titles}"
    watch = Watch(
        RetrievalEvaluation(
            (validation, validation[ITEM]), items=data.catalogue, seen=data.seen["validation"],
            k=settings.titles, metrics=("hr", "ndcg"),
        ),
        metric=metric,
        words=lambda logs: f"NDCG@{settings.titles} {logs[metric]:.4f}",
    )
    return fit(card.name, model, x, None, settings, watch)


def test_scores(
    trained: Sequence[TrainedModel],
    baselines: Mapping[str, Baseline],
    data: RecallData,
    settings: RecallSettings,
) -> dict[str, dict[str, float]]:
    """HR, NDCG and coverage on the test part by model; the one use of that part."""
    test, seen = data.parts["test"], data.seen["test"]
    asked: dict[str, Any] = {"seen": seen, "k": settings.titles, "metrics": METRICS}
    scores = {
        name: evaluate_retrieval(baseline.scores, seen, test[ITEM], **asked)
        for name, baseline in baselines.items()
    }
    for one in trained:
        scores[one.name] = evaluate_retrieval(
            one.model, test, test[ITEM], items=data.catalogue, **asked
        )
    return scores
