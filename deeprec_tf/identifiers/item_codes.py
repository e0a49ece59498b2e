"""The one form of identifiers: codes of all items, one a position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class ItemCodes:
    """Identifiers of a catalogue: L codes an item, no two items alike.

    Args:
        codes: integers (V, L); row i those of item i, row 0 zeros for padding. Codes of position t
            lie in 1..sizes[t].
        sizes: codes that there are at each position, used or not; the highest of each when None.

    Raises:
        TypeError: codes are no integers.
        ValueError: a wrong shape, an id 0 with codes or an item without, a code above its size, or
            two items with the same codes.

    Example:
        >>> ItemCodes([[0, 0], [1, 1], [1, 2], [3, 1]]).sizes
        (3, 2)
    """

    codes: Any
    sizes: Any = None

    def __post_init__(self) -> None:
        codes = _rows_of_codes("ItemCodes", self.codes)
        if codes[0].any():
            raise ValueError(
                f"ItemCodes: row 0 is padding and must hold zeros, got {codes[0].tolist()}. Put a "
                "row of zeros before the first item."
            )
        highest = codes[1:].max(axis=0)
        sizes = highest if self.sizes is None else np.asarray(self.sizes)
        if sizes.shape != highest.shape or (highest > sizes).any() or codes[1:].min() < 1:
            raise ValueError(
                f"ItemCodes: codes of items must lie in 1..{sizes.tolist()} by position, got "
                f"{codes[1:].min(axis=0).tolist()}..{highest.tolist()}. Code 0 is padding."
            )
        if highest.max() > np.iinfo("int32").max:
            raise ValueError(f"ItemCodes: a code is {highest.max()}, beyond int32. Renumber.")
        object.__setattr__(self, "codes", np.ascontiguousarray(codes, "int32"))
        object.__setattr__(self, "sizes", tuple(int(size) for size in sizes))
        self._refuse_twins()

    @property
    def num_positions(self) -> int:
        """L, codes of an item."""
        return self.codes.shape[1]

    @property
    def code_use(self) -> list[float]:
        """Share of the codes of each position that some item has; a low one is a collapse."""
        used = [len(np.unique(column)) for column in self.codes[1:].T]
        return [count / size for count, size in zip(used, self.sizes, strict=True)]

    def _refuse_twins(self) -> None:
        order = np.lexsort(self.codes.T[::-1])
        same = (np.diff(self.codes[order], axis=0) == 0).all(axis=1)
        if same.any():
            first = int(same.argmax())
            one, other = sorted(order[first : first + 2].tolist())
            raise ValueError(
                f"ItemCodes: items {one} and {other} have the same codes "
                f"{self.codes[one].tolist()}. Add a position: with_collision_digit(codes)."
            )


def _rows_of_codes(owner: str, codes: Any) -> np.ndarray:
    """Codes as integers (V, L), what they are not yet looked at."""
    codes = np.asarray(codes)
    if codes.dtype.kind not in "iu":
        raise TypeError(
            f"{owner}: codes must be integers, got {codes.dtype}. Cast them, or make them with a "
            "builder of deeprec_tf.identifiers."
        )
    if codes.ndim != 2 or len(codes) < 2 or codes.shape[1] < 1:
        raise ValueError(
            f"{owner}: codes must have the shape (V, L), row 0 for padding and one row an item, "
            f"got {codes.shape}."
        )
    return codes


def item_codes_of(given: Any, *, owner: str) -> ItemCodes:
    """The codes a builder was given, as `ItemCodes`; their errors in the builder's name."""
    if isinstance(given, ItemCodes):
        return given
    try:
        return ItemCodes(given)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{owner}: item_codes: {error}") from error


MOST_COLLISION_CODES = 256  # what one digit tells apart; a search scores them all, at every prefix


def with_collision_digit(codes: Any, sizes: Sequence[int] | None = None) -> ItemCodes:
    """Codes with one more position: the running number, from 1, among items of equal codes.

    Where more than 256 items share theirs, for example all that have no text, the number takes as
    many digits as it needs to keep every digit's codes within 256, of one base, as small as may be.
    `PrefixTree` holds a row of all codes for every prefix: with one digit it would take the number
    of items times the size of the largest group.

    Args:
        codes: integers (V, L), row 0 zeros; items may share theirs.
        sizes: codes that there are at each position; the highest of each when None.

    Returns:
        `ItemCodes` of L + 1 positions, the last with as many codes as the largest group has items;
        of more positions where that has more than 256.

    Raises:
        TypeError, ValueError: as `ItemCodes`, but for items of equal codes.

    Example:
        >>> with_collision_digit([[0, 0], [1, 1], [1, 2], [1, 1]]).codes.tolist()
        [[0, 0, 0], [1, 1, 1], [1, 2, 1], [1, 1, 2]]
    """
    codes = _rows_of_codes("with_collision_digit", codes)
    order = np.lexsort((np.arange(len(codes)), *codes.T[::-1]))
    is_new = np.concatenate([[True], (np.diff(codes[order], axis=0) != 0).any(axis=1)])
    first = np.maximum.accumulate(np.where(is_new, np.arange(len(codes)), 0))
    number = np.empty(len(codes), "int64")
    number[order] = np.arange(len(codes)) - first
    base, count = _digits_for(int(number.max()) + 1)
    digits = number[:, None] // base ** np.arange(count)[::-1] % base + 1
    digits[0] = 0
    sizes = None if sizes is None else [*sizes, *digits.max(axis=0).tolist()]
    return ItemCodes(np.column_stack([codes, digits]), sizes)


def _digits_for(numbers: int) -> tuple[int, int]:
    """The base, at most 256, and the count of the digits that write so many numbers."""
    count = 1
    while MOST_COLLISION_CODES**count < numbers:
        count += 1
    base = round(numbers ** (1 / count))
    return base + (base**count < numbers), count


def checked_vectors(owner: str, vectors: Any) -> np.ndarray:
    """Vectors of the items alone, float64 (V - 1, D), from a table whose row 0 is padding.

    Raises:
        ValueError: no table, no item, or numbers that are not finite.
    """
    vectors = np.asarray(vectors)
    if vectors.ndim != 2 or len(vectors) < 2:
        raise ValueError(
            f"{owner}: vectors must have the shape (V, D), row 0 for padding and one row an item, "
            f"got {vectors.shape}."
        )
    vectors = vectors[1:].astype("float64")
    if not np.isfinite(vectors).all():
        row = int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0]) + 1
        raise ValueError(f"{owner}: the vector of item {row} is not finite.")
    return vectors
