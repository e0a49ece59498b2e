"""Parts of a test that are told apart: users of few training items, and items of few rows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

FEW, RARE = 3, 5  # training items of a user, the fewest; training rows that a rare item has not


def parts_of(items: np.ndarray, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Which test rows are in a part, by its prefix: all of them "", then "few_" and "rare_".

    Args:
        items: of each test row, how many training items its user has.
        rows: of each test row, how many training rows its target has.
    """
    return {"": np.ones(len(items), bool), "few_": items <= FEW, "rare_": rows < RARE}


def of_parts(
    places: dict[str, np.ndarray], score: Callable[[np.ndarray], dict[str, float]]
) -> dict[str, float]:
    """The metrics of each part's rows, behind the part's prefix; of a part without rows none."""
    return {
        part + name: value for part, rows in places.items()
        if len(rows) for name, value in score(rows).items()
    }  # fmt: skip
