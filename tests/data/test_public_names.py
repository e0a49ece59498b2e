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


def test_importing_the_package_loads_none_of_its_modules():
    code = (
        "import sys, deeprec_tf.data as d; before = set(sys.modules); "
        "bad = [m for m in before if m.startswith('deeprec_tf.data.') or m == 'pyarrow.parquet'];"
        "sys.exit(', '.join(bad) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
