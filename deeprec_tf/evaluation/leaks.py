"""Inputs that tell a label by themselves."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from deeprec_tf.evaluation.ctr import as_arrays
from deeprec_tf.evaluation.ctr_metrics import exact_auc

_OWNER = "label_leaks"
_MOST_ROWS = 100_000


def label_leaks(x, y, *, threshold: float = 0.99, seed: int = 0) -> pd.DataFrame:
    """Warns where one input alone predicts a binary label: what is known after it, as a rule.

    Half of the rows say what share of labels is 1 for each value of the input, the other half is
    scored by that: categories by their own share (those not seen by that of all), numbers by their
    size, in either direction. Of lists of ids, the number of entries that are not 0 is taken, of
    vectors of numbers each number by itself. Of more than 100,000 rows a sample is.

    Args:
        x: dict of arrays by input name, or a DataFrame.
        y: labels 0 or 1 (N,), or a dict of them by task; NaN where there is none. Tasks that are
            not binary are left out.
        threshold: AUC above which an input is named, in (.5, 1].
        seed: seed of the halves and of the sample.

    Returns:
        A DataFrame of the AUC of each input alone, a column a task, the highest first.

    Raises:
        ValueError: lengths that differ, or no binary label.

    Warns:
        UserWarning: for each input and task above the threshold.

    Example:
        >>> clicks = np.arange(200) % 2
        >>> with warnings.catch_warnings():
        ...     warnings.simplefilter("ignore")
        ...     found = label_leaks({"paid": clicks * 5.0, "hour": np.arange(200) // 2}, clicks)
        >>> found.index.tolist()
        ['paid', 'hour']
    """
    if not 0.5 < threshold <= 1:
        raise ValueError(f"{_OWNER}: threshold must lie in (0.5, 1], got {threshold!r}.")
    x, y = as_arrays(x), as_arrays(y)
    labels = y if isinstance(y, Mapping) else {"label": y}
    found: dict[str, dict[str, float]] = {name: {} for name in x}
    for task, label in labels.items():
        label = np.asarray(label, "float64").reshape(-1)
        known = np.flatnonzero(~np.isnan(label))
        if not np.isin(label[known], (0, 1)).all() or len(np.unique(label[known])) < 2:
            continue
        generator = np.random.default_rng(seed)
        rows = generator.permutation(known)[:_MOST_ROWS]
        half = len(rows) // 2
        for name, values in x.items():
            if len(values) != len(label):
                raise ValueError(
                    f"{_OWNER}: {name!r} has {len(values)} rows, the labels of {task!r} have "
                    f"{len(label)}."
                )
            auc = max(
                _auc_alone(one, label, rows[:half], rows[half:]) for one in _one_a_row(values)
            )
            found[name][task] = auc
            if auc > threshold:
                warnings.warn(
                    f"{_OWNER}: the input {name!r} alone predicts {task!r} with an AUC of "
                    f"{auc:.4f}. If it is known after the label, leave it out.",
                    stacklevel=2,
                )
    if not any(found.values()):
        raise ValueError(f"{_OWNER}: none of {list(labels)} is a binary label with both classes.")
    table = pd.DataFrame.from_dict(found, orient="index").rename_axis("input")
    return table.loc[table.max(axis=1).sort_values(ascending=False, kind="stable").index]


def _one_a_row(values: Any) -> list[np.ndarray]:
    """A value a row, of vectors of numbers several: of lists of ids their length."""
    values = np.asarray(values)
    flat = values.reshape(len(values), -1)
    if flat.shape[1] == 1 or flat.dtype.kind == "f":
        return list(flat.T)
    return [(flat != ("" if flat.dtype.kind in "OUS" else 0)).sum(axis=1)]


def _auc_alone(values: np.ndarray, label: np.ndarray, fit: np.ndarray, score: np.ndarray) -> float:
    """The better of two AUCs on the second half: by the values' shares, and by their size."""
    wanted = label[score]
    if len(np.unique(wanted)) < 2:
        return float("nan")
    share = pd.Series(label[fit]).groupby(pd.Series(values[fit])).mean()
    by_share = pd.Series(values[score]).map(share).fillna(label[fit].mean()).to_numpy("float64")
    best = exact_auc(wanted, by_share)
    if values.dtype.kind in "fiub":
        numbers = np.nan_to_num(values[score].astype("float64"))
        by_size = exact_auc(wanted, numbers)
        best = max(best, by_size, 1 - by_size)
    return best
