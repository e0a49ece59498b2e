"""What must be kept of a callback so that it goes on where it stopped."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

# Attributes that `fit` changes, by class; the rest is configuration, which the caller gives anew.
_FIELDS = {
    keras.callbacks.EarlyStopping: (
        "wait", "stopped_epoch", "best", "best_epoch", "best_weights",
    ),
    keras.callbacks.ReduceLROnPlateau: ("wait", "best", "cooldown_counter"),
    keras.callbacks.ModelCheckpoint: (
        "best", "_current_epoch", "_batches_seen_since_last_saving", "_last_batch_seen",
    ),
}  # fmt: skip


def check(callback: Any) -> None:
    """Refuses a callback whose state can't be read."""
    if _fields(callback) is None and not (
        hasattr(callback, "get_state") and hasattr(callback, "set_state")
    ):
        known = ", ".join(kind.__name__ for kind in _FIELDS)
        raise ValueError(
            f"BackupAndRestore: what {type(callback).__name__} must keep is unknown; known are "
            f"{known}. Give it the methods get_state() -> dict of numbers, strings and lists of "
            "arrays, and set_state(dict); or leave it out of callbacks= when it keeps nothing."
        )


def read(callback: Any) -> tuple[dict[str, Any], dict[str, list[np.ndarray]]]:
    """The callback's state: plain values by name, and lists of arrays by name."""
    fields = _fields(callback)
    if fields is None:
        state = callback.get_state()
    else:
        state = {name: getattr(callback, name) for name in fields if hasattr(callback, name)}
    values, arrays = {}, {}
    for name, value in state.items():
        if isinstance(value, list | tuple) and any(isinstance(v, np.ndarray) for v in value):
            arrays[name] = list(value)
        else:
            values[name] = plain(value)
    return values, arrays


def write(callback: Any, state: dict[str, Any]) -> None:
    """Gives the callback its state back."""
    if _fields(callback) is None:
        callback.set_state(state)
    else:
        for name, value in state.items():
            setattr(callback, name, value)


def _fields(callback):
    for kind, fields in _FIELDS.items():
        if isinstance(callback, kind):
            return fields
    return None


def plain(value):
    """A number, also of NumPy or in a tensor, as Python's own, which JSON keeps to the last bit."""
    if keras.ops.is_tensor(value) or isinstance(value, keras.Variable):
        value = keras.ops.convert_to_numpy(value)
    if isinstance(value, np.generic | np.ndarray):
        return value.item() if value.size == 1 else value.tolist()
    return value
