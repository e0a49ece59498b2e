"""What is measured of one program, and how.

A subject is one library in one process, held to one core and one thread. `run.py` starts it, and
asks it by lines of JSON on its standard input for one measurement at a time, so that several
subjects can take turns. Needs the standard library and NumPy alone: the subjects' interpreters
differ.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import sys
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from workloads import Workload

HIDDEN_UNITS = (256, 128, 64)
BLOCK_HEADS = 8  # BST
CROSS_LAYERS = 3  # DCNv2
ATTENTION_LAYERS, HEADS, HEAD_SIZE = 3, 2, 8  # AutoInt
BLOCKS, BLOCK_WIDTH, BLOCK_DROPOUT, TEMPERATURE = 2, 50, 0.2, 0.05  # HSTU, one head
EXPERTS, EXPERT_UNITS, TASK_UNITS = 3, (256, 128), (64,)  # MMoE
LEVELS, LEVEL_UNITS = 2, (256,)  # PLE: one expert a task and a shared one
LAYERS, LAYER_HEADS, LAYER_DROPOUT = 2, 2, 0.5  # SASRec
STATES, STATE_DROPOUT = 128, 0.3  # GRU4Rec
SESSION, SESSION_DROPOUTS = 100, (0.25, 0.5)  # NARM
PREDICT_BATCH = 4096
LIBRARY_NOISE = {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNINGS": "ignore"}
ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS",
              "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")  # fmt: skip


def use_one_core() -> None:
    """Holds this process to one core, its libraries to one thread. Call before importing them.

    The core is the machine's last, or that of the variable SPEED_CORE.
    """
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))
    for name, value in LIBRARY_NOISE.items():
        os.environ.setdefault(name, value)
    if hasattr(os, "sched_setaffinity"):
        core = os.environ.get("SPEED_CORE")
        os.sched_setaffinity(0, {int(core) if core else max(os.sched_getaffinity(0))})


def peak_mb() -> float:
    """The most memory this process has held so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def machine_cpu_s() -> float:
    """CPU seconds that all processes of the machine have used since its start; 0 if unknown."""
    try:
        with open("/proc/stat", encoding="ascii") as file:
            ticks = [int(word) for word in file.readline().split()[1:]]
    except OSError:
        return 0.0
    user, nice, system, _idle, _wait, irq, soft_irq, stolen = ticks[:8]
    busy = user + nice + system + irq + soft_irq + stolen
    return busy / os.sysconf("SC_CLK_TCK")


class Span:
    """CPU and wall seconds of this process, all threads, from its making to `stop`.

    `others` is how many cores other processes kept busy meanwhile.
    """

    def __init__(self) -> None:
        self.cpu, self.wall, self.others = 0.0, 0.0, 0.0
        self._start = (time.process_time(), time.perf_counter(), machine_cpu_s())

    def stop(self) -> Span:
        """Ends the span and returns it."""
        cpu, wall, machine = self._start
        self.cpu, self.wall = time.process_time() - cpu, time.perf_counter() - wall
        used = machine_cpu_s() - machine
        self.others = max(0.0, (used - self.cpu) / max(self.wall, 1e-9))
        return self


class Subject(ABC):
    """One library: how it builds the models, trains, predicts and answers one request."""

    rows = 0
    batch = 0
    notes = ""
    learned: np.ndarray | None = None
    """Next items that a row teaches, where a row teaches several."""

    def examples(self, rows: int) -> int:
        """Examples among the first rows: these, or the next items that they teach."""
        return rows if self.learned is None else int(self.learned[:rows].sum())

    @abstractmethod
    def load(self) -> dict[str, str]:
        """Imports the library; returns the versions of what is measured."""

    @abstractmethod
    def build(self, model: str, data: Workload, batch: int, options: dict[str, Any]) -> None:
        """Builds and compiles a model, and readies its inputs."""

    @abstractmethod
    def train(self, steps: int) -> Span:
        """Trains through the library's own API; the span leaves out what is done once a call."""

    @abstractmethod
    def predict(self, rows: int, batch: int) -> Span:
        """Predicts through the library's own API."""

    @abstractmethod
    def request(self) -> Any:
        """Scores one row as the library's documentation does it."""

    @abstractmethod
    def compiled_request(self) -> Any:
        """Scores one row, NumPy in and out, by the fastest means that the library offers."""

    @abstractmethod
    def parameters(self) -> int:
        """Number of the model's weights."""


class FitSubject(Subject):
    """A Keras library, of either generation: `fit` and `predict` on a dict of arrays.

    An epoch is timed from its begin to its end. Set by `load` and `build`: `keras`, `tf`, `model`,
    `x` and `y`.
    """

    keras: Any = None
    tf: Any = None
    model: Any = None
    x: dict[str, np.ndarray]
    y: Any

    def set_data(self, x: dict[str, np.ndarray], y: Any, batch: int) -> None:
        """Keeps the training data; labels are an array, or one a task in a list or dict."""
        self.x, self.y, self.batch = x, y, batch
        self.rows = len(next(iter(x.values())))
        self._compiled: Callable[[dict[str, Any]], Any] | None = None

    def first_rows(self, count: int) -> dict[str, np.ndarray]:
        """The inputs of the first rows."""
        return {name: column[:count] for name, column in self.x.items()}

    def train(self, steps: int) -> Span:
        """One epoch of `fit` over as many rows as the steps take."""
        clock = epoch_clock(self.keras)
        count = steps * self.batch
        self.model.fit(
            self.first_rows(count), self.tf.nest.map_structure(lambda y: y[:count], self.y),
            batch_size=self.batch, epochs=1, verbose=0, callbacks=[clock],
        )
        return clock.span

    def predict(self, rows: int, batch: int) -> Span:
        """`predict` of the first rows."""
        x = self.first_rows(rows)
        span = Span()
        self.model.predict(x, batch_size=batch, verbose=0)
        return span.stop()

    def request(self) -> Any:
        """`predict` of one row."""
        return self.model.predict(self.first_rows(1), batch_size=1, verbose=0)

    def compiled_request(self) -> Any:
        """One row through a `tf.function` around the model."""
        if self._compiled is None:
            self._compiled = self.tf.function(
                lambda x: self.model(x, training=False), reduce_retracing=True
            )
        row = {name: self.tf.constant(column) for name, column in self.first_rows(1).items()}
        return self.tf.nest.map_structure(lambda answer: answer.numpy(), self._compiled(row))

    def parameters(self) -> int:
        """Keras's own count."""
        return int(self.model.count_params())


def epoch_clock(keras: Any) -> Any:
    """A Keras callback whose `span` is that of the last epoch."""

    class EpochClock(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.span = Span()

        def on_epoch_end(self, epoch, logs=None):
            self.span.stop()

    return EpochClock()


class Measurements:
    """The measurements that can be asked of a subject; each method answers with plain figures."""

    def __init__(self, subject: Subject, model: str, data: Workload, batch: int, options: dict):
        self.subject, self.model, self.data = subject, model, data
        self.batch, self.options = batch, options
        self.has_predicted = False

    def setup(self) -> dict[str, Any]:
        """Imports, builds, and trains the first step."""
        imports = Span()
        versions = self.subject.load()
        imports.stop()
        first = Span()
        self.subject.build(self.model, self.data, self.batch, self.options)
        build_s = first.stop().cpu
        self.subject.train(1)
        first.stop()
        return {
            "versions": versions, "notes": self.subject.notes, "import_s": imports.cpu,
            "build_s": build_s, "first_step_s": first.cpu, "first_step_wall_s": first.wall,
            "parameters": self.subject.parameters(),
        }  # fmt: skip

    def train(self, steps: int) -> dict[str, Any]:
        """Trains; examples a CPU-second within the epoch, and CPU seconds of the whole call."""
        steps = max(1, min(steps, self.subject.rows // self.batch))
        call = Span()
        epoch = self.subject.train(steps)
        call.stop()
        return {
            "steps": steps,
            "examples_per_cpu_s": self.subject.examples(steps * self.batch) / epoch.cpu,
            "cpu_s": epoch.cpu, "call_cpu_s": call.cpu, "others": epoch.others,
            "peak_mb": peak_mb(),
        }  # fmt: skip

    def predict(self, rows: int) -> dict[str, Any]:
        """Predicts in batches of 4,096; the first call, which traces, is not counted."""
        if not self.has_predicted:
            self.subject.predict(PREDICT_BATCH, PREDICT_BATCH)
            self.has_predicted = True
        rows = min(rows, self.subject.rows // PREDICT_BATCH * PREDICT_BATCH)
        span = self.subject.predict(rows, PREDICT_BATCH)
        return {"rows": rows, "examples_per_cpu_s": rows / span.cpu, "peak_mb": peak_mb()}

    def request(self, calls: int, compiled: bool) -> dict[str, Any]:
        """Median CPU milliseconds of one request, after a few that are not counted."""
        ask = self.subject.compiled_request if compiled else self.subject.request
        for _ in range(3):
            ask()
        spans = []
        for _ in range(calls):
            start = time.process_time()
            ask()
            spans.append(1000 * (time.process_time() - start))
        return {"cpu_ms": statistics.median(spans), "calls": calls}


def one_line(error: BaseException) -> str:
    """An error's type and text on one line."""
    return f"{type(error).__name__}: {error}".replace("\n", " ")[:300]


def serve(make_subject: Callable[[], Subject]) -> None:
    """Answers measurements until standard input ends: the `main` of every subject's file."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--workload", type=Path, required=True)
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--options", type=json.loads, default={})
    given = parser.parse_args()
    answers = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)  # whatever the library prints must not mix with the answers
    use_one_core()
    measurements = Measurements(
        make_subject(), given.model, Workload.load(given.workload), given.batch, given.options
    )
    for line in sys.stdin:
        wanted = json.loads(line)
        try:
            answer = getattr(measurements, wanted.pop("measure"))(**wanted)
        except Exception as error:  # noqa: BLE001 - a peer may fail in any way; run.py reports it
            traceback.print_exc()
            answer = {"error": one_line(error)}
        answers.write(json.dumps(answer) + "\n")
    os._exit(0)  # not every peer's threads end by themselves
