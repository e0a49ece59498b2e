"""Draws from weighted candidates with some cut out for each user; no rejection, no loop.

Put all candidates on a line, each as long as its weight. Cut out the items a user has and close
the gaps: a uniform point on what is left is a draw from the weights given "not owned". Where the
gaps lie is known from sorted (user, item) pairs, so one binary search turns the point back into
an item. A draw costs the same however many items the user has, and always ends.
"""

from __future__ import annotations

import numpy as np


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

    def owns(self, users: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Whether (user, candidate) is an owned pair; arrays of one shape."""
        keys = users * len(self.mass) + places
        found = np.searchsorted(self._pairs, keys)
        inside = found < len(self._pairs)
        found[~inside] = 0
        return inside & (self._pairs[found] == keys) if len(self._pairs) else inside

    def free_mass(self, users: np.ndarray, excluded: np.ndarray | None = None) -> np.ndarray:
        """Mass left for each row; 0 means that nothing can be drawn."""
        free = self._free[users]
        return free if excluded is None else free - self._excluded_mass(users, excluded)

    def draw(
        self,
        users: np.ndarray,
        count: int,
        excluded: np.ndarray | None,
        rng: np.random.Generator,
    ) -> np.ndarray:
        """Candidates (N, count) for user codes (N,), free mass above 0 in every row.

        `excluded` (N,) is one more candidate that the row must not get; -1 for none.
        """
        free = self.free_mass(users, excluded)
        point = rng.integers(0, free[:, None], size=(len(users), count))
        if excluded is not None:
            width = self._excluded_mass(users, excluded)
            place = np.maximum(excluded, 0)
            pair = np.searchsorted(self._pairs, users * len(self.mass) + place)
            cut = self._free_before(users, place, pair)
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

    def _excluded_mass(self, users: np.ndarray, excluded: np.ndarray) -> np.ndarray:
        place = np.maximum(excluded, 0)
        counts = (excluded >= 0) & ~self.owns(users, place)
        return np.where(counts, self.mass[place], 0)
