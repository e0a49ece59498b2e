"""The back-ends by name."""

from __future__ import annotations

from typing import Any

from deeprec_tf.retrieval.backend import Backend
from deeprec_tf.retrieval.faiss_backend import Faiss
from deeprec_tf.retrieval.scann_backend import Scann
from deeprec_tf.retrieval.tfrs_backend import Tfrs

BACKENDS: dict[str, type[Backend]] = {kind.name: kind for kind in (Faiss, Scann, Tfrs)}


def backend_of(backend: str | Backend | None) -> Backend | None:
    """The back-end of a name, with its default options; None for "exact".

    Raises:
        ValueError: there is none of this name.
    """
    if backend is None or isinstance(backend, Backend):
        return backend
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
