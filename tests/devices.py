"""Tests that hold on a CPU alone."""

import pytest
import tensorflow as tf

ON_GPU = bool(tf.config.list_physical_devices("GPU"))


def cpu_only(reason):
    """A mark that skips a test where TensorFlow has a GPU, and says why."""
    return pytest.mark.skipif(ON_GPU, reason=f"on a GPU {reason}")


zeros_for_outside = cpu_only("an id outside the table reads zeros, see docs/columns.md")
sums_in_any_order = cpu_only("sums run in any order, so equal bits want enable_op_determinism")
