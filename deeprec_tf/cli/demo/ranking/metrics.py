"""What the ranking task measured: the table that it prints, and the JSON that it writes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from deeprec_tf.cli.demo.ranking.data import RankingData
from deeprec_tf.cli.demo.ranking.models import Popularity
from deeprec_tf.cli.demo.ranking.recommend import Recommendation
from deeprec_tf.cli.demo.settings import RankingSettings
from deeprec_tf.cli.demo.training import TrainedModel

TABLE_HEADER = ("model", "AUC", "GAUC", "log loss", "training")


@dataclasses.dataclass(frozen=True)
class RankingResults:
    """All that the report tells.

    Attributes:
        settings: what was asked for.
        data: the examples.
        trained: the models.
        popularity: the baseline.
        scores: exact test metrics by model.
        recommendations: titles for some users.
        parities: largest difference of each exported file from the trained model.
        exports: the exported files, relative to the report.
    """

    settings: RankingSettings
    data: RankingData
    trained: Sequence[TrainedModel]
    popularity: Popularity
    scores: Mapping[str, Mapping[str, float]]
    recommendations: Sequence[Recommendation]
    parities: Mapping[str, float]
    exports: Sequence[str]


def comparison_rows(
    scores: Mapping[str, Mapping[str, float]],
    trained: Sequence[TrainedModel],
    popularity: Popularity,
) -> list[tuple[str, ...]]:
    """The comparison as texts, a row a model, the baseline first."""
    seconds = {one.name: f"{one.seconds:.0f} s" for one in trained}
    return [
        (
            name, f"{score['auc']:.4f}", f"{score['gauc']:.4f}", f"{score['log_loss']:.4f}",
            seconds.get(name, f"{popularity.seconds:.2f} s"),
        )
        for name, score in scores.items()
    ]


def sizes(data: RankingData) -> dict[str, Any]:
    """Rows, users, movies, and the examples of each part."""
    return {
        "ratings": len(data.ratings),
        "users": int(data.ratings["user_id"].nunique()),
        "movies": int(data.ratings["movie_id"].nunique()),
        "movies_known_from_training": len(data.known_movies),
        "parts": {
            name: {
                "positives": int(part["label"].sum()),
                "examples": len(part["label"]),
                "targets_left_out": data.left_out[name],
            }
            for name, part in data.parts.items()
        },
    }


def as_json(results: RankingResults) -> dict[str, Any]:
    """What was measured beside the training, ready for JSON."""
    return {
        "sizes": sizes(results.data),
        "test": {name: dict(scores) for name, scores in results.scores.items()},
        "popularity": {"weights": results.popularity.weights.tolist()},
        "recommendations": [
            {
                "user_id": one.user,
                "watched_last": one.watched,
                "recommended": [
                    {"title": title, "probability": p}
                    for title, p in zip(one.titles, one.probabilities, strict=True)
                ],
            }
            for one in results.recommendations
        ],
        "parity": dict(results.parities),
    }
