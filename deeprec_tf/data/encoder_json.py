"""A fitted encoder as JSON-able values, and back. Integer keys are written as integers."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from deeprec_tf.data.encoder_features import Feature, feature_from_config, feature_to_config
from deeprec_tf.data.number_transforms import NumberState
from deeprec_tf.data.vocabulary import Vocabulary

FORMAT = "deeprec_tf.FeatureEncoder"
VERSION = 1


def config_of(
    features: Sequence[Feature],
    vocabularies: Mapping[str, Vocabulary],
    numbers: Mapping[str, NumberState],
) -> dict[str, Any]:
    """The values that `state_from_config` reads."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "features": [feature_to_config(feature) for feature in features],
        "vocabularies": {
            name: {
                "kind": vocabulary.kind,
                "owns_missing": vocabulary.owns_missing,
                "values": vocabulary.values.tolist(),
                "waiting": vocabulary.waiting.index.tolist(),
                "waiting_counts": vocabulary.waiting.tolist(),
            }
            for name, vocabulary in vocabularies.items()
        },
        "numbers": {
            name: {**asdict(state), "edges": list(state.edges)} for name, state in numbers.items()
        },
    }


def write_config(config: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Writes what `read_config` reads."""
    text = json.dumps(config, ensure_ascii=False, allow_nan=False, indent=1)
    Path(path).write_text(text + "\n", encoding="utf-8")


def read_config(path: str | os.PathLike[str]) -> Any:
    """The values of a JSON file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"FeatureEncoder.load: {str(path)!r} is no JSON: {error}.") from None


def state_from_config(
    config: Any,
) -> tuple[list[Feature], dict[str, Vocabulary], dict[str, NumberState]]:
    """Features, vocabularies and number states.

    Raises:
        ValueError: the values are no encoder, or one of a newer version.
    """
    if not isinstance(config, Mapping) or config.get("format") != FORMAT:
        raise ValueError(
            f"FeatureEncoder: expected a file that FeatureEncoder.save wrote (format {FORMAT!r})."
        )
    if config.get("version") != VERSION:
        raise ValueError(
            f"FeatureEncoder: this package reads version {VERSION}, got {config.get('version')!r}. "
            "Install the version of deeprec_tf that wrote it."
        )
    vocabularies = {}
    for name, entry in config["vocabularies"].items():
        dtype = np.int64 if entry["kind"] == "int64" else object
        waiting = pd.Series(
            entry.get("waiting_counts", []), dtype=np.int64,
            index=pd.Index(entry.get("waiting", []), dtype=dtype),
        )
        vocabularies[name] = Vocabulary(
            name, np.asarray(entry["values"], dtype=dtype),
            owns_missing=entry["owns_missing"], waiting=waiting,
        )  # fmt: skip
    numbers = {
        name: NumberState(**{**entry, "edges": tuple(entry["edges"])})
        for name, entry in config["numbers"].items()
    }
    return [feature_from_config(entry) for entry in config["features"]], vocabularies, numbers
