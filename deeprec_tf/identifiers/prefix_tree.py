"""The prefixes of all identifiers as tables that a compiled graph reads."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from deeprec_tf.identifiers.item_codes import ItemCodes


@dataclass(frozen=True, eq=False)
class PrefixTree:
    """For each position a table of what follows a prefix.

    Attributes:
        tables: int32 arrays (N_t, K_t), one a position. `tables[t][node, code - 1]` is the node
            that the code leads to from a prefix of t codes, 0 where no item goes on so; behind the
            last position it is the item's id. Node 0 is no prefix; the empty one is node 1.

    Example:
        >>> tree = PrefixTree.of(ItemCodes([[0, 0], [1, 1], [1, 2], [3, 1]]))
        >>> [table.tolist() for table in tree.tables]
        [[[0, 0, 0], [1, 0, 2]], [[0, 0], [1, 2], [3, 0]]]
    """

    tables: tuple[np.ndarray, ...]

    @property
    def num_items(self) -> int:
        """Items that the tree leads to."""
        return int(np.count_nonzero(self.tables[-1]))

    @classmethod
    def of(cls, item_codes: ItemCodes, without: Iterable[int] = ()) -> PrefixTree:
        """The tree of a catalogue.

        Args:
            item_codes: identifiers of all items.
            without: ids of items that the tree does not lead to; the others keep theirs.

        Raises:
            TypeError: ids that are no integers.
            ValueError: ids that are no items, or no item is left.
        """
        items = _left_of(len(item_codes.codes), without)
        codes = item_codes.codes[items].astype("int64")
        nodes = np.ones(len(codes), "int64")  # the prefix of each item
        tables = []
        for position, size in enumerate(item_codes.sizes):
            is_last = position == item_codes.num_positions - 1
            keys = nodes * size + codes[:, position] - 1
            known, place = np.unique(keys, return_inverse=True)
            table = np.zeros((int(nodes.max()) + 1, size), "int32")
            if is_last:
                table.reshape(-1)[keys] = items
            else:
                table.reshape(-1)[known] = np.arange(1, len(known) + 1)
            nodes = place + 1
            tables.append(table)
        return cls(tuple(tables))


def _left_of(size: int, without: Iterable[int]) -> np.ndarray:
    """The ids 1 .. size - 1 but those left out."""
    hidden = np.asarray(tuple(without) if isinstance(without, Iterable) else without)
    if hidden.ndim != 1 or (hidden.size and hidden.dtype.kind not in "iu"):
        raise TypeError(
            f"PrefixTree: ids to leave out must be integers in a list, got {without!r}."
        )
    wrong = hidden[(hidden < 1) | (hidden >= size)]
    if wrong.size:
        raise ValueError(
            f"PrefixTree: ids to leave out must lie in 1..{size - 1}, got {wrong[0]:.0f}."
        )
    items = np.setdiff1d(np.arange(1, size), hidden.astype("int64"))
    if not items.size:
        raise ValueError(f"PrefixTree: all {size - 1} items are left out. Leave some.")
    return items
