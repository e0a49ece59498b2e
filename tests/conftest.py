"""Quiet TensorFlow, few threads, equal seeds; nothing else happens behind a test's back."""

import os
import re

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "Agg")
# Whether a graph compiles is under test, not how fast it runs: a third less time to compile.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")

# tf2onnx copies its graph before each of its passes, to have it back if one fails: two fifths of an
# export. With this name set it makes no copies, and a pass that fails fails the test.
os.environ.setdefault("TF2ONNX_CATCH_ERRORS", "FALSE")

import keras
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, settings

from deeprec_tf import engine
from deeprec_tf.training import keep_freed_memory

# The workers of pytest-xdist share the machine: one thread each.
THREADS = 1 if os.environ.get("PYTEST_XDIST_WORKER") else 2
# The pages of a model of full size are not cleared anew in every step.
keep_freed_memory()
# On a GPU the compiler would round products to 10 bits; the twins of NumPy do not.
tf.config.experimental.enable_tensor_float_32_execution(False)
tf.config.threading.set_intra_op_parallelism_threads(THREADS)
tf.config.threading.set_inter_op_parallelism_threads(THREADS)

# Examples are derived from the test alone, so a red test is red again; no time limit, since the
# first example of a shape pays for tracing.
settings.register_profile(
    "suite", derandomize=True, deadline=None, max_examples=25, database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("suite")


def shared_scope(nodeid):
    """Tests of one scope share fixtures and so a worker: a file; of the contract, a model."""
    file, _, name = nodeid.partition("::")
    model = re.match(r"test_contract\[(\w+)", name)
    return f"{file}[{model[1]}]" if model else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Hands whole scopes to workers; xdist's own `loadgroup` has no effect under pytest 9.2."""
    from xdist.scheduler import LoadScopeScheduling

    class ByScope(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return shared_scope(nodeid)

    return ByScope(config, log)


@pytest.fixture(autouse=True)
def _same_start():
    """Every test starts from one seed and float32, and leaves the policy as it was."""
    keras.utils.set_random_seed(20)
    keras.config.set_dtype_policy("float32")
    yield
    keras.config.set_dtype_policy("float32")


@pytest.fixture(autouse=True, scope="module")
def _compiled_or_not(request):
    """The dense part is compiled, for seconds a model, only in modules that say COMPILED = True.

    The contract does, so every model is trained both ways; what else takes a few steps need not.
    """
    with pytest.MonkeyPatch.context() as patch:
        if not getattr(request.module, "COMPILED", False):
            patch.setattr(engine, "can_compile", lambda model: False)
        yield


@pytest.fixture(autouse=True, scope="module")
def _fresh_session():
    """Layer names and Keras's global graph start anew with every file."""
    keras.utils.clear_session(free_memory=False)
    yield
