"""The scripts of the accuracy benchmarks as modules."""

import importlib
import sys

import pytest

from tests.docs.markdown import ROOT

FOLDER = ROOT / "benchmarks" / "accuracy"


@pytest.fixture(scope="module")
def scripts():
    """Imports scripts of the folder, which import each other by bare names."""
    before = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        yield importlib.import_module
    for name in set(sys.modules) - before:
        if str(FOLDER) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
