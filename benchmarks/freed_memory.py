"""Training with the memory of a step kept for the next, beside training without.

    python benchmarks/freed_memory.py --models SASRec DeepFM

Models, sizes, drawn data and batches are those of `speed/`, one core and one thread a process. Both
forms of a model take turns, each time in a process of its own, which trains an epoch that traces,
and one more that is measured: CPU seconds, the share of them that the system took, page faults a
step, and the most memory held. The ratio is that of the CPU seconds, without over with, within a
round.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent / "speed"))
sys.path.insert(0, str(Path(__file__).parent / "accuracy"))

from rows import machine, versions
from subject import peak_mb, use_one_core

CASES = {
    "DeepFM": ("tabular", 1024),
    "DIN": ("behavior", 1024),
    "DIEN": ("behavior", 1024),
    "MMoE": ("multitask", 1024),
    "GRU4Rec": ("sequences", 128),
    "SASRec": ("sequences", 128),
    "HSTU": ("long_history", 128),
}
STEPS = 20


def measured(model: str, is_kept: bool) -> dict[str, float]:
    """Trains a model in this process."""
    use_one_core()
    from subject_deeprec_tf import DeepRecSubject
    from workloads import WORKLOADS

    from deeprec_tf.training import keep_freed_memory

    if is_kept and not keep_freed_memory():
        raise SystemExit("Not to be had here: the C library is not glibc.")
    workload, batch = CASES[model]
    subject = DeepRecSubject()
    subject.load()
    subject.build(model, WORKLOADS[workload](), batch, {})
    steps = min(STEPS, subject.rows // batch)
    subject.train(steps)
    before = resource.getrusage(resource.RUSAGE_SELF)
    cpu = subject.train(steps).cpu
    after = resource.getrusage(resource.RUSAGE_SELF)
    system = after.ru_stime - before.ru_stime
    return {
        "cpu_s": cpu, "system_share": system / (system + after.ru_utime - before.ru_utime),
        "faults": (after.ru_minflt - before.ru_minflt) / steps, "peak_mb": peak_mb(),
    }  # fmt: skip


def in_a_process(model: str, form: str) -> dict[str, float]:
    """Trains a model in a process of its own, without settings of the C library from outside."""
    environment = {name: os.environ[name] for name in os.environ if not name.startswith("MALLOC_")}
    run = subprocess.run(
        [sys.executable, __file__, "--models", model, "--form", form], capture_output=True,
        text=True, check=False, env=environment,
    )  # fmt: skip
    if run.returncode:
        raise SystemExit(f"{model}, {form}:\n{run.stderr[-2000:]}")
    return json.loads(run.stdout.splitlines()[-1])


def compared(model: str, rounds: int) -> dict[str, Any]:
    """Medians of both forms of a model, and of the ratio within a round."""
    found = [
        {form: in_a_process(model, form) for form in ("given_back", "kept")} for _ in range(rounds)
    ]

    def median(form: str, name: str) -> float:
        return statistics.median(one[form][name] for one in found)

    return {
        "model": model, "batch": CASES[model][1],
        "ratio": round(
            statistics.median(one["given_back"]["cpu_s"] / one["kept"]["cpu_s"] for one in found), 2
        ),
        "system_share": [round(median(form, "system_share"), 2) for form in found[0]],
        "faults_a_step": [round(median(form, "faults")) for form in found[0]],
        "peak_mb": [round(median(form, "peak_mb")) for form in found[0]],
    }  # fmt: skip


def main() -> None:
    """Prints a line a model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--form", choices=["given_back", "kept"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.form:
        print(json.dumps(measured(options.models[0], options.form == "kept")))
        return
    print(machine(), versions(), sep="; ")
    for model in options.models:
        print(json.dumps(compared(model, options.rounds)), flush=True)


if __name__ == "__main__":
    main()
