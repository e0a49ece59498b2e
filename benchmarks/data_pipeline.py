"""Seconds from raw interactions to training arrays: encode, split, sequences, negatives.

The interactions are drawn: text users, integer items of long-tailed popularity, a category,
a price with gaps, and times. Each step is timed alone, once; wall and processor seconds.

    python benchmarks/data_pipeline.py
    python benchmarks/data_pipeline.py --rows 10000000 --users 500000 --items 100000
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from deeprec_tf.data import (
    Category,
    CategoryList,
    FeatureEncoder,
    NegativeSampler,
    Number,
    add_negatives,
    build_sequences,
    item_table,
    temporal_split,
)


def make_interactions(rows: int, users: int, items: int, seed: int) -> pd.DataFrame:
    """A log with the columns that a shop would have."""
    rng = np.random.default_rng(seed)
    item = np.minimum((rng.pareto(1.0, rows) * items / 100).astype(np.int64), items - 1)
    genres = np.array(["Action", "Comedy|Drama", "Drama", "Action|Sci-Fi|Thriller"], object)
    price = rng.gamma(2.0, 30.0, rows)
    price[rng.random(rows) < 0.05] = np.nan
    user_names = np.array([f"user-{number}" for number in range(users)], object)
    return pd.DataFrame(
        {
            "user_id": user_names[rng.integers(0, users, rows)],
            "item_id": item * 7 + 10_000_000_000,
            "cate_id": item % 97,
            "genres": genres[item % 4],
            "price": price,
            "timestamp": rng.integers(1_500_000_000, 1_600_000_000, rows),
        }
    )


class Stopwatch:
    """Runs steps and keeps their seconds."""

    def __init__(self) -> None:
        self.seconds: dict[str, tuple[float, float]] = {}

    def __call__(self, name: str, step: Callable[[], Any]) -> Any:
        """Run a step and print what it took."""
        wall, cpu = time.perf_counter(), time.process_time()
        result = step()
        spent = (time.perf_counter() - wall, time.process_time() - cpu)
        self.seconds[name] = spent
        print(f"{name:<38}{spent[0]:8.2f} s{spent[1]:8.2f} s")
        return result


def run(rows: int, users: int, items: int, maxlen: int, seed: int) -> dict[str, Any]:
    """All steps on one log; returns the figures."""
    frame = make_interactions(rows, users, items, seed)
    watch = Stopwatch()
    print(f"{rows:,} interactions, {users:,} users, {items:,} items, maxlen {maxlen}")
    print(f"{'step':<38}{'wall':>10}{'processor':>10}")

    split = watch("temporal_split", lambda: temporal_split(frame))
    encoder = FeatureEncoder(
        [
            Category("user_id"),
            Category("item_id", min_frequency=2),
            Category("cate_id"),
            CategoryList("genres", 3, separator="|"),
            Number("price", transform="log1p"),
        ]
    )
    watch("FeatureEncoder.fit (training rows)", lambda: encoder.fit(frame.iloc[split.train]))
    batch = watch("FeatureEncoder.transform", lambda: encoder.transform(frame))
    batch["timestamp"] = frame["timestamp"].to_numpy()
    histories = watch(
        "build_sequences (item, category)",
        lambda: build_sequences(batch, fields=["cate_id"], maxlen=maxlen),
    )
    fields = watch(
        "item_table",
        lambda: item_table(batch, ["cate_id", "genres"], size=encoder.vocabulary("item_id").size),
    )
    train = {name: batch[name][split.train] for name in ("user_id", "item_id")}
    sampler = watch(
        "NegativeSampler (popularity)",
        lambda: NegativeSampler(
            train,
            candidates=encoder.vocabulary("item_id").ids,
            strategy="popularity",
            item_fields=fields,
        ),
    )
    watch("sample, 4 a row", lambda: sampler.sample(batch["user_id"], 4))
    watch("add_negatives, 1 a row", lambda: add_negatives(batch, sampler, 1))
    total_steps = int(histories["hist_length"].sum())
    watch(
        f"sample_histories, {total_steps:,} steps",
        lambda: sampler.sample_histories(batch["user_id"], histories["hist_item_id"]),
    )
    wall, cpu = (sum(figures) for figures in zip(*watch.seconds.values(), strict=True))
    print(f"{'total':<38}{wall:8.2f} s{cpu:8.2f} s")
    return {"rows": rows, "seconds": watch.seconds, "wall": wall, "processor": cpu}


def main(argv: list[str] | None = None) -> int:
    """Parse the arguments, run, print; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000, help="number of interactions")
    parser.add_argument("--users", type=int, default=50_000, help="number of users")
    parser.add_argument("--items", type=int, default=20_000, help="number of items")
    parser.add_argument("--maxlen", type=int, default=20, help="length of the histories")
    parser.add_argument("--seed", type=int, default=0, help="seed of the drawn log")
    parser.add_argument("--json", help="file to write the figures to")
    given = parser.parse_args(argv)
    figures = run(given.rows, given.users, given.items, given.maxlen, given.seed)
    if given.json:
        with open(given.json, "w", encoding="utf-8") as file:
            json.dump(figures, file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
