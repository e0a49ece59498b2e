"""Arrow lists to flat elements: those that go step by step lose a step all together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

_OWNER = "read_parquet_batches"


def is_list(kind: Any) -> bool:
    """Whether an Arrow type is that of lists."""
    import pyarrow.types as types

    return types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)


def list_parts(name: str, column: Any) -> tuple[Any, np.ndarray]:
    """Elements of a column of lists, and how many of them each row has; a null row has none.

    Raises:
        TypeError: the column holds no lists.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    column = column.combine_chunks()
    if not is_list(column.type):
        raise TypeError(f"{_OWNER}: column {name!r} must hold lists, got {column.type}.")
    if pa.types.is_fixed_size_list(column.type):
        column = column.cast(pa.list_(column.type.value_type))
    lengths = pc.list_value_length(column).fill_null(0).to_numpy(zero_copy_only=False)
    return column.flatten(), lengths.astype(np.int64)  # flatten leaves null rows out


def kept_steps(
    parts: Mapping[str, tuple[Any, np.ndarray]],
    *,
    real_steps: np.ndarray | None = None,
    refuse_nulls: bool = False,
) -> tuple[dict[str, Any], np.ndarray]:
    """Lists that go step by step, without the steps where one of them has a null.

    Args:
        parts: by column, its elements and how many of them each row has.
        real_steps: how many steps of each row count; those behind are left out.
        refuse_nulls: a null in a step that counts is an error.

    Returns:
        The elements by column, and how many of them each row has.

    Raises:
        ValueError: two columns differ in the elements of a row, or a null is refused.
    """
    if real_steps is not None:
        parts = {name: _beginning(*part, real_steps) for name, part in parts.items()}
    first, lengths = next((name, lengths) for name, (_, lengths) in parts.items())
    rows = np.repeat(np.arange(len(lengths)), lengths)
    is_kept = np.ones(len(rows), bool)
    for name, (elements, others) in parts.items():
        if (others != lengths).any():
            row = int(np.argmax(others != lengths))
            raise ValueError(
                f"{_OWNER}: {first!r} and {name!r} share a length or are a list and its weights, "
                f"but have {lengths[row]} and {others[row]} elements in row {row} of a batch. "
                "Write them equally long."
            )
        if elements.null_count:
            is_kept &= elements.is_valid().to_numpy(zero_copy_only=False)
            if refuse_nulls:
                raise ValueError(_has_null_elements(name, rows[~is_kept][0]))
    if is_kept.all():
        return {name: elements for name, (elements, _) in parts.items()}, lengths
    kept = {name: elements.filter(is_kept) for name, (elements, _) in parts.items()}
    return kept, np.bincount(rows[is_kept], minlength=len(lengths))


def _beginning(elements: Any, lengths: np.ndarray, most: np.ndarray) -> tuple[Any, np.ndarray]:
    """The first elements of each row, at most `most` of them."""
    start = np.cumsum(lengths) - lengths
    places = np.arange(len(elements)) - np.repeat(start, lengths)
    kept = elements.filter(places < np.repeat(most, lengths))
    return kept, np.clip(most, 0, lengths).astype(np.int64)


def _has_null_elements(name: str, row: int) -> str:
    return (
        f"{_OWNER}: the list of column {name!r} in row {row} of a batch has a null element, and "
        "dropping it would shift it against its length or against other lists. Write a value in "
        "its place; where no length stands in the files, lists that share a length_name drop the "
        "step together."
    )
