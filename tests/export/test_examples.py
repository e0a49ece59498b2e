"""The examples in the docstrings run."""

import doctest
import importlib

import pytest


@pytest.mark.parametrize("name", ["check", "cuts", "onnx_file", "saved_model"])
def test_examples_run(name):
    result = doctest.testmod(importlib.import_module(f"deeprec_tf.export.{name}"))
    assert result.attempted > 2 and result.failed == 0
