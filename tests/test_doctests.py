"""Every example in a docstring runs; every public docstring says what its signature says."""

import doctest
import importlib
import inspect
import pkgutil

import keras
import numpy as np
import pytest

import deeprec_tf
from deeprec_tf import layers
from tests.docstrings import argument_problems, documented_arguments

MODULES = [
    name for _, name, _ in pkgutil.walk_packages(deeprec_tf.__path__, "deeprec_tf.")
    if not name.endswith("__main__")
]


def public_functions():
    """Public functions and classes by their full name, each in the module that defines it."""
    found = {}
    for module_name in MODULES:
        module = importlib.import_module(module_name)
        for name, thing in vars(module).items():
            is_ours = getattr(thing, "__module__", None) == module_name
            if is_ours and not name.startswith("_") and inspect.isroutine(thing):
                found[f"{module_name}.{name}"] = thing
            elif is_ours and not name.startswith("_") and inspect.isclass(thing):
                found[f"{module_name}.{name}"] = thing
    return found


PUBLIC = public_functions()


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    module = importlib.import_module(name)
    names = {"keras": keras, "np": np}
    names |= {key: getattr(deeprec_tf, key) for key in deeprec_tf.__all__}
    names |= {key: getattr(layers, key) for key in layers.__all__} | vars(module)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    report = []
    for test in doctest.DocTestFinder().find(module, globs=names):
        runner.run(test, out=report.append)
    assert not runner.failures, "".join(report)


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_docstring_says_what_the_signature_says(name):
    thing = PUBLIC[name]
    assert thing.__doc__, f"{name} has no docstring"
    if documented_arguments(thing.__doc__) is not None:
        assert argument_problems(thing) == []


def test_layers_document_what_they_are_called_with():
    for name in layers.__all__:
        thing = getattr(layers, name)
        if inspect.isclass(thing) and issubclass(thing, keras.layers.Layer):
            documented = documented_arguments(thing.__doc__, "Call arguments")
            assert documented, f"{name} has no section 'Call arguments'"
            taken = inspect.signature(thing.call).parameters
            unknown = [argument for argument in documented if argument not in taken]
            assert not unknown, f"{name}.call takes no {unknown}"
