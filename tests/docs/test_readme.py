"""What the README promises about commands, models and extras is so."""

import configparser
import re

from deeprec_tf import list_models
from tests.docs.markdown import ROOT, blocks

README = (ROOT / "README.md").read_text(encoding="utf-8")
SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg")


def test_the_two_commands_stand_there_once():
    lines = [line for block in blocks(ROOT / "README.md", "sh") for line in block.text.splitlines()]
    assert [line for line in lines if "[demo]" in line] == [
        'pip install ".[demo]" && python -m deeprec_tf demo'
    ]
    (test,) = [line for line in lines if "[test]" in line]
    assert test.startswith('pip install ".[test]" && python -m pytest')


def test_the_quick_start_is_ten_statements():
    quick_start = blocks(ROOT / "README.md", "python")[0]
    assert "DIEN" in quick_start.text
    code = [line for line in quick_start.text.splitlines() if line and "import" not in line]
    assert len(code) <= 10


def test_every_model_has_its_row():
    table = README.partition("<!-- models -->")[2].partition("<!-- /models -->")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list_models()


def test_extras_are_those_of_the_package():
    table = README.partition("| extra | for |")[2].partition("\n\n")[0]
    named = set(re.findall(r"`(\w+)`", "\n".join(re.findall(r"^\| (.*?) \|", table, re.MULTILINE))))
    assert named == set(SETUP["options.extras_require"])


def test_versions_are_those_of_the_package():
    assert "Python 3.11 to 3.13, TensorFlow 2.19 to 2.21, Keras 3.12" in README
    assert SETUP["options"]["python_requires"] == ">=3.11,<3.14"
    needed = SETUP["options"]["install_requires"]
    assert "tensorflow>=2.19,<2.22" in needed and "keras>=3.12,<4" in needed


def test_the_terms_of_the_data_are_said():
    for name in ("README.md", "NOTICE"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert "GroupLens" in text and "commercial" in text
    assert "deeprec_tf/data/movielens" in README


def test_constraints_pin_what_is_required():
    pinned = re.findall(r"^([\w-]+)==", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    required = re.findall(r"^([\w-]+)", SETUP["options"]["install_requires"], re.MULTILINE)
    assert set(required) <= set(pinned)
