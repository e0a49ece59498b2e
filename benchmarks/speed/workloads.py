"""Seeded synthetic training data for the speed benchmark; nothing is downloaded.

Ids follow a Zipf law, so that rows repeat within a batch as they do in click logs; labels carry
no meaning, since only speed is measured. Every column is an array of its own, named as the
models' inputs are.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

EMBEDDING_DIM = 16
ZIPF_EXPONENT = 1.05
CATEGORIES = tuple(f"C{field}" for field in range(26))
NUMBERS = 13
HISTORY_STEPS = 50
SHORTEST_HISTORY = 5
LONG_STEPS = 200
CONTEXT_ROWS = {"gender": 3, "age": 10, "hour": 24}
LARGE_FIELD = CATEGORIES[-1]
LARGE_FIELD_IDS = 10_000
TASK_FIELDS = tuple(f"F{field}" for field in range(40))
SEQUENCE_WIDTH = 64
PROFILE_ROWS = {"gender": 3, "age": 8, "occupation": 22, "zip_code": 3_500}


@dataclass(frozen=True)
class Workload:
    """Columns of a training set.

    Attributes:
        arrays: columns by name, one entry a row of the set; `label` is among them.
        table_rows: rows of the embedding table, by column; histories share their item's.
    """

    arrays: dict[str, np.ndarray]
    table_rows: dict[str, int]

    @property
    def rows(self) -> int:
        """Examples in the set."""
        return len(self.arrays["label"])

    def columns(self, *names: str) -> dict[str, np.ndarray]:
        """Some of the columns, by name."""
        return {name: self.arrays[name] for name in names}

    def save(self, path: Path) -> None:
        """Writes the set to one .npz file."""
        np.savez(path, table_rows=np.array(json.dumps(self.table_rows)), **self.arrays)

    @classmethod
    def load(cls, path: Path) -> Workload:
        """Reads what `save` wrote."""
        with np.load(path) as stored:
            arrays = {name: stored[name] for name in stored.files}
        return cls(table_rows=json.loads(str(arrays.pop("table_rows"))), arrays=arrays)


def zipf_ids(
    rng: np.random.Generator, shape: int | tuple[int, ...], rows: int, *, first: int = 0
) -> np.ndarray:
    """Ids in [first, first + rows), the k-th most frequent drawn about as often as 1 / k**1.05.

    Which id is how frequent is itself drawn, so that frequent rows are spread over the table.
    """
    cumulative = np.cumsum(np.arange(1.0, rows + 1.0) ** -ZIPF_EXPONENT)
    rank = np.searchsorted(cumulative, rng.random(shape) * cumulative[-1], side="right")
    return (rng.permutation(rows)[np.minimum(rank, rows - 1)] + first).astype(np.int32)


def tabular(rows: int = 200_000, seed: int = 7) -> Workload:
    """Click log of a display ad: 26 fields with 10 to 100,000 ids, 324,475 in all; 13 numbers."""
    rng = np.random.default_rng(seed)
    sizes = np.round(np.logspace(1, 5, len(CATEGORIES))).astype(int)
    table_rows = {name: int(size) for name, size in zip(CATEGORIES, sizes, strict=True)}
    arrays = {name: zipf_ids(rng, rows, size) for name, size in table_rows.items()}
    arrays["numbers"] = np.log1p(rng.lognormal(size=(rows, NUMBERS))).astype(np.float32)
    arrays["label"] = (rng.random(rows) < 0.25).astype(np.float32)
    return Workload(arrays, table_rows)


def large_table(table_rows: int, rows: int = 100_000, seed: int = 7) -> Workload:
    """`tabular` with one field in a table of any size.

    The field has the same 10,000 distinct ids whatever the table's size, spread evenly over it:
    a batch touches as many rows of a large table as of a small one.
    """
    small = tabular(rows, seed)
    rng = np.random.default_rng(seed + 1)
    ids = zipf_ids(rng, rows, LARGE_FIELD_IDS) * np.int32(table_rows // LARGE_FIELD_IDS)
    return Workload(
        {**small.arrays, LARGE_FIELD: ids}, {**small.table_rows, LARGE_FIELD: table_rows}
    )


def behavior(rows: int = 60_000, seed: int = 8) -> Workload:
    """Clicks with histories: 50,000 items of 500 categories, 5 to 50 steps of at most 50.

    Every real step has a sampled negative. Beside target and history stand a user (20,000), three
    small context fields and one number.
    """
    rng = np.random.default_rng(seed)
    items, categories, users, steps = 50_000, 500, 20_000, HISTORY_STEPS
    category_of = np.zeros(items, np.int32)  # the padding item 0 is of category 0
    category_of[1:] = rng.integers(1, categories, items - 1)
    length = rng.integers(SHORTEST_HISTORY, steps + 1, rows).astype(np.int32)
    is_real = np.arange(steps) < length[:, None]
    history = np.where(is_real, zipf_ids(rng, (rows, steps), items - 1, first=1), 0)
    negatives = np.where(is_real, rng.integers(1, items, (rows, steps), np.int32), 0)
    item = zipf_ids(rng, rows, items - 1, first=1)
    arrays = {
        "user": zipf_ids(rng, rows, users - 1, first=1),
        "item": item,
        "cate": category_of[item],
        "hist_item": history.astype(np.int32),
        "hist_cate": category_of[history],
        "neg_hist_item": negatives.astype(np.int32),
        "neg_hist_cate": category_of[negatives],
        "seq_length": length,
        **{name: zipf_ids(rng, rows, size) for name, size in CONTEXT_ROWS.items()},
        "score": rng.random(rows).astype(np.float32),
        "label": rng.integers(0, 2, rows).astype(np.float32),
    }
    return Workload(arrays, {"user": users, "item": items, "cate": categories, **CONTEXT_ROWS})


def long_history(rows: int = 4_000, seed: int = 9) -> Workload:
    """Sequences of 20 to 200 of 3,952 items, and the item that comes next: MovieLens-1M's sizes."""
    rng = np.random.default_rng(seed)
    items, steps = 3_952, LONG_STEPS
    length = rng.integers(20, steps + 1, rows)
    path = zipf_ids(rng, (rows, steps + 1), items, first=1)
    arrays = {
        "hist_item_id": np.where(np.arange(steps) < length[:, None], path[:, :steps], 0),
        "item_id": path[np.arange(rows), length],
        "label": np.ones(rows, np.float32),
    }
    return Workload(arrays, {"item_id": items + 1})


def multitask(rows: int = 100_000, seed: int = 10) -> Workload:
    """Impressions of 40 fields, 4 to 50,000 ids each; 25 % clicked, 20 % of those converted."""
    rng = np.random.default_rng(seed)
    sizes = np.round(np.geomspace(4, 50_000, len(TASK_FIELDS))).astype(int)
    table_rows = {name: int(size) for name, size in zip(TASK_FIELDS, sizes, strict=True)}
    arrays = {name: zipf_ids(rng, rows, size) for name, size in table_rows.items()}
    arrays["label"] = (rng.random(rows) < 0.25).astype(np.float32)
    arrays["conversion"] = arrays["label"] * (rng.random(rows) < 0.2)
    return Workload({**arrays, "conversion": arrays["conversion"].astype(np.float32)}, table_rows)


def sequences(rows: int = 22_363, seed: int = 11) -> Workload:
    """A row a user: 4 to 50 of 12,101 items, 8 on average, and the next one: Amazon Beauty's sizes.

    A model that learns from every step learns from as many next items as a row has steps.
    """
    rng = np.random.default_rng(seed)
    items, steps = 12_101, HISTORY_STEPS
    length = np.minimum(3 + rng.geometric(0.2, rows), steps)
    path = zipf_ids(rng, (rows, steps + 1), items, first=1)
    arrays = {
        "hist_item_id": np.where(np.arange(steps) < length[:, None], path[:, :steps], 0),
        "item_id": path[np.arange(rows), length],
        "steps": length.astype(np.int32),
        "label": np.ones(rows, np.float32),
    }
    return Workload(arrays, {"item_id": items + 1})


def prefixes(users: int = 22_363, seed: int = 11) -> Workload:
    """`sequences` with a row for each step: the history up to it, and the item that follows."""
    whole = sequences(users, seed)
    history, length = whole.arrays["hist_item_id"], whole.arrays["steps"]
    user = np.repeat(np.arange(users), length)
    steps = np.concatenate([np.arange(1, count + 1) for count in length])
    order = np.random.default_rng(seed).permutation(len(user))  # fit's batches mix lengths anyway
    user, steps = user[order], steps[order]
    following = np.concatenate([history, np.zeros((users, 1), np.int32)], axis=1)
    following[np.arange(users), length] = whole.arrays["item_id"]
    arrays = {
        "hist_item_id": np.where(np.arange(HISTORY_STEPS) < steps[:, None], history[user], 0),
        "item_id": following[user, steps],
        "steps": np.ones(len(user), np.int32),
        "label": np.ones(len(user), np.float32),
    }
    return Workload(arrays, whole.table_rows)


def two_towers(rows: int = 100_000, seed: int = 12) -> Workload:
    """Users and the items they took.

    20,000 users with four fields and histories of 1 to 50 items; 50,000 items of 500 categories.
    """
    rng = np.random.default_rng(seed)
    items, categories, users, steps = 50_000, 500, 20_000, HISTORY_STEPS
    category_of = np.zeros(items, np.int32)
    category_of[1:] = rng.integers(1, categories, items - 1)
    is_real = np.arange(steps) < rng.integers(1, steps + 1, rows)[:, None]
    item = zipf_ids(rng, rows, items - 1, first=1)
    arrays = {
        "user_id": zipf_ids(rng, rows, users - 1, first=1),
        **{name: zipf_ids(rng, rows, size) for name, size in PROFILE_ROWS.items()},
        "hist_item_id": np.where(is_real, zipf_ids(rng, (rows, steps), items - 1, first=1), 0),
        "item_id": item,
        "category": category_of[item],
        "label": np.ones(rows, np.float32),
    }
    return Workload(arrays, {"user_id": users, **PROFILE_ROWS, "item_id": items,
                             "category": categories})  # fmt: skip


WORKLOADS: dict[str, Callable[[], Workload]] = {
    "tabular": tabular,
    "behavior": behavior,
    "long_history": long_history,
    "multitask": multitask,
    "sequences": sequences,
    "prefixes": prefixes,
    "two_towers": two_towers,
    "table_10k": lambda: large_table(10_000),
    "table_10m": lambda: large_table(10_000_000),
}
