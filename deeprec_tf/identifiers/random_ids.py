"""Random identifiers: what the others must beat."""

from __future__ import annotations

import numpy as np

from deeprec_tf.identifiers.hierarchical import least_branching
from deeprec_tf.identifiers.item_codes import ItemCodes


def random_codes(
    num_items: int, num_levels: int = 3, codebook_size: int | None = None, *, seed: int = 0
) -> ItemCodes:
    """Unique codes that say nothing of the items, drawn without replacement.

    Args:
        num_items: items, ids 1..num_items.
        num_levels: L, codes of an item.
        codebook_size: codes of a position; the least that has room for all items when None.
        seed: seed of the draw.

    Returns:
        `ItemCodes` of L positions.

    Raises:
        ValueError: no item, or more items than codes.

    Example:
        >>> random_codes(5, num_levels=2).sizes
        (3, 3)
    """
    if num_items < 1 or num_levels < 1:
        raise ValueError(
            "random_codes: num_items and num_levels must be at least 1, got "
            f"{num_items!r} and {num_levels!r}."
        )
    least = least_branching(num_items, num_levels)
    size = least if codebook_size is None else codebook_size
    if size < least:
        raise ValueError(
            f"random_codes: {num_levels} positions of {size} codes have room for "
            f"{size**num_levels} items, got {num_items}. Give codebook_size={least}, or None."
        )
    generator = np.random.default_rng(seed)
    numbers = np.empty(0, "int64")
    if size**num_levels <= 4 * num_items:
        numbers = generator.permutation(size**num_levels)[:num_items]
    while len(numbers) < num_items:
        drawn = generator.integers(size**num_levels, size=2 * num_items)
        both = np.concatenate([numbers, drawn])
        _, first = np.unique(both, return_index=True)
        numbers = both[np.sort(first)][:num_items]
    places = size ** np.arange(num_levels)[::-1]
    codes = numbers[:, None] // places % size + 1
    return ItemCodes(np.concatenate([np.zeros((1, num_levels), "int64"), codes]),
                     [size] * num_levels)  # fmt: skip
