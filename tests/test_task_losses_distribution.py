"""The losses of several tasks and their balance are the same on two devices as on one."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    found = []
    for devices in ("one", "mirrored"):
        file = tmp_path_factory.mktemp(devices) / "results.npz"
        process = subprocess.run(
            [sys.executable, str(ROOT / "tests" / "task_losses_run.py"), devices, str(file)],
            cwd=ROOT, capture_output=True, text=True, check=False, timeout=900,
            env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        )
        assert process.returncode == 0, process.stderr[-3000:]
        with np.load(file) as stored:
            found.append(dict(stored))
    return found


def test_two_devices_train_as_one(runs):
    one, two = runs
    assert one.keys() == two.keys() and len(one) > 40
    wrong = [key for key in one if not np.allclose(one[key], two[key], rtol=1e-4, atol=1e-5)]
    assert not wrong, {key: (one[key], two[key]) for key in wrong[:3]}
    assert all(np.isfinite(values).all() for values in one.values())
    losses = [values for key, values in one.items() if key.endswith("/loss")]
    assert len(losses) == 12 and all(loss[-1] < loss[0] for loss in losses)
