"""The `.keras` round trip of many models at once: one fresh process loads them all.

Run as a script it is that process: it imports deeprec_tf and nothing else of ours, and loads
every `<label>.keras` of a folder with safe mode on and without custom objects.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

AFTER, BACK = "after.", "back."
LABELS = "labels "


def save(subject, label, folder):
    """Saves a model after a step, with its batch; then trains it one step on.

    Returns:
        Dict of arrays: predictions before that step and, with prefixes, "after." it and "back." at
        the weights before it.
    """
    model = subject.build(metrics=[])
    model.run_eagerly = True
    batch, labels = subject.batch(), subject.labels()
    model.train_on_batch(batch, labels)
    model.save(folder / f"{label}.keras")
    by_task = labels if isinstance(labels, dict) else {"": labels}
    by_task = {f"{LABELS}{task}": values for task, values in by_task.items()}
    np.savez(folder / f"{label}.batch.npz", **by_task, **batch)
    return _answers(model, batch, labels, folder / f"{label}.weights.h5")


def load_all(folder):
    """Runs the fresh process.

    Returns:
        (answers by label as `save` gives them, error by label).
    """
    root = Path(__file__).parents[2]
    run = subprocess.run(
        [sys.executable, __file__, str(folder)], cwd=root, capture_output=True, text=True,
        env=_environment(root), timeout=900, check=False,
    )
    if run.returncode:
        raise RuntimeError(f"the fresh process failed:\n{run.stderr[-3000:]}")
    errors = json.loads((folder / "errors.json").read_text())
    answers = {}
    for file in folder.glob("*.answers.npz"):
        with np.load(file) as stored:
            answers[file.name.removesuffix(".answers.npz")] = dict(stored)
    return answers, errors


def _environment(root):
    import os

    return {**os.environ, "PYTHONPATH": str(root), "CUDA_VISIBLE_DEVICES": ""}


def _answers(model, batch, labels, file):
    """Predictions, also after one more step and back from it, and the optimizer's step after it."""
    answers = _predictions(model, batch)
    model.save_weights(file)
    model.train_on_batch(batch, labels)
    answers |= {AFTER + name: value for name, value in _predictions(model, batch).items()}
    answers["iterations"] = np.asarray(model.optimizer.iterations)
    answers["learning_rate"] = np.asarray(model.optimizer.learning_rate)
    model.load_weights(file)
    answers |= {BACK + name: value for name, value in _predictions(model, batch).items()}
    return answers


def _predictions(model, batch):
    output = model.predict_on_batch(batch)
    output = output if isinstance(output, dict) else {"output": output}
    return {name: np.asarray(value) for name, value in output.items()}


def _main(folder):
    import keras
    import tensorflow as tf

    import deeprec_tf  # noqa: F401 - registers every class

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    errors = {}
    for file in sorted(folder.glob("*.keras")):
        label = file.name.removesuffix(".keras")
        try:
            model = keras.saving.load_model(file)
            model.run_eagerly = True
            with np.load(folder / f"{label}.batch.npz") as stored:
                batch = dict(stored)
            names = [name for name in batch if name.startswith(LABELS)]
            labels = {name.removeprefix(LABELS): batch.pop(name) for name in names}
            labels = labels.get("", labels)
            file = folder / f"{label}.weights.h5"
            np.savez(folder / f"{label}.answers.npz", **_answers(model, batch, labels, file))
        except Exception as error:  # noqa: BLE001 - reported to the test by label
            errors[label] = f"{type(error).__name__}: {error}"
    (folder / "errors.json").write_text(json.dumps(errors))


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
