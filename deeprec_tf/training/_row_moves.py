"""Which weights of a model come from which of an older one, row by row where ids are rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from deeprec_tf.engine import RecModel
from deeprec_tf.features import SparseFeat, VarLenSparseFeat
from deeprec_tf.layers.core.table_embedding import TableEmbedding
from deeprec_tf.layers.generative.code_tokens import CodeTokens
from deeprec_tf.tables import TablePlace, sparse_column, table_places

OWNER = "warm_start"
CODES, ITEMS = "item_codes", "item_id"  # names of tables in the models that spell items


@dataclass(frozen=True)
class Move:
    """A part of a variable that comes from a part of an older one.

    Attributes:
        new: the variable.
        old: the older variable.
        to: index of the part in the one.
        source: index of the part in the other.
        fresh: index of the rows that nothing comes to, where rows are ids.
        known: index of the new rows that came, but id 0's.
        unknown_id: index of the row of id 1, if it came.
    """

    new: Any
    old: Any
    to: Any = ...
    source: Any = ...
    fresh: Any = None
    known: Any = None
    unknown_id: Any = None

    def put(self, values: np.ndarray, older: np.ndarray) -> None:
        """Overwrites the part in an array shaped as the new variable."""
        values[self.to] = older[self.source]


@dataclass
class Plan:
    """What comes over, and what does not.

    Attributes:
        moves: the parts that come.
        tables: rows that come and rows there are, by table.
        copied: names of the other weights that come.
        fresh: why a weight or a table keeps its own values, by name.
        given: weights that hold the new model's data.
        unused: weights and tables of the older model that nothing takes.
    """

    moves: list[Move] = field(default_factory=list)
    tables: dict[str, tuple[int, int]] = field(default_factory=dict)
    copied: list[str] = field(default_factory=list)
    fresh: dict[str, str] = field(default_factory=dict)
    given: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)


def plan(model: RecModel, trained: RecModel, ids: Mapping[str, Any] | None) -> Plan:
    """What of `trained` goes where in `model`.

    Raises:
        ValueError: a table has become smaller, or `ids` do not fit.
    """
    maps, found = _IdMaps(model, ids), Plan()
    items, old_items = _item_column(model), _item_column(trained)
    new_tables, old_tables = _tables(model), _tables(trained)
    codes = _code_rows(_code_tokens(model), _code_tokens(trained), maps)
    for label, (name, place) in new_tables.items():
        if label not in old_tables:
            found.fresh[label] = f"{trained.name} has no such table"
            continue
        rows = codes if name == CODES else None
        _move_table(found, maps, label, name, place, old_tables[label][1], rows)
    found.unused += [label for label in old_tables if label not in new_tables]

    done = {id(place.layer.embeddings) for _, place in new_tables.values()}
    old_done = {id(place.layer.embeddings) for _, place in old_tables.values()}
    others = {
        v.path: v for layer, v in _with_layers(trained)
        if id(v) not in old_done and not getattr(layer, "weights_are_data", False)
    }
    for layer, variable in _with_layers(model):
        if id(variable) in done:
            continue
        done.add(id(variable))
        if getattr(layer, "weights_are_data", False):
            found.given.append(variable.path)
            continue
        old = others.pop(variable.path, None)
        if old is None:
            found.fresh[variable.path] = f"{trained.name} has no weight of this name"
        elif getattr(layer, "knows_item_ids", False) and maps.moves(_name_of_table(items)):
            found.fresh[variable.path] = "it knows items by their ids, which are others now"
        elif variable.name in getattr(layer, "rows_of_items", ()) and old_items is not None and (
            old.shape == (old_items.vocabulary_size,)
        ):
            rows = maps.rows(_name_of_table(items), old.shape[0], variable.shape[0])
            found.moves.append(_move(variable, old, rows, variable.shape[0]))
            found.copied.append(variable.path)
        elif old.shape != variable.shape:
            found.fresh[variable.path] = f"{tuple(variable.shape)} here, {tuple(old.shape)} there"
        else:
            found.moves.append(Move(variable, old))
            found.copied.append(variable.path)
    found.unused += others
    return found


def _code_tokens(model: RecModel) -> Any:
    return next((layer for layer in model.layers if isinstance(layer, CodeTokens)), None)


def _code_rows(new: Any, old: Any, maps: _IdMaps) -> np.ndarray | str | None:
    """Where the rows of codebooks went, which stand behind each other; or why none comes.

    None where a model does not spell items.

    A row is what its code means, so none comes where most items have other codes now.
    """
    if new is None or old is None:
        return None
    if len(new.sizes) != len(old.sizes):
        return f"codes of {len(new.sizes)} positions here, of {len(old.sizes)} there"
    rows = np.full(1 + sum(old.sizes), -1)
    rows[0] = 0
    for size, old_size, first, old_first in zip(
        new.sizes, old.sizes, new.offsets, old.offsets, strict=True
    ):
        kept = np.arange(1, min(size, old_size) + 1)
        rows[old_first + kept] = first + kept
    item = maps.rows_or_same(ITEMS, old.num_items, new.num_items)
    known = np.flatnonzero(item[1:] > 0) + 1
    was, now = np.asarray(old.tokens)[known], np.asarray(new.tokens)[item[known]]
    others = float((rows[was.astype("int64")] != now).any(axis=1).mean()) if len(known) else 1.0
    if others > 0.5:
        return f"{others:.0%} of the items that both know have other codes now"
    return rows


def _with_layers(model: RecModel) -> Iterator[tuple[Any, Any]]:
    """Every weight and the layer that owns it, without those that are made of other weights."""
    for layer in model._flatten_layers(include_self=False):
        for variable in (*layer._trainable_variables, *layer._non_trainable_variables):
            if variable.name not in getattr(layer, "weights_made_of_others", ()):
                yield layer, variable


def _item_column(model: RecModel) -> SparseFeat | None:
    """The column of the positive item's ids, in a recall model."""
    columns = (c for c in model.feature_columns if c.name == model._positive_item)
    return next((c for c in columns if isinstance(c, SparseFeat)), None)


def _name_of_table(column: SparseFeat | None) -> str:
    return "" if column is None else str(column.embedding_name)


def _tables(model: RecModel) -> dict[str, tuple[str, TablePlace]]:
    """Tables by their name and kind: the table whose ids they have, and their place."""
    found = {}
    for (name, linear), place in table_places(model).items():
        if isinstance(place.layer, TableEmbedding):
            found[("linear_" if linear else "embedding_") + name] = name, place
    known = {id(place.layer) for _, place in found.values()}
    for layer in model.layers:
        if isinstance(layer, TableEmbedding) and id(layer) not in known:  # a bias an item
            rows, columns = slice(0, layer.vocabulary_size), slice(0, layer.embedding_dim)
            place = TablePlace(layer, rows, columns)
            found[layer.name] = _name_of_table(_item_column(model)), place
    return found


def _move_table(
    found: Plan, maps: _IdMaps, label: str, name: str, new: TablePlace, old: TablePlace,
    rows: np.ndarray | str | None = None,
) -> None:
    """Notes where a table's rows go: to `rows`, why nowhere, or for None as its ids went."""
    width, old_width = (p.columns.stop - p.columns.start for p in (new, old))
    size, old_size = (p.rows.stop - p.rows.start for p in (new, old))
    if width != old_width:
        found.fresh[label] = f"width {width} here, {old_width} there"
        return
    if isinstance(rows, str):
        found.fresh[label] = rows
        return
    if rows is None and name in maps.hashed:
        if size != old_size:
            found.fresh[label] = "its ids are hashes, others in a table of another size"
            return
        rows = np.arange(size)
    elif rows is None:
        rows = maps.rows(name, old_size, size)
    found.moves.append(
        _move(new.layer.embeddings, old.layer.embeddings, rows, size, new=new, old=old)
    )
    found.tables[label] = int((rows >= 0).sum()), size


def _move(
    variable: Any, old_variable: Any, rows: np.ndarray, size: int, *,
    new: TablePlace | None = None, old: TablePlace | None = None,
) -> Move:
    """Row i of the old table goes to `rows[i]`; -1 to nowhere."""
    first, columns = (0, ()) if new is None else (new.rows.start, (new.columns,))
    old_first, old_columns = (0, ()) if old is None else (old.rows.start, (old.columns,))
    source = np.flatnonzero(rows >= 0)
    to = rows[source]
    fresh = np.setdiff1d(np.arange(size), to)
    return Move(
        variable, old_variable,
        to=(first + to, *columns),
        source=(old_first + source, *old_columns),
        fresh=(first + fresh, *columns),
        known=(first + to[to > 0], *columns),
        unknown_id=(first + 1, *columns) if 1 in to else None,
    )


class _IdMaps:
    """For each table, where its old ids went.

    Attributes:
        hashed: tables whose ids are hashes.
    """

    def __init__(self, model: RecModel, ids: Mapping[str, Any] | None) -> None:
        columns = [c for c in model.feature_columns if isinstance(c, SparseFeat | VarLenSparseFeat)]
        table_of = {column.name: str(column.embedding_name) for column in columns}
        parts = [part for part in map(sparse_column, columns) if part is not None]
        self.hashed = {str(part.embedding_name) for part in parts if part.use_hash}
        maps: dict[str, np.ndarray] = {}
        for name, array in (ids or {}).items():
            array, table = np.asarray(array), table_of.get(name, name)
            if array.ndim != 1 or array.dtype.kind not in "iu":
                raise ValueError(
                    f"{OWNER}: ids[{name!r}] must be integers (old number of ids,), entry i the "
                    f"new id of what was id i, got {array.dtype} of shape {array.shape}."
                )
            if not np.array_equal(maps.setdefault(table, array), array):
                raise ValueError(
                    f"{OWNER}: ids has two different maps for table {table!r}, one of them "
                    f"{name!r}. Columns of one table share their ids."
                )
        for name, array in (ids or {}).items():  # a table of the column's name beside its own
            maps.setdefault(name, np.asarray(array))
        self._maps = None if ids is None else maps

    def rows_or_same(self, table: str, old_size: int, size: int) -> np.ndarray:
        """As `rows`, with ids that stayed where no map is there, and -1 for what is gone."""
        if self._maps is not None and table in self._maps:
            return self.rows(table, old_size, size)
        ids = np.arange(old_size)
        return np.where(ids < size, ids, -1)

    def moves(self, table: str) -> bool:
        """Whether a table's ids are others now."""
        if self._maps is None or table not in self._maps:
            return False
        return not np.array_equal(self._maps[table], np.arange(len(self._maps[table])))

    def rows(self, table: str, old_size: int, size: int) -> np.ndarray:
        """The new id of each old one, -1 for none.

        Raises:
            ValueError: the table has become smaller, or its map does not fit.
        """
        if self._maps is None:
            if size < old_size:
                raise ValueError(
                    f"{OWNER}: table {table!r} had {old_size} ids and has {size} now, so ids are "
                    f"others. Pass ids={{{table!r}: array}}, entry i the new id of what was id i "
                    "and -1 for none; FeatureEncoder.ids_from makes it."
                )
            return np.arange(old_size)
        if table not in self._maps:
            raise ValueError(
                f"{OWNER}: ids has no entry for table {table!r}, only for {sorted(self._maps)}. "
                f"Give np.arange({old_size}) where ids stayed as they were."
            )
        rows = self._maps[table].astype(np.int64)
        taken = rows[rows >= 0]
        if len(rows) != old_size or (rows < -1).any() or (rows >= size).any():
            raise ValueError(
                f"{OWNER}: ids[{table!r}] must have an entry in -1..{size - 1} for each of the "
                f"{old_size} old ids, got {len(rows)} entries in {rows.min(initial=0)}.."
                f"{rows.max(initial=0)}."
            )
        if len(np.unique(taken)) < len(taken):
            values, counts = np.unique(taken, return_counts=True)
            raise ValueError(
                f"{OWNER}: ids[{table!r}] gives the new id {values[counts > 1][0]} to several old "
                "ones. Keep one of them, and give -1 to the others."
            )
        return rows
