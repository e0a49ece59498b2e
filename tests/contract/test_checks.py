"""Each check is proved: it passes a sound model and fails one that is broken on purpose."""

import importlib
import sys

import keras
import pytest

from deeprec_tf.layers import PredictionLayer
from tests.contract import broken
from tests.contract.broken import subject
from tests.contract.checks import CHECKS, FILES
from tests.contract.round_trip import load_all, save
from tests.contract.test_round_trip import check_round_trip


@pytest.fixture(scope="module")
def sound():
    return subject()


@pytest.mark.parametrize("check", [check for check in CHECKS if check not in ("docs", "xla")])
def test_sound_model_passes(check, sound, tmp_path):
    CHECKS[check](sound, *((tmp_path,) if check in FILES else ()))


class Bfloat16Head(keras.layers.Dense):
    def __init__(self):
        super().__init__(1, activation="sigmoid", name="probability")


def not_a_builder(*args, **kwargs):
    """Returns a plain Keras model.

    Args:
        args: anything.
    """
    inputs = keras.Input((1,), name="price")
    return keras.Model({"price": inputs}, keras.layers.Dense(1)(inputs))


def slow(*args, **kwargs):
    return broken.Small(*args, **{**kwargs, "optimizer": keras.optimizers.SGD(1e-5)})


BROKEN = [
    ("build", {"compile_it": False}, "not compiled"),
    ("build", {"head": Bfloat16Head}, "no PredictionLayer"),
    ("build", {"twist": broken.MaskedOutput, "head": lambda: _Masked()}, "carries a mask"),
    ("build", {"twist": broken.HostWeight}, "is int32"),
    ("gradient", {"twist": broken.Unread}, "extra has no gradient"),
    ("gradient", {"twist": broken.BiasUnderSoftmax}, "extra is zero"),
    ("padding", {"mask": False}, "longer padding, noise in row 0: output differs"),
    ("padding", {"last": broken.LossOverPadding}, "loss differs"),
    ("batch_order", {"twist": broken.BatchMean}, "alone: output differs"),
    ("inside", {"twist": broken.WeightsOfTheBatch}, "alone: twist: weights differs"),
    ("inside", {"twist": broken.NoWeights}, "weights is not finite"),
    ("seed", {"twist": broken.EntropyStart}, "start from different weights"),
    ("mixed_precision", {"head": Bfloat16Head}, "not float32"),
    ("mixed_precision", {"twist": broken.HalfPrecisionOverflow}, "losses are"),
    ("xla", {"twist": broken.NoJit}, "turned jit_compile off"),
    ("xla", {"twist": broken.OtherUnderXla}, "losses under XLA"),
    ("saved_model", {"twist": broken.OtherInGraph}, "SavedModel: probability differs"),
]


class _Masked(PredictionLayer):
    def compute_mask(self, logit, mask=None):
        return mask


@pytest.mark.parametrize(("check", "options", "message"), BROKEN)
def test_broken_model_fails(check, options, message, tmp_path):
    arguments = (tmp_path,) if check in FILES else ()
    with pytest.raises(AssertionError, match=message):
        CHECKS[check](subject(**options), *arguments)


def test_build_wants_a_rec_model():
    with pytest.raises(AssertionError, match="must return a RecModel"):
        CHECKS["build"](subject(not_a_builder))


def test_fit_wants_a_falling_loss():
    with pytest.raises(AssertionError, match="the loss went from"):
        CHECKS["fit"](subject(slow))


def test_xla_wants_a_graph_that_compiles():
    with pytest.raises(Exception, match="EagerPyFunc|PyFunc|XLA"):
        CHECKS["xla"](subject(twist=broken.PythonInGraph))


def test_onnx_wants_a_file_that_runs(tmp_path):
    with pytest.raises((AssertionError, ValueError), match="ONNX|PyFunc"):
        CHECKS["onnx"](subject(twist=broken.PythonInGraph), tmp_path)


def test_onnx_compares_the_answers(tmp_path, monkeypatch):
    import deeprec_tf.export.onnx_file as onnx_file

    monkeypatch.setattr(onnx_file, "_SMOKE_TOLERANCE", None)  # the exporter's own look is off
    with pytest.raises(AssertionError, match="ONNX: probability differs"):
        CHECKS["onnx"](subject(twist=broken.OtherInGraph), tmp_path)


def test_round_trip_notices(tmp_path):
    cases = {
        "sound": {},
        "unregistered": {"twist": broken.BatchMean},
        "lambda": {"twist": lambda: keras.layers.Lambda(lambda x: x * 2)},
    }
    saved = {label: save(subject(**options), label, tmp_path) for label, options in cases.items()}
    loaded, errors = load_all(tmp_path)
    check_round_trip("sound", saved["sound"], loaded, errors)
    for label in ("unregistered", "lambda"):
        with pytest.raises(AssertionError, match="loading failed"):
            check_round_trip(label, saved[label], loaded, errors)
    other = {**saved["sound"], "iterations": saved["sound"]["iterations"] + 1}
    with pytest.raises(AssertionError, match="iterations differs"):
        check_round_trip("sound", other, loaded, errors)
    moved = {**saved["sound"], "output": saved["sound"]["output"] + 1e-7}
    with pytest.raises(AssertionError, match="output differs"):
        check_round_trip("sound", moved, loaded, errors)


# ---- docs --------------------------------------------------------------------------------

COMPILE = "optimizer='adam', loss=None, metrics=None, jit_compile='auto', name='m'"
DOCS = '''
def Builder(feature_columns, *, units=4, {compile}):
    """Does a thing.

    Args:
        feature_columns: columns.
        units: width; default {default}.
        optimizer: one.
        loss: one.
        metrics: some.
        jit_compile: whether.
        name: name.

    Returns:
        A model.

    Raises:
        ValueError: never.

    Example:
        >>> 1 + 1
        {result}

    References:
        None.
    """
    return feature_columns, units, optimizer, loss, metrics, jit_compile, name
'''


def documented(tmp_path, monkeypatch, source=DOCS, *, default=4, result=2, change=("", "")):
    """Subject of a builder written to a module of its own, since the check reads its source."""
    text = source.format(compile=COMPILE, default=default, result=result).replace(*change)
    (tmp_path / "written_builder.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "written_builder", raising=False)
    importlib.invalidate_caches()
    return subject(importlib.import_module("written_builder").Builder)


def test_docs_pass(tmp_path, monkeypatch):
    CHECKS["docs"](documented(tmp_path, monkeypatch))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"default": 5}, "units defaults to 4, the docstring says 5"),
        ({"result": 3}, "Expected:"),
        ({"change": ("        units: width; default 4.\n", "")}, r"\['units'\] are not documented"),
        ({"change": ("        name: name.", "        name: name.\n        depth: none.")},
         r"\['depth'\] do not exist"),
        ({"change": ("units, optimizer, loss", "optimizer, loss")}, r"\['units'\] are never read"),
        ({"change": ("name='m'):", "name='m', **kwargs):")}, "swallow misspelt"),
        ({"change": ("metrics=None, ", "")}, "compile arguments"),
        ({"change": ("    Raises:", "    Raise:")}, "no section 'Raises:'"),
        ({"change": (">>> 1 + 1\n        2", "none")}, "no example"),
    ],
)
def test_docs_notice(tmp_path, monkeypatch, options, message):
    with pytest.raises(AssertionError, match=message):
        CHECKS["docs"](documented(tmp_path, monkeypatch, **options))
