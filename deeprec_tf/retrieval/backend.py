"""What a search library must do for `ItemIndex`."""

from __future__ import annotations

import dataclasses
import operator
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np


class Backend(ABC):
    """Proposes items for query vectors; `ItemIndex` scores them exactly and filters.

    Subclasses are dataclasses; the fields that `__init__` takes are the options, and `name` is
    what a saved index calls the back-end.
    """

    name: ClassVar[str]

    def options(self) -> dict[str, Any]:
        """The options by name, as JSON takes them."""
        fields = dataclasses.fields(self)  # type: ignore[arg-type]
        return {field.name: getattr(self, field.name) for field in fields if field.init}

    @abstractmethod
    def build(self, vectors: np.ndarray) -> None:
        """Takes the items' vectors, float32 (V, D)."""

    @abstractmethod
    def candidates(self, queries: np.ndarray, k: int) -> np.ndarray:
        """Positions (N, k) of the items nearest to queries (N, D) by inner product; -1: none."""

    def save(self, folder: Path) -> None:
        """Writes what `load` needs beyond the vectors; here nothing."""
        return

    def load(self, folder: Path, vectors: np.ndarray) -> None:
        """Is again what was saved; here by building anew."""
        self.build(vectors)


def check_kind(backend: Any, kinds: Sequence[str]) -> None:
    """Raises ValueError where `backend.kind` is none of the kinds."""
    if backend.kind not in kinds:
        raise ValueError(
            f"{type(backend).__name__}: kind must be one of {list(kinds)}, got {backend.kind!r}."
        )


def check_positive(backend: Any, names: Sequence[str]) -> None:
    """Makes options integers of Python, which libraries and JSON ask for; None stays.

    Raises:
        ValueError: one is neither None nor a whole number of at least 1.
    """
    for name in names:
        value = getattr(backend, name)
        if value is None:
            continue
        if isinstance(value, bool) or not hasattr(value, "__index__") or value < 1:
            raise ValueError(
                f"{type(backend).__name__}: {name} must be a whole number of at least 1, got "
                f"{value!r}."
            )
        setattr(backend, name, operator.index(value))
