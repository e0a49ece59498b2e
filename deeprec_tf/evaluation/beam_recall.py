"""How much of what a wide beam finds a narrow one finds."""

from __future__ import annotations

from typing import Any

import numpy as np


def beam_recall(narrow_ids: Any, wide_ids: Any, k: int) -> float:
    """Share of a wide beam's first k items that are among a narrow beam's first k, by user.

    A beam as wide as the catalogue is the exact ranking: 1 then says that the narrow one loses
    nothing. Users to whom the wide beam answers nothing do not count.

    Args:
        narrow_ids: items of each user by the narrow beam (N, R), best first, -1 where there is
            none; R may be below k.
        wide_ids: those by the wide beam (N, S), S at least k.
        k: length of the lists.

    Returns:
        The mean over users, 0 to 1.

    Raises:
        TypeError: ids are no integers (N, R).
        ValueError: the rows differ in number, the wide beam has fewer than k columns, or it answers
            nothing to anyone.

    Example:
        >>> beam_recall([[4, 2, 9], [7, -1, -1]], [[2, 4, 1], [7, 5, -1]], k=2)
        0.75
    """
    narrow, wide = (np.asarray(ids) for ids in (narrow_ids, wide_ids))
    for name, ids in (("narrow_ids", narrow), ("wide_ids", wide)):
        if ids.ndim != 2 or ids.dtype.kind not in "iu":
            raise TypeError(
                f"beam_recall: {name} must be integer ids (N, R), got {ids.dtype} of shape "
                f"{ids.shape}."
            )
    if len(narrow) != len(wide):
        raise ValueError(
            f"beam_recall: both must answer the same users, got {len(narrow)} and {len(wide)} rows."
        )
    if not 1 <= k <= wide.shape[1]:
        raise ValueError(
            f"beam_recall: k must be at least 1 and at most the {wide.shape[1]} columns of "
            f"wide_ids, got {k}. Give the model more num_results."
        )
    wanted = wide[:, :k]
    is_item = wanted > 0
    is_found = (wanted[:, :, None] == narrow[:, None, :k]).any(axis=-1) & is_item
    answered = is_item.any(axis=1)
    if not answered.any():
        raise ValueError("beam_recall: wide_ids has no item for any user.")
    return float((is_found[answered].sum(axis=1) / is_item[answered].sum(axis=1)).mean())
