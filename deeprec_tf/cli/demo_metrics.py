"""What the demo measured: the table that it prints, and the JSON that it writes."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from deeprec_tf import __version__
from deeprec_tf.cli.demo_data import DemoData
from deeprec_tf.cli.demo_models import Popularity, TrainedModel
from deeprec_tf.cli.demo_recommend import Recommendation
from deeprec_tf.cli.demo_settings import DemoSettings

TABLE_HEADER = ("model", "AUC", "GAUC", "log loss", "training")
_PACKAGES = ("tensorflow", "keras", "numpy", "pandas", "tf2onnx", "onnxruntime", "matplotlib")


@dataclasses.dataclass(frozen=True)
class DemoResults:
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

    settings: DemoSettings
    data: DemoData
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


def versions() -> dict[str, str]:
    """Versions of Python and the packages that matter."""
    found = {"deeprec_tf": __version__, "python": platform.python_version()}
    return found | {name: metadata.version(name) for name in _PACKAGES}


def sizes(data: DemoData) -> dict[str, Any]:
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


def as_json(results: DemoResults, seconds: Mapping[str, float], total: float) -> dict[str, Any]:
    """Everything that was measured, ready for JSON.

    Args:
        results: the run.
        seconds: time by step.
        total: time since the command began.
    """
    settings = dataclasses.asdict(results.settings) | {"out": str(results.settings.out)}
    training = {
        one.name: {
            "seconds": round(one.seconds, 2),
            "best_epoch": one.best_epoch,
            "parameters": int(one.model.count_params()),
            "history": one.history,
        }
        for one in results.trained
    }
    return {
        "settings": settings,
        "versions": versions(),
        "machine": {"platform": platform.platform(), "cpus": os.cpu_count()},
        "sizes": sizes(results.data),
        "test": {name: dict(scores) for name, scores in results.scores.items()},
        "popularity": {"weights": results.popularity.weights.tolist()},
        "training": training,
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
        "seconds": {**{name: round(value, 2) for name, value in seconds.items()},
                    "total": round(total, 2)},
    }


def write_json(values: Mapping[str, Any], path: Path) -> Path:
    """Writes a JSON file."""
    text = json.dumps(values, ensure_ascii=False, allow_nan=False, indent=2)
    path.write_text(text + "\n", encoding="utf-8")
    return path
