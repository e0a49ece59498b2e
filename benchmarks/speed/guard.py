"""Fails where this library has become slow: a short run against plain Keras, for CI.

    python benchmarks/speed/guard.py

Ours and plain Keras take turns in one process on one core; what is judged is the ratio of the two,
never a time of its own. The bounds are wide: they are meant to notice a fast path that is no
longer taken, not a few percent. Prints a table; exits 1 and names the rows that are out of bounds.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from subject import FitSubject, use_one_core
from subject_deeprec_tf import DeepRecSubject
from subject_keras import KerasSubject
from workloads import Workload, behavior, tabular

BATCH = 1024
ROUNDS = 3
SECONDS = 0.8  # of training, a turn


@dataclass(frozen=True)
class Bound:
    """What was measured against plain Keras when the bound was set.

    Attributes:
        speed: examples a CPU-second, ours by Keras's; less than `LEAST` of it fails.
        first_step: CPU seconds from build to first step, ours by Keras's; more than `MOST` times
            that fails.
    """

    speed: float
    first_step: float


LEAST, MOST = 0.6, 2.0
# Keras: DIN with sigmoid units; for DIEN a GRU with attention, which is far less work; for BST
# a block that computes the outputs of all steps, as ours does there.
BOUNDS = {
    "DeepFM": Bound(speed=1.7, first_step=0.35),
    "DIN": Bound(speed=1.25, first_step=0.9),
    "DIEN": Bound(speed=1.7, first_step=0.8),
    "DCNv2": Bound(speed=1.25, first_step=0.4),
    "BST": Bound(speed=1.85, first_step=0.9),
}
# Of ours and of Keras, where they have some.
OPTIONS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "BST": ({"readout": "mean"}, {"all": True}),
}
DATA: dict[str, Callable[[], Workload]] = {
    "DeepFM": lambda: tabular(rows=40_000),
    "DIN": lambda: behavior(rows=20_000),
    "DIEN": lambda: behavior(rows=20_000),
    "DCNv2": lambda: tabular(rows=40_000),
    "BST": lambda: behavior(rows=20_000),
}


@dataclass(frozen=True)
class Row:
    """One judged figure: ours, Keras's, the ratio of the two and the bound it must keep."""

    name: str
    ours: float
    keras: float
    ratio: float
    bound: float
    more_is_better: bool

    @property
    def is_good(self) -> bool:
        """Whether the ratio keeps the bound."""
        return self.ratio >= self.bound if self.more_is_better else self.ratio <= self.bound

    def __str__(self) -> str:
        digits = 0 if self.more_is_better else 1
        bound = f"{'>=' if self.more_is_better else '<='} {self.bound:.2f}"
        return (
            f"{self.name:<30}{self.ours:>10,.{digits}f}{self.keras:>10,.{digits}f}"
            f"{self.ratio:>8.2f}{bound:>10}{'' if self.is_good else '  OUT OF BOUNDS'}"
        )


class Contender:
    """One side of a model: built, warm, and ready to train turn by turn."""

    def __init__(
        self, subject: FitSubject, model: str, data: Workload, options: dict[str, Any]
    ) -> None:
        self.subject = subject
        start = time.process_time()
        subject.build(model, data, BATCH, options)
        subject.train(1)
        self.first_step_s = time.process_time() - start
        subject.train(2)
        step = subject.train(3).cpu / 3
        self.steps = max(1, min(round(SECONDS / step), data.rows // BATCH))

    def rate(self) -> float:
        """Examples a CPU-second of one turn."""
        return self.steps * BATCH / self.subject.train(self.steps).cpu


def judge(model: str, ours: Contender, keras: Contender) -> list[Row]:
    """The two figures of a model; of a side's turns the best counts, being the least disturbed."""
    bound = BOUNDS[model]
    turns = [(ours.rate(), keras.rate()) for _ in range(ROUNDS)]
    rates = [max(side) for side in zip(*turns, strict=True)]
    speed = rates[0] / rates[1]
    first_steps = ours.first_step_s, keras.first_step_s
    return [
        Row(f"{model}, examples / CPU s", *rates, speed, LEAST * bound.speed, True),
        Row(
            f"{model}, first step in CPU s", *first_steps, first_steps[0] / first_steps[1],
            MOST * bound.first_step, False,
        ),
    ]


def warm_up(keras: Any) -> None:
    """Starts what TensorFlow starts once a process, so that the first model does not pay for it."""
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse", jit_compile=True)
    zeros = keras.ops.zeros((8, 1))
    model.fit(zeros, zeros, verbose=0)


def measure() -> list[Row]:
    """All rows, printed as they come."""
    ours, keras = DeepRecSubject(), KerasSubject()
    ours.load()
    keras.load()
    warm_up(keras.keras)
    rows: list[Row] = []
    print(f"{'':<30}{'ours':>10}{'Keras':>10}{'ratio':>8}{'bound':>10}")
    for model, make in DATA.items():
        data = make()
        sides = [
            Contender(subject, model, data, options)
            for subject, options in zip((ours, keras), OPTIONS.get(model, ({}, {})), strict=True)
        ]
        for row in judge(model, *sides):
            print(row, flush=True)
            rows.append(row)
    return rows


def main() -> int:
    """Measures and judges; the exit code."""
    use_one_core()
    bad = [row for row in measure() if not row.is_good]
    print(f"{time.process_time():.0f} CPU seconds")
    for row in bad:
        print(
            f"benchmarks/speed/guard.py: {row.name}: ours by Keras's is {row.ratio:.2f}, the bound "
            f"{row.bound:.2f}. Has a fast path been left? If the change is meant, set BOUNDS anew.",
            file=sys.stderr,
        )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
