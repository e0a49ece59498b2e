import subprocess
import sys
from pathlib import Path

import pytest

import deeprec_tf.data as data


def test_every_public_name_resolves_to_what_it_says():
    for name in data.__all__:
        assert getattr(data, name).__name__ == name


def test_the_static_imports_name_the_same_things():
    lines = Path(data.__file__).read_text(encoding="utf-8").splitlines()
    static = {line.split(" as ")[1] for line in lines if line.startswith("    from ")}
    assert static == set(data.__all__)


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = data.nonsense


def test_importing_does_no_work():
    code = (
        "import importlib.util, sys\n"
        f"spec = importlib.util.spec_from_file_location('data', {data.__file__!r})\n"
        "spec.loader.exec_module(importlib.util.module_from_spec(spec))\n"
        "sys.exit(', '.join({'numpy', 'pandas', 'keras', 'tensorflow'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
