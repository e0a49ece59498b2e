"""What an index is given: vectors, ids and lists of excluded ids, checked and brought to form."""

from __future__ import annotations

from typing import Any

import numpy as np

_MEND = "Give the output of item_encoder(model) or user_encoder(model)."


def item_vectors(owner: str, vectors: Any) -> np.ndarray:
    """(V, D) as float32.

    Raises:
        TypeError, ValueError: no numbers, no such shape, no rows, or not finite.
    """
    array = _floats(owner, "vectors", vectors)
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(
            f"{owner}: vectors must have shape (number of items, width), got {array.shape}. {_MEND}"
        )
    return _finite(owner, "vectors", array)


def query_vectors(owner: str, queries: Any, width: int) -> np.ndarray:
    """(N, D) or (N, K, D) as float32.

    Raises:
        TypeError, ValueError: no numbers, another width than the items', or not finite.
    """
    array = _floats(owner, "queries", queries)
    if array.ndim not in (2, 3) or array.shape[-1] != width or 0 in array.shape[1:]:
        raise ValueError(
            f"{owner}: queries must have shape (N, {width}), or (N, K, {width}) for K interests a "
            f"user, as the items have {width} numbers each; got {array.shape}. {_MEND}"
        )
    return _finite(owner, "queries", array)


def item_ids(owner: str, ids: Any, count: int) -> np.ndarray:
    """(V,) as int64 or text; row numbers when None.

    Raises:
        TypeError: neither integers nor text.
        ValueError: another number than of vectors, a repeated id, or one that stands for "none".
    """
    if ids is None:
        return np.arange(count)
    array = key_array(owner, "ids", ids)
    check_one_each(owner, array, count)
    values, counts = np.unique(array, return_counts=True)
    if len(values) < count:
        raise ValueError(
            f"{owner}: ids must differ, but {values[counts.argmax()].item()!r} stands there "
            f"{counts.max()} times. Give each item once."
        )
    none = nobody(array)
    if none in values:
        raise ValueError(
            f"{owner}: the id {none!r} stands for 'no item' in answers. Number the item otherwise."
        )
    return array


def check_one_each(owner: str, ids: np.ndarray, count: int) -> None:
    """Raises ValueError where ids are not one for each of `count` vectors."""
    if ids.shape != (count,):
        raise ValueError(
            f"{owner}: ids must have shape ({count},), one for each vector, got {ids.shape}."
        )


def nobody(ids: np.ndarray) -> Any:
    """What stands for "no item": -1, or "" among texts."""
    return -1 if ids.dtype.kind == "i" else ""


def key_array(owner: str, what: str, values: Any) -> np.ndarray:
    """Integers as int64, texts as fixed-width text.

    Raises:
        TypeError: neither.
    """
    array = np.asarray(values)
    if array.dtype == object:
        array = np.array(array.tolist())  # texts or integers of Python
    if array.dtype.kind == "u" and array.size and array.max() > np.iinfo(np.int64).max:
        raise ValueError(f"{owner}: {what} has integers beyond int64. Give text.")
    if array.dtype.kind in "iu":
        return array.astype(np.int64)
    if array.dtype.kind == "U":
        return array
    raise TypeError(f"{owner}: {what} must hold integers or text, got {array.dtype}.")


def excluded_positions(
    owner: str, exclude: Any, ids: np.ndarray, rows: int, what: str = "exclude"
) -> np.ndarray | None:
    """Positions of excluded ids, (N, E) int32 with -1 for none; `ids` must be sorted.

    Args:
        owner: what error messages begin with.
        exclude: as for `ItemIndex.search`.
        ids: those of the index, (V,).
        rows: number of queries.
        what: the argument's name, for messages.

    Raises:
        TypeError: ids of another kind than the index's.
        ValueError: another number of rows than queries, or a padded array whose padding could be
            an item.
    """
    if exclude is None:
        return None
    if hasattr(exclude, "to_list") and hasattr(exclude, "row_splits"):
        exclude = exclude.to_list()  # tf.RaggedTensor
    is_padded = getattr(exclude, "ndim", None) == 2
    lists = list(np.asarray(exclude)) if is_padded else [
        np.asarray([] if row is None else row) for row in exclude
    ]
    if any(row.ndim != 1 for row in lists):
        raise ValueError(
            f"{owner}: {what} must hold a list of ids for each query, or be a padded array (N, E)."
        )
    if len(lists) != rows:
        raise ValueError(f"{owner}: {what} has {len(lists)} rows, the queries have {rows}.")
    lengths = np.fromiter((len(row) for row in lists), np.int64, rows)
    if not lengths.any():
        return None
    flat = np.concatenate([row for row in lists if len(row)])
    keys = key_array(owner, what, flat)
    if keys.dtype.kind != ids.dtype.kind:
        words = {"i": "integers", "U": "text"}
        raise TypeError(
            f"{owner}: {what} holds {words[keys.dtype.kind]}, the index's ids are "
            f"{words[ids.dtype.kind]}."
        )
    if is_padded and ids.dtype.kind == "i" and (keys == 0).any() and 0 in ids:
        raise ValueError(
            f"{owner}: a 0 in the array {what} could be padding or the item 0. Give lists, where "
            "every id counts."
        )
    places = np.minimum(np.searchsorted(ids, keys), len(ids) - 1)
    known = ids[places] == keys
    if not known.any():
        return None
    row = np.repeat(np.arange(rows), lengths)[known]
    # Left-aligned, as wide as the longest list of items.
    counts = np.bincount(row, minlength=rows)
    column = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
    table = np.full((rows, counts.max()), -1, np.int32)
    table[row, column] = places[known]
    return table


def checked_number(owner: str, k: Any, items: int) -> int:
    """k, a whole number from 1 to the number of items.

    Raises:
        ValueError: it is none.
    """
    if isinstance(k, bool) or not hasattr(k, "__index__") or not 1 <= k <= items:
        raise ValueError(
            f"{owner}: k must be a whole number from 1 to {items}, the number of items, got {k!r}."
        )
    return int(k)


def _floats(owner: str, what: str, values: Any) -> np.ndarray:
    array = np.asarray(values)
    if array.dtype.kind not in "fiu" and array.dtype.name != "bfloat16":
        raise TypeError(f"{owner}: {what} must hold numbers, got {array.dtype}. {_MEND}")
    return np.ascontiguousarray(array, dtype=np.float32)


def _finite(owner: str, what: str, array: np.ndarray) -> np.ndarray:
    bad = np.unique(np.argwhere(~np.isfinite(array))[:, 0])
    if len(bad):
        raise ValueError(
            f"{owner}: {what} must be finite, but {len(bad)} rows hold NaN or infinity, the first "
            f"is row {bad[0]}. Did training diverge?"
        )
    return array
