"""ESMM on a funnel made of the ratings: rated is the click, liked is the conversion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from deeprec_tf.cli.demo.movies import FIELDS, ITEM, OUT_OF_VOCABULARY, Rows
from deeprec_tf.cli.demo.multitask.data import MultitaskData
from deeprec_tf.cli.demo.multitask.models import TaskEvaluation, measured, predict, sized
from deeprec_tf.cli.demo.settings import MultitaskSettings
from deeprec_tf.cli.demo.training import TrainedModel, Watch, fit
from deeprec_tf.data import NegativeSampler, add_negatives, conversion_labels, item_table, take
from deeprec_tf.registry import get_model

# Both learn the same three rates: ESMM over all impressions, the other one its conversion rate
# on clicks alone.
_MODELS = {"ESMM": ("ctr", "ctcvr"), "SharedBottom": ("ctr", "cvr")}


@dataclass(frozen=True)
class Funnel:
    """Impressions by part.

    Attributes:
        inputs: the encoded inputs.
        labels: of click, conversion given a click (NaN without one), and both.
    """

    inputs: dict[str, Rows]
    labels: dict[str, Rows]


def prepare_funnel(data: MultitaskData, settings: MultitaskSettings) -> Funnel:
    """Each rating beside movies that the user has not rated by then, drawn uniformly.

    Ratings of movies that the training part does not know are left out: the drawn ones are known,
    so a model would see the click.

    Args:
        data: the ratings by part.
        settings: impressions a click, and the seed.
    """
    vocabulary = data.encoder.vocabulary(ITEM)
    parts = {}
    for name, x in data.inputs.items():
        rows = {**x, "liked": data.labels[name]["liked"]}
        parts[name] = take(rows, x[ITEM] != OUT_OF_VOCABULARY)
    known = _joined(list(parts.values()))
    fields = item_table(known, FIELDS, item=ITEM, size=vocabulary.size)
    inputs, labels = {}, {}
    for use, (name, rows) in enumerate(parts.items()):
        so_far = _joined(list(parts.values())[: use + 1])
        sampler = NegativeSampler(
            so_far, item=ITEM, candidates=vocabulary.ids, item_fields=fields
        )
        impressions = add_negatives(
            rows, sampler, settings.drawn, label="click", seed=(settings.seed, use)
        )
        labels[name] = conversion_labels(impressions["click"], impressions["liked"])
        inputs[name] = {column: impressions[column] for column in data.inputs[name]}
    return Funnel(inputs, labels)


def train_funnel(
    data: MultitaskData, funnel: Funnel, settings: MultitaskSettings
) -> list[TrainedModel]:
    """ESMM, and a model whose conversion rate is learned on clicks alone."""
    trained = []
    for name, tasks in _MODELS.items():
        keras.utils.set_random_seed(settings.seed)
        card = get_model(name)
        arguments: dict[str, Any] = {"task_names": tasks} if name == "SharedBottom" else {}
        model = card(data.columns(settings), **arguments, **sized(name, settings))
        watch = Watch(
            TaskEvaluation(funnel.inputs["validation"], funnel.labels["validation"], _answers),
            metric="val_score",
            words=lambda logs: f"AUC of both {logs['val_ctcvr_auc']:.4f}",
        )
        y = {task: funnel.labels["train"][task] for task in tasks}
        trained.append(
            fit(f"{name}, funnel", model, funnel.inputs["train"], y, settings, watch)
        )
    return trained


def funnel_scores(trained: Sequence[TrainedModel], funnel: Funnel) -> dict[str, dict[str, float]]:
    """The AUC of each rate on the test part by model; that of conversions over clicks."""
    return {
        one.name.split(",")[0]: measured(
            funnel.labels["test"], _answers(one.model, funnel.inputs["test"])
        )
        for one in trained
    }


def _answers(model: keras.Model, x: Rows) -> dict[str, np.ndarray]:
    """All three rates: what a model does not give follows from the other two."""
    answers = predict(model, x)
    if "ctcvr" not in answers:
        answers["ctcvr"] = answers["ctr"] * answers["cvr"]
    return answers


def _joined(parts: Sequence[Rows]) -> Rows:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
