"""Loads TensorFlow without the lines it writes to stderr about itself."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType


def import_quietly(module: str) -> ModuleType:
    """Imports a module that imports TensorFlow.

    A value of `TF_CPP_MIN_LOG_LEVEL` that the user set is left as it is; 0 shows everything.
    """
    if os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") == "0":
        return import_module(module)
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    # TensorFlow logs past the level, from C++, until its first op has started everything.
    with _stderr_closed():
        loaded = import_module(module)
        import_module("keras").ops.zeros(1)
        return loaded


@contextmanager
def _stderr_closed() -> Iterator[None]:
    sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # there is no stderr
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
