"""The SavedModel in TensorFlow's C library: no Python, no Keras, the loader of the server."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from deeprec_tf import SparseFeat
from deeprec_tf.export import export_saved_model
from deeprec_tf.models import DeepFM
from tests.export.samples import lively

LIBRARY = Path(tf.sysconfig.get_lib())
PARTS = ["libtensorflow_cc.so.2", "libtensorflow_framework.so.2"]


@pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no gcc to build the client with")
@pytest.mark.skipif(
    not all((LIBRARY / part).exists() for part in PARTS),
    reason="this TensorFlow wheel has no C library for Linux",
)
def test_a_c_program_gets_the_models_answer(tmp_path):
    columns = [SparseFeat("user", 10, embedding_dim=4), SparseFeat("item", 20, embedding_dim=4)]
    model = lively(DeepFM(columns, hidden_units=(8,)))
    folder = export_saved_model(model, tmp_path / "model")
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        meta = tf.compat.v1.saved_model.loader.load(session, ["serve"], str(folder))
    signature = meta.signature_def["serving_default"]
    program = tmp_path / "load"
    subprocess.run(
        ["gcc", str(Path(__file__).with_name("load.c")), "-o", str(program),
         f"-I{tf.sysconfig.get_include()}", f"-L{LIBRARY}", f"-Wl,-rpath,{LIBRARY}",
         *(f"-l:{part}" for part in PARTS)],
        check=True,
    )  # fmt: skip
    answer = subprocess.run(
        [str(program), str(folder), signature.inputs["user"].name, signature.inputs["item"].name,
         signature.outputs["probability"].name],
        capture_output=True, text=True, check=True, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )  # fmt: skip
    got = np.array(answer.stdout.split(), "float32")
    expected = model.predict({"user": [1, 2], "item": [3, 4]}, verbose=0)[:, 0]
    assert np.ptp(expected) > 1e-3
    np.testing.assert_allclose(got, expected, atol=1e-6)
