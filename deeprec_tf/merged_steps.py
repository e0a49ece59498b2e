"""Several training steps in one call of the compiled function, where nobody looks between them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import keras

if TYPE_CHECKING:
    Model = keras.Model
else:
    Model = object

# A call from Python costs about a millisecond, as much as a small batch's arithmetic does.
_MOST_STEPS = 8
_ROWS_A_CALL = 8192
_HOOKS = ("on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end")
_FUNCTIONS = ("train_function", "test_function", "predict_function")


class MergedSteps(Model):
    """Sets Keras's `steps_per_execution` for one `fit`; a part of `RecModel`."""

    _kept_functions: dict[int, tuple[Any, ...]]
    _merges_steps = False

    def _steps_of_a_call(self, batch_size: int, callbacks: Any) -> int:
        """How many steps one call takes: several of small batches, if no callback sees batches.

        `steps_per_execution` of `compile`, where it is not 1, is kept.
        """
        fixed = self.steps_per_execution != 1 or self.run_eagerly
        if fixed or self._distribute_strategy is not None:
            return int(self.steps_per_execution)
        if isinstance(callbacks, keras.callbacks.CallbackList):
            callbacks = callbacks.callbacks
        if any(map(_looks_at_batches, keras.tree.flatten(callbacks or ()))):
            return 1
        return max(1, min(_MOST_STEPS, _ROWS_A_CALL // batch_size))

    @contextlib.contextmanager
    def _steps_per_call(self, steps: int) -> Iterator[None]:
        """Within it, Keras's functions are those for so many steps a call; they are kept."""
        before = self.steps_per_execution
        if steps == before:
            yield
            return
        merged = self._merges_steps
        self._swap_functions(before, steps)
        self._merges_steps = steps > 1
        try:
            yield
        finally:
            self._swap_functions(steps, before)
            self._merges_steps = merged

    def _swap_functions(self, old: int, new: int) -> None:
        kept = self._kept_functions
        kept[old] = tuple(getattr(self, name) for name in _FUNCTIONS)
        for name, function in zip(_FUNCTIONS, kept.get(new, (None,) * 3), strict=True):
            setattr(self, name, function)
        self.steps_per_execution = new


def _looks_at_batches(callback: Any) -> bool:
    return any(
        name in vars(callback)
        or getattr(type(callback), name) is not getattr(keras.callbacks.Callback, name)
        for name in _HOOKS
    )
