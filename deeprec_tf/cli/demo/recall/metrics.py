"""What the recall task measured: the table that it prints, and the JSON that it writes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from deeprec_tf.cli.demo.recall.data import PARTS, RecallData
from deeprec_tf.cli.demo.recall.models import METRICS, Baseline
from deeprec_tf.cli.demo.recall.recommend import Lists
from deeprec_tf.cli.demo.settings import RecallSettings
from deeprec_tf.cli.demo.training import TrainedModel


@dataclasses.dataclass(frozen=True)
class RecallResults:
    """All that the report tells.

    Attributes:
        settings: what was asked for.
        data: the rows.
        trained: the models.
        baselines: what they stand beside.
        scores: test metrics by model.
        lists: titles for some users.
        parities: largest difference of the exported model's scores from the index's.
        exports: the exported files, relative to the report.
    """

    settings: RecallSettings
    data: RecallData
    trained: Sequence[TrainedModel]
    baselines: Mapping[str, Baseline]
    scores: Mapping[str, Mapping[str, float]]
    lists: Sequence[Lists]
    parities: Mapping[str, float]
    exports: Sequence[str]


def metric_names(
    settings: RecallSettings, metrics: Sequence[str] = METRICS
) -> dict[str, str]:
    """Names of the test metrics, by the words for them."""
    words = {"hr": "HR", "ndcg": "NDCG", "coverage": "coverage"}
    return {f"{words[name]}@{settings.titles}": f"{name}@{settings.titles}" for name in metrics}


def comparison(
    scores: Mapping[str, Mapping[str, float]],
    trained: Sequence[TrainedModel],
    baselines: Mapping[str, Baseline],
    settings: RecallSettings,
    metrics: Sequence[str] = METRICS,
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """The comparison as texts: its header, and a row a model, the baselines first."""
    names = metric_names(settings, metrics)
    seconds = {name: f"{one.seconds:.1f} s" for name, one in baselines.items()}
    seconds |= {one.name: f"{one.seconds:.0f} s" for one in trained}
    rows = [
        (name, *(f"{score[key]:.4f}" for key in names.values()), seconds[name])
        for name, score in scores.items()
    ]
    return ("model", *names, "training"), rows


def sizes(data: RecallData) -> dict[str, int]:
    """Ratings, users, movies and rows."""
    return {
        "ratings": len(data.ratings),
        "ratings_left_out": data.left_out,
        "users": int(data.ratings["user_id"].nunique()),
        "movies": len(next(iter(data.catalogue.values()))),
        "moments": len(next(iter(data.moments.values()))),
        "sequences": len(next(iter(data.sequences.values()))),
        **{part: len(data.parts[part]["user_id"]) for part in PARTS},
    }


def listed(lists: Sequence[Lists]) -> list[dict[str, Any]]:
    """What was found for the users that are shown."""
    return [
        {
            "user_id": one.user,
            "watched_last": one.watched,
            "found": {
                name: [
                    {"title": title, "score": score}
                    for title, score in zip(titles, one.scores[name], strict=True)
                ]
                for name, titles in one.titles.items()
            },
        }
        for one in lists
    ]


def as_json(results: RecallResults) -> dict[str, Any]:
    """What was measured beside the training, ready for JSON."""
    return {
        "sizes": sizes(results.data),
        "test": {name: dict(scores) for name, scores in results.scores.items()},
        "lists": listed(results.lists),
        "parity": dict(results.parities),
    }
