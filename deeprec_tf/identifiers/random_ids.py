"""Random identifiers: what the others must beat."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from deeprec_tf.identifiers.hierarchical import least_branching
from deeprec_tf.identifiers.item_codes import ItemCodes
from deeprec_tf.numeric import check_whole_numbers


def random_codes(
    num_items: int, num_levels: int = 3, codebook_size: int | Sequence[int] | None = None, *,
    seed: int = 0,
) -> ItemCodes:
    """Unique codes that say nothing of the items, drawn without replacement.

    Args:
        num_items: items, ids 1..num_items.
        num_levels: L, codes of an item.
        codebook_size: codes of a position, or of each of them, such as the `sizes` of other codes;
            the least that has room for all items when None.
        seed: seed of the draw.

    Returns:
        `ItemCodes` of L positions.

    Raises:
        ValueError: a number that is no whole one from 1 on, more items than codes, or not one size
            a position.

    Example:
        >>> random_codes(5, num_levels=2).sizes
        (3, 3)
    """
    check_whole_numbers("random_codes", num_items=num_items, num_levels=num_levels)
    least = least_branching(num_items, num_levels)
    size: Any = least if codebook_size is None else codebook_size
    sizes = list(size if np.ndim(size) else [size] * num_levels)
    if len(sizes) != num_levels:
        raise ValueError(
            f"random_codes: codebook_size must be one number, or one of each of the {num_levels} "
            f"positions, got {size!r}."
        )
    for one in sizes:
        check_whole_numbers("random_codes", codebook_size=one)
    room = math.prod(int(one) for one in sizes)
    if room < num_items:
        raise ValueError(
            f"random_codes: {num_levels} positions of {size} codes have room for {room} items, got "
            f"{num_items}. Give codebook_size={least}, or None."
        )
    generator = np.random.default_rng(seed)
    if room <= 4 * num_items:
        numbers = generator.permutation(room)[:num_items]
        codes = np.stack(np.unravel_index(numbers, sizes), axis=1)
    else:
        codes = np.empty((0, num_levels), "int64")
    while len(codes) < num_items:
        drawn = generator.integers(sizes, size=(2 * num_items, num_levels))
        both = np.concatenate([codes, drawn])
        _, first = np.unique(both, axis=0, return_index=True)
        codes = both[np.sort(first)][:num_items]
    return ItemCodes(np.concatenate([np.zeros((1, num_levels), "int64"), codes + 1]), sizes)
