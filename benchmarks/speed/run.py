"""Runs the speed benchmark: all subjects of a case take turns, each in a process of its own.

    python benchmarks/speed/run.py --rounds 3

Every process is held to one core and one thread, and the figure is examples a CPU-second: what
other programs take of a shared machine mostly drops out of it. A round asks each subject once, A B
C A B C, and ratios are taken within a round. Peers run under interpreters of their own, named by
SPEED_DEEPCTR_PYTHON and SPEED_TORCH_PYTHON; those that are not set are left out. The results
replace those of the same cases in the file that `table.py` reads.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cases import CASES, INTERPRETERS, Case, Entry
from table import case_table
from workloads import WORKLOADS

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
MOST_STEPS = 400


class SubjectError(Exception):
    """A subject could not do what it was asked."""


class Process:
    """A running subject."""

    def __init__(self, entry: Entry, case: Case, folder: Path, interpreter: str) -> None:
        self.entry = entry
        self.steps = 1
        self.log = folder / "log.txt"
        workload = entry.workload or case.workload
        command = [interpreter, str(HERE / f"subject_{entry.subject}.py"), "--model", case.model]
        command += ["--workload", str(folder / f"{workload}.npz"), "--batch", str(case.batch)]
        with self.log.open("a", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [*command, "--options", json.dumps(entry.options)], cwd=folder, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
            )

    def ask(self, measure: str, **arguments: Any) -> dict[str, Any]:
        """One measurement; raises SubjectError where it fails."""
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps({"measure": measure, **arguments}) + "\n")
            self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            tail = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-3:]
            raise SubjectError(f"{measure}: the process ended. " + " / ".join(tail))
        answer = json.loads(line)
        if "error" in answer:
            raise SubjectError(f"{measure}: {answer['error']}")
        return answer

    def warm_up(self, seconds: float) -> dict[str, Any]:
        """Finds how many steps take so many seconds; gives one turn of them, which isn't counted.

        What a library does once a process, or once a shape that it has not seen, is done then.
        """
        answer = self.ask("train", steps=2)
        if answer["cpu_s"] < 1.0:
            answer = self.ask("train", steps=3)
        step = answer["cpu_s"] / answer["steps"]
        self.steps = int(min(MOST_STEPS, max(1, round(seconds / step))))
        return self.ask("train", steps=self.steps)

    def stop(self) -> None:
        """Ends the process."""
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextlib.contextmanager
def running(entry: Entry, case: Case, folder: Path, interpreter: str) -> Iterator[Process]:
    """A subject's process, ended in the end."""
    process = Process(entry, case, folder, interpreter)
    try:
        yield process
    finally:
        process.stop()


class CaseRun:
    """Measures one case; a subject that fails leaves with its error, the others go on."""

    def __init__(self, case: Case, folder: Path, options: argparse.Namespace) -> None:
        self.case, self.folder, self.options = case, folder, options
        self.found: dict[str, dict[str, Any]] = {}
        self.processes: dict[str, Process] = {}

    def run(self) -> dict[str, dict[str, Any]]:
        """Figures by label."""
        with contextlib.ExitStack() as stack:
            for entry in self._wanted():
                self._start(entry, stack)
            for _ in range(self.options.rounds):
                self._turn("train", lambda process: process.ask("train", steps=process.steps))
            if not self.case.trains_only:
                rows = self.options.predict_rows
                for _ in range(self.options.rounds):
                    self._turn("predict", lambda process: process.ask("predict", rows=rows))
                for _ in range(self.options.rounds):
                    self._turn("compiled_request", lambda p: p.ask("request", calls=100,
                                                                   compiled=True))
                    self._turn("request", lambda p: p.ask("request", calls=10, compiled=False))
        for _ in range(self.options.first_steps - 1):
            for entry in self._wanted():
                self._first_step_again(entry)
        return self.found

    def _wanted(self) -> Iterator[Entry]:
        for entry in self.case.entries:
            failed = "error" in self.found.get(entry.label, {})
            if entry.subject in self.options.subjects and not failed:
                yield entry

    def _start(self, entry: Entry, stack: contextlib.ExitStack) -> None:
        interpreter = entry.interpreter()
        if interpreter is None:
            say(f"  {entry.label}: left out, {INTERPRETERS[entry.subject]} is not set")
            self.found[entry.label] = {"error": f"{INTERPRETERS[entry.subject]} was not set"}
            return
        process = stack.enter_context(running(entry, self.case, self.folder, interpreter))
        figures = {"remark": entry.remark, "reference": entry.reference or self.case.reference,
                   "setup": [], "train": [], "predict": [], "compiled_request": [],
                   "request": []}  # fmt: skip
        self.found[entry.label], self.processes[entry.label] = figures, process
        with self._failing(entry.label):
            figures["setup"].append(process.ask("setup"))
            figures["warm_up"] = process.warm_up(self.options.seconds)
            say(f"  {entry.label}: first step {figures['setup'][0]['first_step_s']:.1f} s")

    def _turn(self, kind: str, measure: Any) -> None:
        for label, process in list(self.processes.items()):
            with self._failing(label):
                self.found[label][kind].append(measure(process))

    def _first_step_again(self, entry: Entry) -> None:
        interpreter = entry.interpreter()
        with self._failing(entry.label), running(
            entry, self.case, self.folder, interpreter
        ) as process:
            self.found[entry.label]["setup"].append(process.ask("setup"))

    @contextlib.contextmanager
    def _failing(self, label: str) -> Iterator[None]:
        try:
            yield
        except SubjectError as error:
            say(f"  {label}: FAILED, {error}")
            self.found[label]["error"] = str(error)
            self.processes.pop(label, None)


def say(text: str) -> None:
    """Progress, beside the table."""
    print(text, file=sys.stderr, flush=True)


def machine() -> dict[str, Any]:
    """What kind of machine this is."""
    cpu = platform.processor()
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as file:
        models = {line.split(":", 1)[1].strip() for line in file if line.startswith("model name")}
        cpu = ", ".join(sorted(models)) or cpu
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {"cpu": cpu, "cores": os.cpu_count(), "memory_gib": round(memory / 2**30),
            "system": platform.system()}  # fmt: skip


def write_workloads(case: Case, entries: list[Entry], folder: Path) -> None:
    """Makes the data that a case needs and that are not there yet."""
    for name in {entry.workload or case.workload for entry in entries}:
        path = folder / f"{name}.npz"
        if not path.exists():
            WORKLOADS[name]().save(path)


def options_of(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", default=",".join(CASES), help=f"of {', '.join(CASES)}")
    parser.add_argument("--subjects", default="deeprec_tf,keras,deepctr,torch_rechub")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="CPU seconds a training turn")
    parser.add_argument("--predict-rows", type=int, default=16_384)
    parser.add_argument(
        "--first-steps", type=int, default=1, help="fresh processes that time the first step"
    )
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    options.models = options.models.split(",")
    options.subjects = options.subjects.split(",")
    unknown = [name for name in options.models if name not in CASES]
    if unknown:
        parser.error(f"--models: no case {unknown[0]!r}; there are {', '.join(CASES)}")
    return options


def main(arguments: list[str] | None = None) -> int:
    """Runs the cases, prints their tables, writes the results; 1 where a subject failed."""
    options = options_of(arguments)
    results: dict[str, Any] = {"cases": {}}
    if options.out.exists():
        results = json.loads(options.out.read_text(encoding="utf-8"))
    is_clean = True
    with tempfile.TemporaryDirectory(prefix="speed-") as folder:
        for name in options.models:
            case = CASES[name]
            say(f"{name}: {case.workload}, batch {case.batch}")
            run = CaseRun(case, Path(folder), options)
            write_workloads(case, list(run._wanted()), Path(folder))
            found = run.run()
            results["cases"][name] = {
                "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
                "machine": machine(), "python": platform.python_version(),
                "rounds": options.rounds, "seconds": options.seconds, "batch": case.batch,
                "trains_only": case.trains_only, "counts": case.counts, "subjects": found,
            }  # fmt: skip
            options.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
            print(f"\n{name}\n\n{case_table(results['cases'][name])}", flush=True)
            is_clean &= not any(one.get("train") == [] for one in found.values())
    return 0 if is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
