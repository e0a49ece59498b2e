"""DeepCTR's examples switch eager execution off; ours must run with that line in place."""

import subprocess
import sys

SCRIPT = """
import warnings
import numpy as np
import tensorflow as tf
from deeprec_tf import SparseFeat
from deeprec_tf.models import WideDeep

tf.compat.v1.disable_eager_execution()
{before}
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    model = WideDeep([SparseFeat("user", 4)], hidden_units=(2,))
assert any("switched on again" in str(w.message) for w in caught)
model.fit({{"user": np.arange(4)}}, np.array([0, 1, 0, 1]), verbose=0)
print("trained")
"""


def run(before):
    return subprocess.run(
        [sys.executable, "-c", SCRIPT.format(before=before)],
        capture_output=True, text=True, check=False,
    )


def test_switches_it_on_again():
    done = run("")
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip().endswith("trained")


def test_says_so_when_it_is_too_late():
    done = run("tf.compat.v1.placeholder(tf.float32)")
    assert done.returncode == 1
    assert "RuntimeError: deeprec_tf: eager execution is off" in done.stderr
