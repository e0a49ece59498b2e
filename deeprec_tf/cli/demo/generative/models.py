"""The generative task's models: how they are trained, and tested by what they answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from deeprec_tf.cli.demo.generative.data import GenerativeData
from deeprec_tf.cli.demo.movies import ITEM, OUT_OF_VOCABULARY
from deeprec_tf.cli.demo.recall.data import HISTORY
from deeprec_tf.cli.demo.recall.models import Baseline
from deeprec_tf.cli.demo.recall.models import train as train_vectors
from deeprec_tf.cli.demo.settings import GenerativeSettings
from deeprec_tf.cli.demo.training import TrainedModel, Watch, fit
from deeprec_tf.evaluation import (
    GenerationEvaluation,
    evaluate_retrieval,
    rank_in_lists,
    retrieval_metrics,
)
from deeprec_tf.export import inference_model
from deeprec_tf.registry import ModelCard
from deeprec_tf.retrieval import Found

METRICS = ("hr", "ndcg")
_BLOCKS = {"num_layers": 1, "num_heads": 1, "dropout": 0.4}


def spells(name: str) -> bool:
    """Whether a model answers with codes; the others compare vectors."""
    return name == "TIGER"


def train(card: ModelCard, data: GenerativeData, settings: GenerativeSettings) -> TrainedModel:
    """Builds and trains a model; stops when the validation NDCG no longer rises."""
    if card.name == "HSTU":
        return train_vectors(card, data.recall, settings, transformer_params=_BLOCKS)
    if card.name == "HLLM":
        sizes = {**_BLOCKS, "hidden_size": settings.movie_dim}
        return train_vectors(
            card, data.recall, settings, llm_params=sizes, item_embeddings=data.vectors
        )
    keras.utils.set_random_seed(settings.seed)
    model = card(
        data.codes, hidden_items=(OUT_OF_VOCABULARY,),
        num_users=data.encoder.vocabulary("user_id").size, maxlen=settings.maxlen,
        hidden_size=settings.movie_dim, num_layers=1, num_heads=2, head_size=32,
        feed_forward_units=128, dropout=0.2, beam_width=settings.candidates + settings.maxlen,
        num_results=settings.candidates, optimizer=keras.optimizers.Adam(settings.spelling_rate),
    )
    part, seen = data.recall.parts["validation"], data.recall.seen["validation"]
    metric = f"val_ndcg@{settings.titles}"
    watch = Watch(
        GenerationEvaluation(
            (data.asking(part["user_id"], part[HISTORY]), part[ITEM]),
            item_count=data.recall.size, seen=seen, k=settings.titles, metrics=METRICS,
        ),
        metric=metric,
        words=lambda logs: f"NDCG@{settings.titles} {logs[metric]:.4f}",
    )
    return fit(card.name, model, data.moments, None, settings, watch)


def answers(
    trained: TrainedModel, data: GenerativeData, users: np.ndarray, history: np.ndarray
) -> Found:
    """What a model that spells answers to users: movies and log-probabilities, best first."""
    found = inference_model(trained.model).predict(
        data.asking(users, history), batch_size=256, verbose=0
    )
    return Found(found["ids"], found["scores"])


def test_scores(
    trained: Sequence[TrainedModel],
    baselines: Mapping[str, Baseline],
    data: GenerativeData,
    settings: GenerativeSettings,
) -> dict[str, dict[str, float]]:
    """HR and NDCG on the test part by model; the one use of that part."""
    test, seen = data.recall.parts["test"], data.recall.seen["test"]
    asked: dict[str, Any] = {"k": settings.titles, "metrics": METRICS}
    scores = {
        name: evaluate_retrieval(baseline.scores, seen, test[ITEM], seen=seen, **asked)
        for name, baseline in baselines.items()
    }
    for one in trained:
        if spells(one.name):
            found = answers(one, data, test["user_id"], test[HISTORY])
            ranks = rank_in_lists(found.ids, test[ITEM], item_count=data.recall.size, seen=seen)
            scores[one.name] = retrieval_metrics(ranks, **asked)
        else:
            scores[one.name] = evaluate_retrieval(
                one.model, test, test[ITEM], items=data.recall.catalogue, seen=seen, **asked
            )
    return scores
