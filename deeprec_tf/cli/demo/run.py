"""`python -m deeprec_tf demo`: what is checked first, and then the task."""

from __future__ import annotations

import tempfile
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from deeprec_tf.cli.console import Console
from deeprec_tf.cli.demo.settings import DemoSettings
from deeprec_tf.cli.demo.tasks import DemoTask, find_cards
from deeprec_tf.cli.errors import CommandError
from deeprec_tf.cli.tensorflow_logging import import_quietly

# Modules that need TensorFlow are imported in the function: first what is quick to check.

_EXTRA = ("matplotlib", "tf2onnx", "onnxruntime")


def run_demo(task: DemoTask, settings: DemoSettings) -> None:
    """Runs a task of the demo, which writes a report.

    Args:
        task: one of `TASKS`.
        settings: of the class of the task's own settings.

    Raises:
        CommandError: a package is missing, a model can't be trained, or the folder can't be
            written; all of them before anything takes time.
    """
    _check_extra()
    console = Console(task.steps)
    print("Loading TensorFlow ...", flush=True)
    import_quietly("deeprec_tf.models")
    from deeprec_tf.training import keep_freed_memory

    keep_freed_memory()
    cards = find_cards(settings.models, task)
    _check_folder(settings.out)
    import_module(task.module).run(console, cards, settings)


def _check_extra() -> None:
    missing = [name for name in _EXTRA if find_spec(name) is None]
    if missing:
        raise CommandError(
            f"the demo needs {', '.join(missing)}. Run: pip install \"deeprec_tf[demo]\""
        )


def _check_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise CommandError(
            f"--out {out}: cannot write there ({error.strerror}). Name another folder."
        ) from error
