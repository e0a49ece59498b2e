"""The rules of the house, read from source files with `ast`.

Every function takes the root of a source tree and returns problems as
"file:line: what is wrong". `tests/test_architecture.py` runs them on the package and on broken
snippets.
"""

import ast
import sys
from pathlib import Path

PACKAGE = "deeprec_tf"
NUMERIC = {"keras", "numpy"}
CORE = {"features", "numeric", "batches", "graph", "array_dataset", "registry", "tasks", "inputs",
        "layers", "losses", "metrics", "optimizers", "engine", "string_keys", "roles", "labels",
        "tables", "dense_part", "input_path", "interactions", "text", "candidates", "recall",
        "item_side", "recall_loss", "sequence_recall", "graph_recall", "settled", "multitask",
        "task_kinds", "task_losses", "task_gradients", "identifiers", "generative",
        "code_models", "text_items", "dataset_guards", "model_input", "batch_sources",
        "reads"}  # fmt: skip
ABOVE_MODELS = CORE | {"data", "training", "evaluation", "export", "retrieval"}

# For each module: which of our modules (dotted: only what is below) and which third parties it
# may import anywhere, and which third parties inside functions only. The standard library is
# always free.
RULES = {
    "features": (set(), set(), set()),
    "registry": (set(), set(), set()),
    "numeric": (set(), {"numpy"}, set()),
    "batches": ({"features", "numeric"}, {"numpy"}, set()),
    "string_keys": (set(), {"numpy", "tensorflow"}, set()),
    "model_input": ({"string_keys"}, {"tensorflow"}, set()),
    "asides": (set(), {"keras"}, set()),
    "array_dataset": (set(), {"numpy", "tensorflow"}, set()),
    "layers": ({"layers", "numeric"}, NUMERIC, set()),
    "losses": ({"layers"}, NUMERIC, set()),
    "metrics": ({"metrics"}, NUMERIC, set()),
    "optimizers": ({"optimizers"}, NUMERIC | {"tensorflow"}, set()),
    "graph": ({"layers", "features"}, NUMERIC, set()),
    "dataset_guards": ({"batches", "features", "labels"}, {"tensorflow"}, set()),
    "reads": ({"asides", "features", "graph"}, set(), set()),
    "input_path": (
        {"batches", "array_dataset", "features", "string_keys", "labels", "dataset_guards",
         "model_input", "batch_sources", "reads"},
        NUMERIC | {"tensorflow"}, set(),
    ),
    "batch_sources": (set(), {"keras"}, set()),
    "engine": (
        {"batch_sources", "reads", "optimizers", "features", "graph", "array_dataset", "input_path",
         "labels", "dense_part", "settled", "layers.core.prediction", "task_losses", "task_kinds"},
        NUMERIC | {"tensorflow"}, set(),
    ),
    "task_kinds": ({"labels"}, NUMERIC, set()),
    "task_losses": (
        {"labels", "layers.multitask.loss_balance", "metrics", "task_kinds"},
        NUMERIC | {"tensorflow"}, set(),
    ),
    "task_gradients": ({"optimizers.rows", "task_losses"}, {"tensorflow"}, set()),
    "tasks": ({"engine", "layers.core.prediction", "task_kinds"}, NUMERIC, set()),
    "multitask": (
        {"engine", "features", "graph", "inputs", "layers", "task_kinds", "tasks"}, NUMERIC, set(),
    ),
    "tables": ({"features", "layers"}, NUMERIC, set()),
    "inputs": ({"features", "layers", "tables"}, NUMERIC, set()),
    "candidates": ({"numeric"}, set(), set()),
    "recall": (
        {"features", "roles", "inputs", "layers", "losses", "candidates", "engine", "item_side",
         "numeric", "recall_loss", "multitask", "task_kinds"},
        NUMERIC, set(),
    ),
    "recall_loss": ({"layers", "losses", "candidates", "engine"}, NUMERIC, set()),
    "item_side": ({"features", "batches", "inputs", "tables", "layers", "roles"}, NUMERIC, set()),
    "sequence_recall": ({"item_side", "layers"}, NUMERIC, set()),
    "generative": ({"roles"}, set(), set()),
    "text_items": (
        {"features", "inputs", "item_side", "layers", "sequence_recall", "text"}, NUMERIC, set(),
    ),
    "graph_recall": ({"features", "inputs", "item_side", "layers", "tables"}, NUMERIC, set()),
    "settled": (
        {"asides", "graph", "layers.retrieval.graph_propagation",
         "layers.retrieval.propagated_embedding"},
        {"keras", "tensorflow"}, set(),
    ),
    "interactions": ({"features", "inputs", "layers"}, NUMERIC, set()),
    "dense_part": (
        {"layers.core.table_embedding", "optimizers.rows", "task_gradients"},
        NUMERIC | {"tensorflow"}, set(),
    ),
    "code_models": ({"identifiers"}, {"numpy"}, set()),
    "identifiers": ({"identifiers", "layers", "numeric"}, NUMERIC, set()),
    "roles": ({"features"}, set(), set()),
    "labels": ({"numeric"}, {"numpy"}, set()),
    "text": ({"features", "layers.text"}, {"keras"}, {"keras_hub"}),
    "models": (CORE | {"models"}, NUMERIC, set()),
    "data": (
        {"features", "data", "numeric", "string_keys", "text"}, NUMERIC | {"pandas"},
        {"tensorflow", "pyarrow"},
    ),
    "training": (ABOVE_MODELS, NUMERIC | {"tensorflow", "pandas"}, set()),
    "evaluation": (
        ABOVE_MODELS | {"figure_style"}, NUMERIC | {"tensorflow", "pandas"}, {"matplotlib"},
    ),
    "figure_style": (set(), set(), set()),
    "export": (
        ABOVE_MODELS, NUMERIC | {"tensorflow", "pandas"}, {"tf2onnx", "onnx", "onnxruntime"},
    ),
    "retrieval": (
        ABOVE_MODELS, NUMERIC | {"tensorflow", "pandas"},
        {"faiss", "tensorflow_recommenders", "scann"},
    ),
    "__main__": ({"cli"}, set(), set()),
    "cli": (
        ABOVE_MODELS | {"models", "cli", "figure_style", "__version__"},
        NUMERIC | {"tensorflow", "pandas"}, {"matplotlib"},
    ),
    "__init__": (CORE | {"models", "data"}, set(), set()),
}
# Raw TensorFlow in layers: the table, and kernels that stand beside a readable form.
TENSORFLOW_LAYERS = ("layers/core/table_embedding.py",)
KERNELS = "_kernels.py"

MOST_LINES, MOST_LAYER_LINES = 400, 200


def sources(root):
    """(path, path below the package, tree) of every module of the package, in order."""
    for path in sorted((root / PACKAGE).rglob("*.py")):
        yield path, path.relative_to(root / PACKAGE).as_posix(), ast.parse(path.read_text())


def _problem(root, path, line, text):
    return f"{path.relative_to(root).as_posix()}:{line}: {text}"


# ---- imports -----------------------------------------------------------------------------


def import_problems(root):
    """Imports that the table of modules does not allow."""
    problems = []
    for path, name, tree in sources(root):
        module = name.split("/")[0].removesuffix(".py")
        if module not in RULES:
            text = f"module {module!r} stands in no row of the import table"
            problems.append(_problem(root, path, 1, text))
            continue
        for line, target, is_lazy in _imports(tree, path, root):
            broken = _broken_rule(module, name, target, is_lazy)
            if broken:
                problems.append(_problem(root, path, line, f"imports {target}: {broken}"))
    return problems


def _imports(tree, path, root):
    """(line, dotted name, whether inside a function) of every import."""
    lazy = {
        id(child)
        for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name, id(node) in lazy
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = path.relative_to(root).with_suffix("").parts[: -node.level]
                base = ".".join([*package, *([base] if base else [])])
            if base == PACKAGE:  # from deeprec_tf import x names the module x
                yield from ((node.lineno, f"{base}.{a.name}", id(node) in lazy) for a in node.names)
            else:
                yield node.lineno, base, id(node) in lazy


def _broken_rule(module, name, target, is_lazy):
    ours, free, inside = RULES[module]
    first, *rest = target.split(".")
    if first == PACKAGE:
        if not rest:
            return f"{module} must import the module it means, not the package"
        if not any(f"{'.'.join(rest)}.".startswith(f"{own}.") for own in ours | {module}):
            return f"{module} may import {sorted(ours) or 'none of our modules'}"
        if module == rest[0] == "layers":
            return _broken_layer_rule(name, rest)
        if module == rest[0] == "models":
            return _broken_model_rule(name, rest)
        return None
    if first in sys.stdlib_module_names:
        return None
    if target.startswith("tensorflow.python"):
        return "tensorflow.python is private"
    if module == "layers" and first == "tensorflow":
        if name in TENSORFLOW_LAYERS or name.endswith(KERNELS):
            return None
        return f"raw TensorFlow only in {TENSORFLOW_LAYERS} and layers/*/{KERNELS}"
    if first in free:
        return None
    if first in inside:
        return None if is_lazy else f"{first} is optional here: import it inside the function"
    return f"{module} may import {sorted(free | inside) or 'the standard library only'}"


def _broken_layer_rule(name, rest):
    folders = name.split("/")
    if len(folders) < 3:  # layers/__init__.py names them all
        return None
    if len(rest) < 2 or rest[1] not in ("core", folders[1]):
        return f"layers/{folders[1]} may import layers.core and its own folder"
    return None


def _broken_model_rule(name, rest):
    is_builder = not name.endswith("__init__.py")
    return "another model never: share a layer instead" if is_builder else None


# ---- words that are not used -------------------------------------------------------------

_CALLS = {
    "print": "print belongs to the command line; raise, return or warn",
    "Lambda": "Lambda layers can't be loaded safely; write a layer",
    "get_session": "there are no sessions in TensorFlow 2",
    "InteractiveSession": "there are no sessions in TensorFlow 2",
}


def word_problems(root):
    """Calls and constructs that the house does without."""
    problems = []
    for path, name, tree in sources(root):
        for node in ast.walk(tree):
            text = _broken_word(name, node)
            if text:
                problems.append(_problem(root, path, node.lineno, text))
    return problems


def _broken_word(name, node):
    if isinstance(node, ast.Call):
        called = getattr(node.func, "id", getattr(node.func, "attr", None))
        if called == "print" and name.startswith("cli/"):
            return None
        return _CALLS.get(called)
    if isinstance(node, ast.ExceptHandler) and node.type is None:
        return "a bare except hides every error; name the exception"
    if isinstance(node, ast.Assert):
        return "assert vanishes under python -O; raise ValueError or TypeError"
    if isinstance(node, ast.Attribute) and node.attr == "keras":
        if isinstance(node.value, ast.Name) and node.value.id == "tf":
            return "tf.keras is another package at times; import keras"
    return None


# ---- layout ------------------------------------------------------------------------------


def size_problems(root):
    """Files that are too long to read, and drawers for odds and ends."""
    problems = []
    for path, name, _ in sources(root):
        lines = len(path.read_text().splitlines())
        # The list of all layers grows with them.
        is_layer = name.startswith("layers/") and name != "layers/__init__.py"
        most = MOST_LAYER_LINES if is_layer else MOST_LINES
        if lines > most:
            problems.append(_problem(root, path, lines, f"{lines} lines, at most {most}"))
        if path.stem in ("utils", "util", "helpers", "misc", "common"):
            text = f"{path.name} says nothing; name the file after what is in it"
            problems.append(_problem(root, path, 1, text))
    return problems


def builder_files(root):
    """Dict from (family, file stem) to path, of every file that should hold one builder."""
    return {
        (path.parent.name, path.stem): path
        for path in sorted((root / PACKAGE / "models").glob("*/*.py"))
        if not path.stem.startswith("_")
    }


def layout_problems(root, cards):
    """Builder files, registry and tests that do not go together."""
    problems = []
    files = builder_files(root)
    homes = {}
    for card in cards:
        module = card.builder.__module__.split(".")
        homes.setdefault((module[-2], module[-1]), []).append(card.name)
        if module[-2] != card.family:
            text = f"{card.name} is registered as {card.family!r}"
            problems.append(f"{'/'.join(module)}.py:1: {text}")
    for (family, stem), path in files.items():
        names = homes.get((family, stem), [])
        if len(names) != 1:
            text = f"holds {len(names)} registered models {names}, not one"
            problems.append(_problem(root, path, 1, text))
        if not (root / "tests" / "models" / family / f"test_{stem}.py").is_file():
            text = f"has no test tests/models/{family}/test_{stem}.py"
            problems.append(_problem(root, path, 1, text))
    return problems


def layer_problems(root):
    """Layer files must hold one registered public layer, named in layers/__init__.py."""
    problems = []
    exported = (root / PACKAGE / "layers" / "__init__.py").read_text()
    for path, name, tree in sources(root):
        if not name.startswith("layers/") or path.stem == "__init__" or path.stem.startswith("_"):
            continue
        for node in tree.body:
            if not isinstance(node, ast.ClassDef) or node.name.startswith("_"):
                continue
            decorated = any("register_keras_serializable" in ast.dump(d)
                            for d in node.decorator_list)  # fmt: skip
            if f'"{node.name}"' in exported and not decorated:
                text = f"{node.name} is public but not registered as serializable"
                problems.append(_problem(root, path, node.lineno, text))
            if decorated and f'"{node.name}"' not in exported:
                text = f"{node.name} is registered but not named in layers/__init__.py"
                problems.append(_problem(root, path, node.lineno, text))
    return problems


def repository_root():
    """The folder that holds the package and the tests."""
    return Path(__file__).parents[1]
