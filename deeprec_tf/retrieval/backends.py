"""The back-ends by name."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from deeprec_tf.retrieval.backend import Backend
from deeprec_tf.retrieval.faiss_backend import Faiss
from deeprec_tf.retrieval.scann_backend import Scann
from deeprec_tf.retrieval.tfrs_backend import Tfrs

BACKENDS: dict[str, type[Backend]] = {kind.name: kind for kind in (Faiss, Scann, Tfrs)}


def backend_of(backend: str | Backend | None) -> Backend | None:
    """A new back-end, of a name or with the options of a given one; None for "exact".

    Raises:
        TypeError: the class of the given one is no dataclass.
        ValueError: there is none of this name.
    """
    if isinstance(backend, Backend):
        if not dataclasses.is_dataclass(backend):
            raise TypeError(
                f"ItemIndex: the back-end {type(backend).__name__} must be a dataclass, whose "
                "fields are its options. Decorate it with @dataclass."
            )
        # Each index has its own: building a second must not change what the first finds.
        return dataclasses.replace(backend)
    if backend is None:
        return None
    return backend_named(backend, {})


def backend_named(name: str, options: dict[str, Any]) -> Backend | None:
    """The back-end of a name with options; None for "exact".

    Raises:
        ValueError: there is none of this name.
    """
    if name == "exact":
        return None
    if name not in BACKENDS:
        raise ValueError(
            f"ItemIndex: backend must be one of {['exact', *BACKENDS]} or a back-end with "
            f"options, got {name!r}."
        )
    return BACKENDS[name](**options)


def backend_saved(
    path: Path, name: str, options: dict[str, Any], given: Backend | None
) -> Backend | None:
    """The back-end of a saved index: the given one, or the package's of this name.

    Raises:
        TypeError: the given one is none.
        ValueError: the name is none of the package's, or the given one is not what was saved.
    """
    if given is None:
        if name != "exact" and name not in BACKENDS:
            raise ValueError(
                f"ItemIndex: {path} was saved with a back-end of one's own, {name!r}. Give it with "
                f"the options {options}: ItemIndex.load(path, backend)."
            )
        return backend_named(name, options)
    if not isinstance(given, Backend):
        raise TypeError(f"ItemIndex: load takes a back-end with its options, got {given!r}.")
    # Through JSON as the saved ones went: a tuple is a list there.
    if given.name != name or json.loads(json.dumps(given.options())) != options:
        raise ValueError(
            f"ItemIndex: {path} was saved with {name!r} and the options {options}, got {given!r}. "
            "Give the same, or build the index anew."
        )
    return given
