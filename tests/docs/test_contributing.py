"""The steps of CONTRIBUTING.md work as they stand, in a copy of the repository."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from tests.docs.markdown import ROOT, blocks

GUIDE = ROOT / "CONTRIBUTING.md"
COPIED = ("deeprec_tf", "tests", "tools", "README.md", "setup.cfg", ".ruff.toml")
MODEL = "Logistic"


def _steps():
    return re.findall(r"^\*\*(\d)\. ", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)


def _run(folder, command):
    if command.startswith("python "):
        command = command.replace("python", sys.executable, 1)
    environment = {**os.environ, "PYTHONPATH": str(folder), "TF_CPP_MIN_LOG_LEVEL": "3"}
    # Each worker of the suite has one thread; so has what it starts.
    environment.pop("PYTEST_ADDOPTS", None)
    done = subprocess.run(
        command, shell=True, cwd=folder, env=environment, text=True, timeout=300,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )
    assert done.returncode == 0, f"$ {command}\n{done.stdout[-3000:]}"
    return done.stdout


def _add(path, line):
    """Writes an import line behind the other imports, and its name into `__all__`."""
    text = path.read_text(encoding="utf-8")
    name = line.rsplit(" ", 1)[-1].strip()
    last = [*re.finditer(r"^from .* import (\([^)]*\)|.*)\n", text, re.MULTILINE)][-1].end()
    text = text[:last] + line + text[last:]
    path.write_text(text.replace("__all__ = [", f'__all__ = ["{name}", ', 1), encoding="utf-8")


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the repository in which the files of the guide are written."""
    folder = tmp_path_factory.mktemp("copy")
    ignored = shutil.ignore_patterns("__pycache__")
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=ignored)
        else:
            shutil.copy(source, folder / name)
    for block in blocks(GUIDE, "python"):
        path = folder / block.title
        if path.exists():
            _add(path, block.text)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
    return folder


def _commands(program):
    lines = [line for block in blocks(GUIDE, "sh")[1:] for line in block.text.splitlines()]
    return [line for line in lines if program in line]


def test_there_are_at_most_five_steps():
    assert _steps() == ["1", "2", "3", "4", "5"]


def test_the_model_gets_its_row_in_the_readme(copy):
    (command,) = _commands("tools/")
    before = (copy / "README.md").read_text(encoding="utf-8")
    _run(copy, command)
    after = (copy / "README.md").read_text(encoding="utf-8")
    assert MODEL not in before and MODEL in after


def test_the_models_own_test_and_a_contract_check_pass(copy):
    own, contract = _commands("-m pytest")
    path = own.split()[-1]
    assert (copy / path).is_file()
    *words, chosen = contract.split()
    assert words[-2:] == ["tests/contract", "-k"] and chosen == MODEL
    # Two of the contract's checks stand for all.
    path = f"{path} tests/contract/test_contract.py"
    chosen = "(test_logistic and sigmoid) or (Logistic and (docs or gradient))"
    said = _run(copy, f"python -m pytest -n 0 {path} -k '{chosen}'")
    assert "3 passed" in said, said


def test_the_guides_code_is_clean(copy):
    ruff = shutil.which("ruff", path=os.path.dirname(sys.executable)) or shutil.which("ruff")
    if ruff is None:
        pytest.skip("ruff is not installed; CI lints the guide's code")
    titles = [block.title for block in blocks(GUIDE, "python") if "__init__" not in block.title]
    _run(copy, f"{ruff} check --config {ROOT / '.ruff.toml'} {' '.join(titles)}")
