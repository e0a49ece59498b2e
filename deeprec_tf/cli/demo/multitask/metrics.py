"""What the multitask task measured: the tables that it prints, and the JSON that it writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from deeprec_tf.cli.demo.multitask.data import MultitaskData
from deeprec_tf.cli.demo.multitask.funnel import Funnel
from deeprec_tf.cli.demo.multitask.models import ALONE, MEANS, Means
from deeprec_tf.cli.demo.settings import MultitaskSettings
from deeprec_tf.cli.demo.training import TrainedModel

_METRICS = {"liked_auc": "liked AUC", "liked_log_loss": "log loss", "rating_rmse": "rating RMSE"}
_RATES = {"ctr_auc": "click AUC", "cvr_auc": "conversion AUC", "ctcvr_auc": "both AUC"}


@dataclass(frozen=True)
class MultitaskResults:
    """All that the report tells.

    Attributes:
        settings: what was asked for.
        data: the examples.
        funnel: the impressions.
        trained: the models of all tasks.
        alone: a model a task.
        means: the baseline without training by gradients.
        of_funnel: the models of the funnel.
        scores: exact test metrics by model.
        rates: those of the funnel.
        leaks: the AUC of each input alone.
        gates: the mean weights of experts, by model.
        parities: largest difference of each exported file from the trained model.
        exports: the exported files, relative to the report.
    """

    settings: MultitaskSettings
    data: MultitaskData
    funnel: Funnel
    trained: Sequence[TrainedModel]
    alone: Sequence[TrainedModel]
    means: Means
    of_funnel: Sequence[TrainedModel]
    scores: Mapping[str, Mapping[str, float]]
    rates: Mapping[str, Mapping[str, float]]
    leaks: pd.DataFrame
    gates: Mapping[str, pd.DataFrame]
    parities: Mapping[str, float]
    exports: Sequence[str]

    @property
    def all_trained(self) -> list[TrainedModel]:
        """Every model that was trained."""
        return [*self.trained, *self.alone, *self.of_funnel]


Table = tuple[tuple[str, ...], list[tuple[str, ...]]]


def comparison(
    scores: Mapping[str, Mapping[str, float]],
    trained: Sequence[TrainedModel],
    alone: Sequence[TrainedModel],
    means: Means,
) -> Table:
    """The comparison as texts: its header, and a row a model, the baselines first."""
    parameters = {MEANS: means.size, ALONE: sum(one.model.count_params() for one in alone)}
    parameters |= {one.name: one.model.count_params() for one in trained}
    seconds = {MEANS: means.seconds, ALONE: sum(one.seconds for one in alone)}
    seconds |= {one.name: one.seconds for one in trained}
    rows = [
        (
            name, *(f"{score[key]:.4f}" for key in _METRICS),
            f"{parameters[name]:,}", f"{seconds[name]:.0f} s",
        )
        for name, score in scores.items()
    ]
    return ("model", *_METRICS.values(), "parameters", "training"), rows


def rates_table(rates: Mapping[str, Mapping[str, float]]) -> Table:
    """The funnel's comparison as texts."""
    rows = [(name, *(f"{score[key]:.4f}" for key in _RATES)) for name, score in rates.items()]
    return ("model", *_RATES.values()), rows


def leaks_table(leaks: pd.DataFrame) -> Table:
    """The AUC of each input alone as texts."""
    rows = [(str(name), *(f"{auc:.4f}" for auc in row)) for name, *row in leaks.itertuples()]
    return ("input alone", *(f"{task} AUC" for task in leaks.columns)), rows


def sizes(data: MultitaskData, funnel: Funnel) -> dict[str, Any]:
    """Ratings, users and movies, and the examples of each part."""
    return {
        "ratings": len(data.ratings),
        "users": int(data.ratings["user_id"].nunique()),
        "movies": int(data.ratings["movie_id"].nunique()),
        "parts": {
            name: {
                "ratings": len(labels["rating"]),
                "liked": int(labels["liked"].sum()),
                "impressions": len(funnel.labels[name]["ctr"]),
            }
            for name, labels in data.labels.items()
        },
    }


def as_json(results: MultitaskResults) -> dict[str, Any]:
    """What was measured beside the training, ready for JSON."""
    return {
        "sizes": sizes(results.data, results.funnel),
        "test": {name: dict(scores) for name, scores in results.scores.items()},
        "funnel": {name: dict(scores) for name, scores in results.rates.items()},
        "leaks": results.leaks.to_dict("index"),
        "gates": {
            name: {gate: row.dropna().tolist() for gate, row in usage.iterrows()}
            for name, usage in results.gates.items()
        },
        "parity": dict(results.parities),
    }
