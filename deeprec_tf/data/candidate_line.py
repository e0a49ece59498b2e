"""Draws from weighted candidates with some cut out for each user; no rejection, no loop.

Put all candidates on a line, each as long as its weight. Cut out the items a user has and close
the gaps: a uniform point on what is left is a draw from the weights given "not owned". Where the
gaps lie is known from sorted (user, item) pairs, so one binary search turns the point back into
an item. A draw costs the same however many items the user has, and always ends.
"""

from __future__ import annotations

import numpy as np


class NothingLeft(ValueError):
    """A row has no candidate left; `row` is its number."""

    def __init__(self, row: int):
        super().__init__(f"row {row} has no candidate left")
        self.row = row


class CandidateLine:
    """Candidates 0..n-1 on a line, and the gaps that each user's items leave.

    Args:
        mass: weight of each candidate, int64 (n,), at least 0. Whole numbers keep the cuts exact.
        users: user codes of the owned pairs, int64 (P,), in 0..num_users-1.
        places: candidates of the owned pairs, int64 (P,). A pair may occur more than once.
        num_users: number of users; the code `num_users` is a user who owns nothing.
    """

    def __init__(self, mass: np.ndarray, users: np.ndarray, places: np.ndarray, num_users: int):
        self.mass = mass
        self.num_users = num_users
        self._before = np.concatenate([[0], np.cumsum(mass)])  # mass before each candidate
        self._total = int(self._before[-1])
        self._uniform = bool((mass == 1).all())

        self._pairs = np.unique(users * len(mass) + places)  # sorted keys, one a pair
        owner, place = np.divmod(self._pairs, len(mass))
        self._owned_before = np.concatenate([[0], np.cumsum(mass[place])])
        per_user = np.bincount(owner, minlength=num_users + 1)
        self._first_pair = np.cumsum(per_user) - per_user  # where a user's pairs begin
        owned = self._owned_before[self._first_pair + per_user] - self._at_first_pair(
            np.arange(num_users + 1)
        )
        self._free = self._total - owned
        # Position of every gap on its user's shortened line; sorted, as the pairs are.
        free_before = self._free_before(owner, place, np.arange(len(place)))
        self._gaps = owner * (self._total + 1) + free_before

    def owned(self, user: int) -> np.ndarray:
        """Candidates that one user has, ascending."""
        if user >= self.num_users:
            return np.zeros(0, np.int64)
        bounds = np.array([user, user + 1]) * len(self.mass)
        start, stop = np.searchsorted(self._pairs, bounds)
        return self._pairs[start:stop] - bounds[0]

    def draw(
        self,
        users: np.ndarray,
        count: int,
        excluded: np.ndarray | None,
        rng: np.random.Generator,
    ) -> np.ndarray:
        """Candidates (N, count) for user codes (N,).

        `excluded` (N,) is one more candidate that the row must not get; -1 for none.

        Raises:
            NothingLeft: a row has no candidate left.
        """
        free = self._free[users]
        if excluded is not None:
            width, cut = self._extra_gap(users, excluded)
            free = free - width
        if len(free) and free.min() <= 0:
            raise NothingLeft(int(np.argmin(free)))
        point = rng.integers(0, free[:, None], size=(len(users), count))
        if excluded is not None:
            point += width[:, None] * (point >= cut[:, None])
        keys = users[:, None] * (self._total + 1) + point
        gaps_passed = np.searchsorted(self._gaps, keys, side="right")
        point += self._owned_before[gaps_passed] - self._at_first_pair(users)[:, None]
        if self._uniform:
            return point
        return np.searchsorted(self._before, point, side="right") - 1

    def _at_first_pair(self, users: np.ndarray) -> np.ndarray:
        return self._owned_before[self._first_pair[users]]

    def _free_before(self, users: np.ndarray, places: np.ndarray, pair: np.ndarray) -> np.ndarray:
        """Free mass before a candidate; `pair` counts the pairs sorted before (user, place)."""
        owned_before = self._owned_before[pair] - self._at_first_pair(users)
        return self._before[places] - owned_before

    def _extra_gap(self, users: np.ndarray, excluded: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Width and position of the gap that `excluded` adds; 0 wide where there is one already."""
        place = np.maximum(excluded, 0)
        keys = users * len(self.mass) + place
        pair = np.searchsorted(self._pairs, keys)
        is_owned = np.append(self._pairs, -1)[pair] == keys
        width = np.where((excluded >= 0) & ~is_owned, self.mass[place], 0)
        return width, self._free_before(users, place, pair)
