import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from deeprec_tf.retrieval import ItemIndex, Tfrs

needs_tfrs = pytest.mark.skipif(
    importlib.util.find_spec("tensorflow_recommenders") is None, reason="needs the extra tfrs"
)


def run(name):
    return subprocess.run(
        [sys.executable, "-m", "tests.retrieval.tfrs_run", name],
        cwd=Path(__file__).parents[2], text=True, capture_output=True, timeout=300,
    )


@needs_tfrs
def test_it_finds_what_the_exact_index_finds_and_keras_goes_on():
    done = run("search")
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.startswith("searched with ['brute_force', 'streaming'")


@needs_tfrs
def test_a_process_that_used_the_other_keras_is_told_so():
    done = run("too_late")
    assert done.returncode == 1
    assert "ImportError: ItemIndex: the back-end 'tfrs'" in done.stderr, done.stderr[-3000:]
    assert "Use `import keras` instead, or build this index first" in done.stderr


def test_options_out_of_range():
    with pytest.raises(ValueError, match="Tfrs: kind must be one of .*'streaming'.*got 'exact'"):
        Tfrs("exact")
    with pytest.raises(ValueError, match="Tfrs: leaves must be a whole number of at least 1"):
        Tfrs("scann", leaves=0)


def test_without_the_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_recommenders", None)
    monkeypatch.delenv("TF_USE_LEGACY_KERAS", raising=False)
    with pytest.raises(ImportError, match=r"pip install 'deeprec-tf\[tfrs\]'"):
        ItemIndex("tfrs").build(np.eye(2))


def test_a_scann_for_another_tensorflow_breaks_it(monkeypatch, tmp_path):
    (tmp_path / "tensorflow_recommenders.py").write_text(
        "import tensorflow as tf\n"
        "raise tf.errors.NotFoundError(None, None, '_scann_ops.so: undefined symbol')\n"
    )
    monkeypatch.delitem(sys.modules, "tensorflow_recommenders", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError, match="imports the installed ScaNN.*use TensorFlow 2.20"):
        ItemIndex("tfrs").build(np.eye(2))
