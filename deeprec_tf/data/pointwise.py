"""Point-wise examples: a label 0 or 1 for every (user, item) row."""

from __future__ import annotations

from typing import Any

import numpy as np

from deeprec_tf.data.negatives import NegativeSampler, Seed, seeded_generator
from deeprec_tf.data.tables import (
    Table,
    get_column,
    get_series,
    positive_count,
    row_count,
    take,
)

_ADD = 3  # beside the streams of NegativeSampler's own methods


def add_negatives(
    positives: Table,
    sampler: NegativeSampler,
    num_negatives: int = 1,
    *,
    label: str = "label",
    seed: Seed | None = None,
) -> Any:
    """Point-wise examples: each positive row is followed by its negatives, labelled 0.

    A negative row is a copy of its positive (same user, histories, time) with another item and
    that item's fields. It gets neither an item that the user has nor the row's own item.

    Args:
        positives: DataFrame or dict of arrays. Rows whose `label` is 0 are kept as they are
            and get no negatives; without that column every row is a positive.
        sampler: a `NegativeSampler`; its `user`, `item` and `item_fields` name the columns.
        num_negatives: negatives a positive.
        label: name of the label column, written as float32.
        seed: as for `NegativeSampler.sample`.

    Returns:
        A table of the same kind.

    Raises:
        ValueError: a column is missing, a label is neither 0 nor 1, or a user has every item.

    Example:
        >>> log = {"user_id": [1, 1], "item_id": [1, 2]}
        >>> sampler = NegativeSampler(log, candidates=3)
        >>> add_negatives(log, sampler)["item_id"].tolist()
        [1, 3, 2, 3]
    """
    owner = "add_negatives"
    total = row_count(owner, positives)
    count = positive_count(owner, "num_negatives", num_negatives)
    labels = np.ones(total, np.float32)
    if label in positives:
        labels = get_series(owner, positives, label).to_numpy(dtype=np.float32)
        if not np.isin(labels, (0.0, 1.0)).all():
            raise ValueError(f"{owner}: column {label!r} must hold 0 and 1 only.")
    for name in (sampler.user, sampler.item, *sampler.item_fields):
        get_column(owner, positives, name)

    repeats = np.where(labels == 1.0, 1 + count, 1)
    source = np.repeat(np.arange(total), repeats)
    first = np.zeros(len(source), bool)
    first[np.cumsum(repeats) - repeats] = True
    table = take(positives, source)

    is_positive = labels == 1.0
    users = get_series(owner, positives, sampler.user)[is_positive]
    items = get_series(owner, positives, sampler.item).to_numpy()[is_positive]
    rng = seeded_generator(sampler.seed if seed is None else seed, _ADD)
    drawn = sampler.sample(users, count, exclude=items, seed=rng).ravel()
    columns = {sampler.item: drawn}
    columns.update({name: values[drawn] for name, values in sampler.item_fields.items()})
    for name, values in columns.items():
        table[name] = _with_values(np.array(table[name]), ~first, values)
    table[label] = np.where(first, labels[source], np.float32(0))
    return table


def _with_values(column: np.ndarray, places: np.ndarray, values: np.ndarray) -> Any:
    """The column with other values at some places: no text is cut, no number changed."""
    if column.ndim < values.ndim:  # a DataFrame has its lists as objects
        rows = list(column)
        for place, value in zip(np.flatnonzero(places), values, strict=True):
            rows[place] = value.tolist() if isinstance(rows[place], list) else value
        return rows
    with np.errstate(invalid="ignore"):
        fits = np.array_equal(values.astype(column.dtype), values)
    column = column if fits else column.astype(np.result_type(column.dtype, values.dtype))
    column[places] = values
    return column
