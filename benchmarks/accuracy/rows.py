"""Rows of the accuracy tables: written the moment a run is finished, so that a script resumes.

    from rows import Rows, cpu_seconds, use_one_thread

    use_one_thread()                                   # before anything is computed
    rows = Rows("frappe")                              # results/frappe.json
    if not rows.done(model="DeepFM", seed=0):
        with cpu_seconds() as seconds:
            ...
        rows.add(model="DeepFM", data="Frappe", seed=0, parameters=55_000, auc=0.984,
                 log_loss=0.15, seconds=seconds())

`table.py` makes the tables of docs/accuracy.md from these rows; `tables/<table>.json` says how.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
Row = dict[str, Any]


class Rows:
    """The finished runs of one table: a JSON list, one row a line.

    Args:
        table: name of the table, that of its file without the ending.
        folder: where the files stand.
    """

    def __init__(self, table: str, folder: Path | str = RESULTS) -> None:
        self.table = table
        self.path = Path(folder) / f"{table}.json"

    def read(self) -> list[Row]:
        """All rows, oldest first."""
        if not self.path.exists():
            return []
        return json.loads(self.path.read_text(encoding="utf-8"))

    def find(self, **key: Any) -> list[Row]:
        """The rows that hold all of these values."""
        return [row for row in self.read() if all(row.get(k) == v for k, v in key.items())]

    def done(self, **key: Any) -> bool:
        """Whether there is a row with these values, such as model and seed."""
        return bool(self.find(**key))

    def add(self, **row: Any) -> Row:
        """Appends a row, with the machine and the versions; the file is never half written.

        Args:
            **row: `model`, `data`, `seed`; the figures, such as `auc`, `log_loss`, `seconds`
                (CPU seconds), `parameters`; `remark` for what a reader must know. What JSON can
                hold; NumPy's numbers become plain ones, floats keep six digits.

        Returns:
            The row as written.
        """
        row = {name: _plain(value) for name, value in row.items()}
        row |= {"machine": machine(), "versions": versions()}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path.with_suffix(".lock"), "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            lines = [json.dumps(one, ensure_ascii=False) for one in [*self.read(), row]]
            half = self.path.with_suffix(".part")
            half.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")
            os.replace(half, self.path)
        return row


def _plain(value: Any) -> Any:
    value = value.item() if hasattr(value, "item") else value
    return round(value, 6) if isinstance(value, float) else value


def machine() -> str:
    """Processor, cores and memory, and the GPU if TensorFlow has one, as a table names them."""
    cpu = platform.processor()
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as file:
        models = {line.split(":", 1)[1].strip() for line in file if line.startswith("model name")}
        cpu = ", ".join(sorted(models)) or cpu
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return ", ".join([f"{cpu}, {os.cpu_count()} cores, {memory:.0f} GiB", *_gpus()])


def _gpus() -> list[str]:
    if "tensorflow" not in sys.modules:
        return []
    import tensorflow as tf

    details = tf.config.experimental.get_device_details
    return [details(gpu)["device_name"] for gpu in tf.config.list_physical_devices("GPU")]


def versions() -> str:
    """What the figures were made with."""
    return ", ".join(f"{name} {version(name)}" for name in ("tensorflow", "keras"))


def use_one_thread() -> None:
    """Keeps TensorFlow to one thread; to be called before it computes anything."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)


@contextlib.contextmanager
def cpu_seconds() -> Iterator[Callable[[], float]]:
    """Measures the CPU time of this process: with it as `seconds`, then `seconds()`.

    On a machine that others use too, wall time measures the others.
    """
    start, end = time.process_time(), None

    def seconds() -> float:
        return round((time.process_time() if end is None else end) - start, 1)

    yield seconds
    end = time.process_time()
