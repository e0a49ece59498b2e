"""What the generative task measured, as the JSON that it writes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from deeprec_tf.cli.demo.generative.data import GenerativeData
from deeprec_tf.cli.demo.recall.metrics import listed, sizes
from deeprec_tf.cli.demo.recall.models import Baseline
from deeprec_tf.cli.demo.recall.recommend import Lists
from deeprec_tf.cli.demo.settings import GenerativeSettings
from deeprec_tf.cli.demo.training import TrainedModel


@dataclasses.dataclass(frozen=True)
class GenerativeResults:
    """All that the report tells.

    Attributes:
        settings: what was asked for.
        data: the rows and the names.
        trained: the models.
        baselines: what they stand beside.
        scores: test metrics by model.
        lists: titles for some users.
        names: name in codes of every title that is shown.
        parities: largest difference of the exported model's scores from the trained one's.
        exports: the exported files, relative to the report.
    """

    settings: GenerativeSettings
    data: GenerativeData
    trained: Sequence[TrainedModel]
    baselines: Mapping[str, Baseline]
    scores: Mapping[str, Mapping[str, float]]
    lists: Sequence[Lists]
    names: Mapping[str, str]
    parities: Mapping[str, float]
    exports: Sequence[str]


def name_words(data: GenerativeData) -> str:
    """What the names look like, in a sentence."""
    *levels, last = data.codes.sizes
    use = ", ".join(f"{share:.0%}" for share in data.codes.code_use[:-1])
    return (
        f"{len(levels)} codes of {levels[0]} each ({use} of them used), and a digit up to {last} "
        "where movies share these"
    )


def as_json(results: GenerativeResults) -> dict[str, Any]:
    """What was measured beside the training, ready for JSON."""
    data = results.data
    return {
        "sizes": sizes(data.recall) | {"moments": len(data.moments["user_id"])},
        "codes": {"sizes": list(data.codes.sizes), "use": list(data.codes.code_use)},
        "test": {name: dict(scores) for name, scores in results.scores.items()},
        "lists": listed(results.lists),
        "names": dict(results.names),
        "parity": dict(results.parities),
    }
