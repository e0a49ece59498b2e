from functools import cache

import pytest

from deeprec_tf.export import export_onnx, export_saved_model
from tests.export import samples


@pytest.fixture(scope="package")
def sample():
    """Models by name, built once; tests only read them."""
    return cache(lambda name, *arguments: getattr(samples, name)(*arguments))


@pytest.fixture(scope="package")
def saved(sample, tmp_path_factory):
    """Version folder of a model's SavedModel, written once."""
    return cache(
        lambda *name: export_saved_model(sample(*name), tmp_path_factory.mktemp("saved"))
    )


@pytest.fixture(scope="package")
def onnx_of(sample, tmp_path_factory):
    """ONNX file of a model, written once."""
    return cache(
        lambda *name: export_onnx(sample(*name), tmp_path_factory.mktemp("onnx") / "model.onnx")
    )
