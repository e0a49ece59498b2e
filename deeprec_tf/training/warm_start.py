"""Warm start: a model begins where an older one stands, though ids have come and gone."""

from __future__ import annotations

import collections
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from deeprec_tf.engine import RecModel
from deeprec_tf.training._optimizer_state import move_state
from deeprec_tf.training._row_moves import OWNER, Move, Plan, plan

NEW_ROWS = ("initial", "mean", "oov")


@dataclass(frozen=True, slots=True)
class WarmStart:
    """What a warm start did; printed, a few readable lines.

    Attributes:
        model: name of the model.
        trained: name of the older model.
        tables: by table, how many rows came over and how many there are.
        copied: names of the other weights that came over.
        fresh: why a weight or a table keeps its start values, by name.
        given: weights that hold the model's own data, such as its catalogue.
        unused: weights and tables of the older model that nothing took.
        optimizer: what became of the optimizer's state.
    """

    model: str
    trained: str
    tables: dict[str, tuple[int, int]]
    copied: tuple[str, ...]
    fresh: dict[str, str]
    given: tuple[str, ...]
    unused: tuple[str, ...]
    optimizer: str

    def __str__(self) -> str:
        lines = [
            f"{self.model} from {self.trained}: {len(self.tables)} tables and {len(self.copied)} "
            "other weights came over"
        ]
        for name, (came, rows) in self.tables.items():
            lines.append(f"  table      {name}: {came} of {rows} rows")
        lines += [f"  fresh      {name}: {why}" for name, why in self.fresh.items()]
        lines += [f"  own data   {name}" for name in self.given]
        lines += [f"  unused     {name}" for name in self.unused]
        return "\n".join([*lines, f"  optimizer  {self.optimizer}"])


def warm_start(
    model: RecModel,
    trained: RecModel,
    *,
    ids: Mapping[str, Any] | None = None,
    new_rows: str = "initial",
    optimizer: bool = True,
) -> WarmStart:
    """Gives a new model the weights and the optimizer's state of an older one.

    The new model is built by the same builder from columns that have grown, or by another call:
    whatever has the same name and shape comes over, moving averages and the state of random draws
    among it. Of embedding tables the rows come over one by one, wherever they are stored; rows of
    new ids keep their start values. If nothing has grown, training goes on bit for bit as the
    older model's would.

    What holds the model's own data stays: its `item_table` and the counts its negatives are drawn
    by. Tables of hashed ids come over whole or, in another size, not at all. A frozen table comes
    over as well; `deeprec_tf.tables.set_table_values` writes newer values after that.

    Args:
        model: the new model of a builder; compiled, if the optimizer's state is wanted.
        trained: the older model, in memory or from a `.keras` file. It is not changed.
        ids: for each column or table an integer array, entry i the new id of what was id i and -1
            for what is gone; `FeatureEncoder.ids_from` makes them. None: ids are what they were,
            and new ones come after them, as with `FeatureEncoder.extend`.
        new_rows: what rows of new ids begin with: "initial", the model's own start values; "mean",
            the mean of the rows that came over, id 0 left out; "oov", the row of id 1, which
            stands for what is out of vocabulary.
        optimizer: whether its step count, learning rate and slots come over, row by row as the
            tables do. It takes optimizers of one class; new rows begin without a past.

    Returns:
        A `WarmStart`, which says what came over and what did not.

    Raises:
        TypeError: one of them is no model of a builder.
        ValueError: nothing comes over, a table has become smaller, or `ids` do not fit.

    Example:
        >>> from deeprec_tf import SparseFeat
        >>> from deeprec_tf.models import DeepFM
        >>> old = DeepFM([SparseFeat("user", 10), SparseFeat("item", 20)], name="monday")
        >>> new = DeepFM([SparseFeat("user", 12), SparseFeat("item", 20)], name="tuesday")
        >>> print(warm_start(new, old))
        tuesday from monday: 4 tables and 8 other weights came over
          table      embedding_user: 10 of 12 rows
          table      linear_user: 10 of 12 rows
          table      embedding_item: 20 of 20 rows
          table      linear_item: 20 of 20 rows
          optimizer  fresh: monday has none
    """
    for one in (model, trained):
        if not isinstance(one, RecModel):
            raise TypeError(
                f"{OWNER}: both must be models of a builder, got {type(one).__name__}."
            )
    if new_rows not in NEW_ROWS:
        raise ValueError(f"{OWNER}: new_rows must be one of {NEW_ROWS}, got {new_rows!r}.")
    found = plan(model, trained, ids)
    if not found.moves:
        raise ValueError(
            f"{OWNER}: nothing of {trained.name} has the name and shape of anything in "
            f"{model.name}. Build both by one builder, with tables of one embedding_dim."
        )
    _move_weights(found, new_rows)
    _move_draws(model, trained)
    state = "fresh: as asked"
    if optimizer:
        state = move_state(model, trained, found.moves)
    return WarmStart(
        model.name, trained.name, found.tables, tuple(found.copied), found.fresh,
        tuple(found.given), tuple(found.unused), state,
    )  # fmt: skip


def _move_weights(found: Plan, new_rows: str) -> None:
    of_variable: dict[int, list[Move]] = collections.defaultdict(list)
    for move in found.moves:
        of_variable[id(move.new)].append(move)
    arrays: dict[int, np.ndarray] = {}
    for moves in of_variable.values():
        values = np.array(moves[0].new)
        for move in moves:
            if id(move.old) not in arrays:
                arrays = {id(move.old): np.array(move.old)}  # one at a time: tables are large
            move.put(values, arrays[id(move.old)])
            _fill(values, move, new_rows)
        moves[0].new.assign(values)


def _fill(values: np.ndarray, move: Move, new_rows: str) -> None:
    """Start values of the rows that nothing came to."""
    if move.fresh is None or values.ndim < 2 or not len(move.known[0]):
        return
    if new_rows == "mean":
        values[move.fresh] = values[move.known].mean(axis=0)
    elif new_rows == "oov" and move.unknown_id is not None:
        values[move.fresh] = values[move.unknown_id]


def _move_draws(model: keras.Model, trained: keras.Model) -> None:
    """Random draws go on where they were. Dropout has no names, so it goes by class and order."""
    old = _states(trained)
    for kind, states in _states(model).items():
        if len(states) == len(old.get(kind, ())):
            for state, older in zip(states, old[kind], strict=True):
                state.assign(np.array(older))


def _states(model: keras.Model) -> dict[str, list[Any]]:
    """States of the seed generators by the class of their layer."""
    states: dict[str, list[Any]] = {}
    for layer in model._flatten_layers(include_self=False):
        for generator in layer._seed_generators:
            states.setdefault(type(layer).__name__, []).append(generator.state)
    return states
