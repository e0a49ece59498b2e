"""Batches that a user's own Python makes: each is checked as arrays are."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras


def is_source(x: Any) -> bool:
    """Whether Keras reads its batches from Python: a `PyDataset` or a generator."""
    return isinstance(x, keras.utils.PyDataset | types.GeneratorType)


def checked_source(
    owner: str, source: Any, checked: Callable[[Any], Any], feature_columns: Iterable[Any]
) -> Any:
    """The same source, every batch as `checked` returns it.

    Raises:
        ValueError: batches with texts would come from other processes.
    """
    text = next((c.name for c in feature_columns if getattr(c, "dtype", "") == "string"), None)
    if text is not None and getattr(source, "use_multiprocessing", False):
        raise ValueError(
            f"{owner}: use_multiprocessing=True, but TensorFlow cannot hash the texts of {text!r} "
            "in another process. Leave it out: workers are threads then."
        )
    if isinstance(source, keras.utils.PyDataset):
        return _CheckedBatches(source, checked)
    return _checked_batches(source, checked)


def _checked_batches(batches: Iterator[Any], checked: Callable[[Any], Any]) -> Iterator[Any]:
    for batch in batches:
        yield checked(batch)


class _CheckedBatches(keras.utils.PyDataset):
    """The batches of another `PyDataset`, read by as many workers."""

    def __init__(self, source: Any, checked: Callable[[Any], Any]) -> None:
        super().__init__(
            workers=source.workers, use_multiprocessing=source.use_multiprocessing,
            max_queue_size=source.max_queue_size,
        )
        self._source, self._checked = source, checked

    @property
    def num_batches(self) -> int | None:
        """Batches of an epoch; None where they never end."""
        return self._source.num_batches

    def __getitem__(self, index: int) -> Any:
        return self._checked(self._source[index])

    def on_epoch_begin(self) -> None:
        """As the source has it."""
        self._source.on_epoch_begin()

    def on_epoch_end(self) -> None:
        """As the source has it."""
        self._source.on_epoch_end()
