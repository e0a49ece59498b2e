"""The prefixes of all identifiers as tables that a compiled graph reads."""

from __future__ import annotations

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

    @classmethod
    def of(cls, item_codes: ItemCodes) -> PrefixTree:
        """The tree of a catalogue."""
        codes = item_codes.codes[1:].astype("int64")
        nodes = np.ones(len(codes), "int64")  # the prefix of each item
        tables = []
        for position, size in enumerate(item_codes.sizes):
            is_last = position == item_codes.num_positions - 1
            keys = nodes * size + codes[:, position] - 1
            known, place = np.unique(keys, return_inverse=True)
            table = np.zeros((int(nodes.max()) + 1, size), "int32")
            if is_last:
                table.reshape(-1)[keys] = np.arange(1, len(codes) + 1)
            else:
                table.reshape(-1)[known] = np.arange(1, len(known) + 1)
            nodes = place + 1
            tables.append(table)
        return cls(tuple(tables))
