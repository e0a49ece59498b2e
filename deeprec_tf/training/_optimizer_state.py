"""An optimizer's state in a model whose variables have grown."""

from __future__ import annotations

import collections
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from deeprec_tf.optimizers.build_optimizer import build_optimizer
from deeprec_tf.training._row_moves import Move

_NO_SLOTS = ("_variables", "_trainable_variables", "_inner_optimizers")
_AVERAGES = "_model_variables_moving_average"


def move_state(model: keras.Model, trained: keras.Model, moves: Sequence[Move]) -> str:
    """Brings step count, learning rate and the slots of moved variables over.

    Args:
        model: the model whose optimizer takes the state.
        trained: the older model.
        moves: what came over of the variables.

    Returns:
        What became of the state, in words.
    """
    new, old = getattr(model, "optimizer", None), getattr(trained, "optimizer", None)
    if new is None:
        return f"none: {model.name} is not compiled"
    if old is None or not old.built:
        return f"fresh: {trained.name} has none"
    kinds = [[type(part).__name__ for part in _parts(optimizer)] for optimizer in (new, old)]
    if kinds[0] != kinds[1]:
        return f"fresh: {' '.join(kinds[0])} here, {' '.join(kinds[1])} there"
    build_optimizer(model)
    for part, old_part in zip(_parts(new), _parts(old), strict=True):
        _move_slots(part, old_part, moves)
        for name, variable in vars(part).items():  # steps, learning rate, loss scale
            other = vars(old_part).get(name)
            if _is_variable(variable) and _is_variable(other) and variable.shape == other.shape:
                variable.assign(np.array(other))
    return f"{' '.join(kinds[0])}, {int(np.array(new.iterations))} steps"


def _parts(optimizer: Any) -> list[Any]:
    """The optimizer and those inside it."""
    inner = getattr(optimizer, "_inner_optimizers", None)
    if inner is None:
        inner = [optimizer.inner_optimizer] if hasattr(optimizer, "inner_optimizer") else []
    return [optimizer, *(part for one in inner for part in _parts(one))]


def _is_variable(thing: Any) -> bool:
    return isinstance(thing, keras.Variable)


def _slots(part: Any) -> dict[str, list[Any]]:
    """Lists of variables, one for each that is trained, by the attribute that holds them."""
    count = len(part._trainable_variables)
    return {
        name: list(value)
        for name, value in vars(part).items()
        if isinstance(value, list) and len(value) == count and name not in _NO_SLOTS
        and any(map(_is_variable, value))
        and all(one is None or _is_variable(one) for one in value)
    }  # fmt: skip


def _move_slots(new: Any, old: Any, moves: Sequence[Move]) -> None:
    of_variable = collections.defaultdict(list)
    for move in moves:
        of_variable[id(move.new)].append(move)
    old_slots = _slots(old)
    for name, slots in _slots(new).items():
        older = dict(zip(map(id, old._trainable_variables), old_slots.get(name, ()), strict=False))
        for variable, slot in zip(new._trainable_variables, slots, strict=True):
            parts = [
                (move, older[id(move.old)])
                for move in of_variable[id(variable)]
                if older.get(id(move.old)) is not None
            ]
            if slot is not None and (parts or name == _AVERAGES):
                _move_slot(variable, slot, parts, is_average=name == _AVERAGES)


def _move_slot(variable: Any, slot: Any, parts: Any, *, is_average: bool) -> None:
    # An average of a fresh row begins with the row: it was zero at step 0 only.
    values = np.array(variable if is_average else slot)
    arrays: dict[int, np.ndarray] = {}
    for move, old_slot in parts:
        older = arrays.setdefault(id(old_slot), np.array(old_slot))
        shapes, of_rows = [
            (slot.shape == variable.shape[:n] and old_slot.shape == move.old.shape[:n])
            for n in (None, 1)
        ]
        if shapes:
            move.put(values, older)
        elif of_rows and move.to is not ...:  # factored, as Adafactor's
            values[move.to[0]] = older[move.source[0]]
        elif slot.shape == old_slot.shape:
            values = older
    slot.assign(values)
