"""Two mirrored CPU devices train as one device does, on batches whose halves weigh the same."""

import inspect
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from deeprec_tf import get_model, list_models

ROOT = Path(__file__).parents[1]
# Models that take the statistics of a batch unless they are told otherwise.
WITH_STATISTICS = [
    name for name in list_models()
    if getattr(
        inspect.signature(get_model(name).builder).parameters.get("activation"), "default", None
    ) == "dice"
]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """run(devices, activation) trains all models in one process; losses and predictions."""
    done = {}

    def results(devices, activation):
        key = devices, activation
        if key not in done:
            file = tmp_path_factory.mktemp("distribution") / "results.npz"
            script = ROOT / "tests" / "distributed_run.py"
            names = WITH_STATISTICS if activation == "dice" else list_models()
            command = [sys.executable, str(script), devices, ",".join(names), activation]
            process = subprocess.run(
                [*command, str(file)], cwd=ROOT, capture_output=True, text=True, check=False,
                env={**os.environ, "CUDA_VISIBLE_DEVICES": ""}, timeout=1500,
            )
            assert process.returncode == 0, process.stderr[-3000:]
            with np.load(file) as stored:
                done[key] = dict(stored)
        return done[key]

    return results


@pytest.mark.parametrize("model", list_models())
def test_mirrored_equals_one_device(model, run):
    one, two = run("one", "sigmoid"), run("mirrored", "sigmoid")
    np.testing.assert_allclose(two[f"{model}/loss"], one[f"{model}/loss"], rtol=1e-5)
    predictions = two[f"{model}/prediction"], one[f"{model}/prediction"]
    np.testing.assert_allclose(*predictions, atol=1e-5, rtol=1e-5)
    assert np.all(np.diff(one[f"{model}/loss"]) < 0)


@pytest.mark.parametrize("model", WITH_STATISTICS)
def test_statistics_of_each_replica_still_train(model, run):
    losses = run("mirrored", "dice")[f"{model}/loss"]
    assert np.isfinite(losses).all() and losses[-1] < losses[0]
