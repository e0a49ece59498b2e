"""Negative sampling: items that a user does not have, uniform or by popularity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from deeprec_tf.data.candidate_line import CandidateLine, NothingLeft
from deeprec_tf.data.tables import (
    Table,
    get_series,
    item_ids,
    key_codes,
    positive_count,
    row_count,
)

STRATEGIES = ("uniform", "popularity")
Seed = int | Sequence[int] | np.random.Generator

_DRAWS_AT_ONCE = 1 << 21  # bounds a call's memory; changing it changes what a seed gives
_DISTINCT_ROUNDS = 16
_SAMPLE, _HISTORIES = 1, 2  # keep apart what one seed gives to each method


class NegativeSampler:
    """Draws items that a user has no interaction with.

    Args:
        interactions: DataFrame or dict of arrays: what the users have. For training pass the
            training interactions only, else the sampler knows the future.
        user: column of user keys, of any type.
        item: column of item ids, 1 and up (0 is padding).
        candidates: ids that may be drawn: an array, or a number n for 1..n; the distinct items
            of the interactions when left out. With a `FeatureEncoder`,
            `encoder.vocabulary("item_id").ids` leaves the out-of-vocabulary id out.
        strategy: "uniform", or "popularity": in proportion to (number of interactions)^alpha;
            an item without interactions is then never drawn.
        alpha: exponent of "popularity"; 0.75 as in word2vec.
        item_fields: what follows an item, as `{column: array}` indexed by item id, such as its
            category; see `item_table`.
        seed: used where a call names none; an integer or a sequence such as `(seed, epoch)`.

    Raises:
        TypeError: item ids are no integers.
        ValueError: a column is missing, an id is below 1, or an argument is out of range.

    Example:
        >>> log = {"user_id": ["ann", "ann"], "item_id": [1, 2]}
        >>> NegativeSampler(log, candidates=3).sample(["ann"], num_negatives=2).tolist()
        [[3, 3]]

    References:
        Mikolov et al. 2013. Distributed Representations of Words and Phrases and their
        Compositionality (the exponent 0.75).
    """

    def __init__(
        self,
        interactions: Table,
        *,
        user: str = "user_id",
        item: str = "item_id",
        candidates: Any = None,
        strategy: str = "uniform",
        alpha: float = 0.75,
        item_fields: Mapping[str, Any] | None = None,
        seed: int | Sequence[int] = 0,
    ):
        if strategy not in STRATEGIES:
            raise ValueError(
                f"NegativeSampler: strategy must be one of {STRATEGIES}, got {strategy!r}."
            )
        row_count("NegativeSampler", interactions)
        self.user = user
        self.item = item
        self.strategy = strategy
        self.alpha = float(alpha)
        self.seed = seed
        users, self._users = key_codes("NegativeSampler", interactions, user)
        items = item_ids("NegativeSampler", get_series("NegativeSampler", interactions, item), item)
        self.candidates = _candidate_ids(candidates, items)
        self._index = pd.Index(self.candidates)
        places = self._index.get_indexer(items)
        users, places = users[places >= 0], places[places >= 0]
        mass = self._mass(np.bincount(places, minlength=len(self.candidates)))
        self._line = CandidateLine(mass, users, places, len(self._users))
        self.item_fields = {
            name: self._checked_field(name, table) for name, table in (item_fields or {}).items()
        }

    def sample(
        self,
        users: Any,
        num_negatives: int = 1,
        *,
        exclude: Any = None,
        replace: bool = True,
        seed: Seed | None = None,
    ) -> np.ndarray:
        """Draw negatives for each user.

        Args:
            users: user keys, shape (N,). A user without interactions may get any candidate.
            num_negatives: draws a row.
            exclude: item ids (N,) that the row must not get either, such as its own positive.
            replace: False makes the negatives of one row distinct, as ranking protocols ask.
            seed: an integer, a sequence such as `(seed, epoch)`, or a NumPy generator; the
                sampler's own seed when left out. The same seed gives the same draws.

        Returns:
            Item ids (N, num_negatives), int32 (int64 where the ids need it).

        Raises:
            ValueError: a user has every candidate, or too few are left for distinct draws.
        """
        count = positive_count("NegativeSampler", "num_negatives", num_negatives)
        rng = seeded_generator(self.seed if seed is None else seed, _SAMPLE)
        keys = pd.Index(users)
        codes = self._codes(keys)
        excluded = self._places(exclude, codes.shape)
        draws = self._draw(codes, count, excluded, rng, keys)
        if not replace and count > 1:
            self._make_distinct(draws, codes, excluded, rng, keys)
        return self.candidates[draws]

    def sample_histories(
        self,
        users: Any,
        histories: Any,
        *,
        num_negatives: int = 1,
        prefix: str = "neg_hist_",
        seed: Seed | None = None,
    ) -> dict[str, np.ndarray]:
        """Draw negatives for every step of the users' histories; padding stays 0.

        A step's negative is neither the step's own item nor one that the user has.

        Args:
            users: user keys, shape (N,).
            histories: item ids (N, T), 0 = padding.
            num_negatives: draws a step; with 1 the result keeps the shape of `histories`.
            prefix: put before the item's name and those of `item_fields`.
            seed: as for `sample`.

        Returns:
            Dict with `prefix + item` and `prefix + field` for each item field, of shape (N, T),
            or (N, T, num_negatives) with more than one draw.

        Raises:
            ValueError: shapes differ, or a user has every candidate.
        """
        count = positive_count("NegativeSampler", "num_negatives", num_negatives)
        histories = np.asarray(histories)
        keys = pd.Index(users)
        if histories.ndim != 2 or len(histories) != len(keys):
            raise ValueError(
                f"NegativeSampler.sample_histories: histories must have shape ({len(keys)}, T), "
                f"one row a user, got {histories.shape}."
            )
        codes = self._codes(keys)
        order = np.argsort(codes, kind="stable")  # user by user: the searches stay in the cache
        rows, steps = np.nonzero(histories[order])
        rows = order[rows]
        excluded = self._index.get_indexer(histories[rows, steps])
        rng = seeded_generator(self.seed if seed is None else seed, _HISTORIES)
        draws = self._draw(codes[rows], count, excluded, rng, keys, rows)
        negatives = np.zeros((*histories.shape, count), self.candidates.dtype)
        negatives[rows, steps] = self.candidates[draws]
        if count == 1:
            negatives = negatives[..., 0]
        return {
            prefix + self.item: negatives,
            **{prefix + name: table[negatives] for name, table in self.item_fields.items()},
        }

    def _mass(self, counts: np.ndarray) -> np.ndarray:
        if self.strategy == "uniform":
            return np.ones(len(counts), np.int64)
        weights = np.where(counts > 0, np.maximum(counts, 1) ** self.alpha, 0.0)
        # At most 2^40 parts: rounding is below 1e-6 for a million items, and
        # user * (total + 1) stays within int64.
        parts = min(1 << 40, (1 << 61) // (len(self._users) + 1))
        scale = parts / max(weights.sum(), 1.0e-300)
        return np.where(counts > 0, np.maximum(weights * scale, 1.0), 0.0).astype(np.int64)

    def _codes(self, users: pd.Index) -> np.ndarray:
        codes = self._users.get_indexer(users)
        return np.where(codes < 0, len(self._users), codes)

    def _places(self, exclude: Any, shape: tuple[int, ...]) -> np.ndarray | None:
        if exclude is None:
            return None
        exclude = np.asarray(exclude)
        if exclude.shape != shape:
            raise ValueError(
                f"NegativeSampler.sample: exclude must hold one item a row, shape {shape}, got "
                f"{exclude.shape}."
            )
        return self._index.get_indexer(exclude)

    def _draw(
        self,
        codes: np.ndarray,
        count: int,
        excluded: np.ndarray | None,
        rng: np.random.Generator,
        keys: pd.Index,
        rows: np.ndarray | None = None,
    ) -> np.ndarray:
        """Places (N, count); `keys`, through `rows`, name the users in an error."""
        step = max(_DRAWS_AT_ONCE // count, 1)
        drawn = np.empty((len(codes), count), np.int64)
        for start in range(0, len(codes), step):
            part = slice(start, start + step)
            extra = None if excluded is None else excluded[part]
            try:
                drawn[part] = self._line.draw(codes[part], count, extra, rng)
            except NothingLeft as error:
                row = start + error.row
                user = _plain(keys[row if rows is None else int(rows[row])])
                raise ValueError(
                    f"NegativeSampler: user {user!r} has every one of the "
                    f"{np.count_nonzero(self._line.mass)} items that can be drawn with strategy "
                    f"{self.strategy!r}. Give more candidates or drop this user's rows."
                ) from None
        return drawn

    def _make_distinct(
        self,
        draws: np.ndarray,
        codes: np.ndarray,
        excluded: np.ndarray | None,
        rng: np.random.Generator,
        keys: pd.Index,
    ) -> None:
        """Redraw repeated places of a row, in place, until all are distinct."""
        rows = np.arange(len(draws))
        for _ in range(_DISTINCT_ROUNDS):
            repeated = _repeats(draws[rows])
            rows, repeated = rows[repeated.any(axis=1)], repeated[repeated.any(axis=1)]
            if not len(rows):
                return
            row, column = np.nonzero(repeated)
            row = rows[row]
            again = None if excluded is None else excluded[row]
            draws[row, column] = self._line.draw(codes[row], 1, again, rng)[:, 0]
        # Rows whose draws crowd a few items: weigh all candidates of the row at once. The
        # smallest of exponential times with rates w are a draw without replacement (Efraimidis
        # and Spirakis 2006).
        rows = rows[_repeats(draws[rows]).any(axis=1)]
        for one in rows:
            mass = self._line.mass.copy()
            mass[self._line.owned(int(codes[one]))] = 0
            if excluded is not None and excluded[one] >= 0:
                mass[excluded[one]] = 0
            free = np.flatnonzero(mass)
            if len(free) < draws.shape[1]:
                user = _plain(keys[int(one)])
                raise ValueError(
                    f"NegativeSampler: user {user!r} has only {len(free)} items left to draw, but "
                    f"{draws.shape[1]} distinct negatives were asked for. Ask for fewer, or set "
                    "replace=True."
                )
            times = rng.exponential(size=len(free)) / mass[free]
            draws[one] = free[np.argsort(times)[: draws.shape[1]]]

    def _checked_field(self, name: str, table: Any) -> np.ndarray:
        table = np.asarray(table)
        if table.ndim < 1 or len(table) <= self.candidates.max():
            raise ValueError(
                f"NegativeSampler: item field {name!r} must have a row for every id up to "
                f"{self.candidates.max()}, got shape {table.shape}. Make it with item_table()."
            )
        return table


def seeded_generator(
    seed: Seed, stream: int, *, owner: str = "NegativeSampler"
) -> np.random.Generator:
    """A generator from a seed; `stream` keeps apart what one seed gives to each use.

    Raises:
        ValueError: the seed is neither a whole number, nor a sequence of them, nor a generator.
    """
    if isinstance(seed, np.random.Generator):
        return seed
    parts = np.atleast_1d(np.asarray(seed))
    if parts.ndim != 1 or parts.dtype.kind not in "iu" or (parts < 0).any():
        raise ValueError(
            f"{owner}: seed must be a whole number of at least 0, a sequence of such numbers "
            f"like (seed, epoch), or a NumPy generator, got {seed!r}."
        )
    return np.random.default_rng([stream, *parts.tolist()])


def _plain(key: Any) -> Any:
    """A key as Python prints it: 7, not np.int64(7)."""
    return key.item() if isinstance(key, np.generic) else key


def _repeats(draws: np.ndarray) -> np.ndarray:
    """True where a value stands a second time in its row."""
    order = np.argsort(draws, axis=1, kind="stable")
    ordered = np.take_along_axis(draws, order, axis=1)
    again = np.zeros(draws.shape, bool)
    again[:, 1:] = ordered[:, 1:] == ordered[:, :-1]
    result = np.empty(draws.shape, bool)
    np.put_along_axis(result, order, again, axis=1)
    return result


def _candidate_ids(candidates: Any, items: np.ndarray) -> np.ndarray:
    """Distinct candidate ids, ascending, int32 where they fit."""
    if candidates is None:
        ids = np.unique(items)
    elif hasattr(candidates, "__index__") and not hasattr(candidates, "__len__"):
        ids = np.arange(1, int(candidates) + 1)
    else:
        ids = np.unique(item_ids("NegativeSampler", pd.Series(candidates), "candidates"))
    if not len(ids):
        raise ValueError("NegativeSampler: there is no candidate item to draw from.")
    return ids.astype(np.int32) if ids[-1] <= np.iinfo(np.int32).max else ids
