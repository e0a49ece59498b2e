"""Optimizers that know nothing of tables train them on two replicas as on one."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    file = tmp_path_factory.mktemp("mirrored") / "results.npz"
    process = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "mirrored_tables_run.py"), str(file)], cwd=ROOT,
        capture_output=True, text=True, check=False, timeout=900,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )  # fmt: skip
    assert process.returncode == 0, process.stderr[-3000:]
    with np.load(file) as stored:
        return dict(stored)


@pytest.mark.parametrize("optimizer", ["sgd", "clipped"])
@pytest.mark.parametrize("model", ["deepfm", "dssm", "streamed", "sasrec"])
def test_gradients_of_different_lengths_reach_both_replicas(model, optimizer, results):
    losses = results[f"{model}/{optimizer}/loss"]
    assert np.isfinite(losses).all() and losses[-1] != losses[0]
    assert results[f"{model}/{optimizer}/apart"] == 0.0, "the replicas' weights differ"


def test_plain_sgd_is_that_of_one_device(results):
    np.testing.assert_allclose(results["deepfm/sgd/loss"], results["one/loss"], rtol=1e-5)
    np.testing.assert_allclose(results["two/prediction"], results["one/prediction"], atol=1e-5)


def test_several_steps_in_one_loop_are_refused(results):
    refused = str(results["refused"])
    assert "deepfm.fit: steps_per_execution=2 on 2 replicas" in refused
    assert "Compile with steps_per_execution=1" in refused


def test_the_first_replicas_rows_move_the_gaps_of_all(results):
    for replica in ("first", "second"):
        np.testing.assert_array_equal(results[f"streaming/{replica}"], results["streaming/alone"])
    np.testing.assert_allclose(results["streaming/logs"], results["streaming/logs_alone"])
