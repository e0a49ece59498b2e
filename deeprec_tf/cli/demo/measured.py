"""The JSON that the demo writes beside its page: every number of the run."""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from deeprec_tf import __version__
from deeprec_tf.cli.console import Console
from deeprec_tf.cli.demo.settings import DemoSettings
from deeprec_tf.cli.demo.training import TrainedModel

_PACKAGES = ("tensorflow", "keras", "numpy", "pandas", "tf2onnx", "onnxruntime", "matplotlib")


def versions() -> dict[str, str]:
    """Versions of Python and the packages that matter."""
    found = {"deeprec_tf": __version__, "python": platform.python_version()}
    return found | {name: _version(name) for name in _PACKAGES}


def _version(package: str) -> str:
    """Of the installed distribution, or of one by another name, as `tensorflow-cpu` is."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return str(getattr(importlib.import_module(package), "__version__", "unknown"))


def finish(
    console: Console,
    page: Path,
    settings: DemoSettings,
    trained: Sequence[TrainedModel],
    measured: Mapping[str, Any],
) -> None:
    """Writes `metrics.json` beside the page, and says where the page is.

    Args:
        console: says the time by step; the last step ends here.
        page: the report.
        settings: what was asked for.
        trained: the models.
        measured: what else there is, by name, ready for JSON.
    """
    console.end_step()
    total = console.total_seconds()
    seconds = {**console.seconds, "total": total}
    values = {
        "settings": dataclasses.asdict(settings) | {"out": str(settings.out)},
        "versions": versions(),
        "machine": {"platform": platform.platform(), "cpus": os.cpu_count()},
        **measured,
        "training": {
            one.name: {
                "seconds": round(one.seconds, 2),
                "best_epoch": one.best_epoch,
                "parameters": int(one.model.count_params()),
                "history": one.history,
            }
            for one in trained
        },
        "seconds": {name: round(value, 2) for name, value in seconds.items()},
    }
    text = json.dumps(values, ensure_ascii=False, allow_nan=False, indent=2)
    (page.parent / "metrics.json").write_text(text + "\n", encoding="utf-8")
    console.line(f"open {page}")
    print(f"Done in {total:.0f} s.")
