"""Training on a GPU: examples a second of wall time, compiled by XLA or not, in two precisions.

    python benchmarks/accelerator.py --models DeepFM SASRec

Models, sizes and drawn data are those of `speed/` with larger batches, through `fit` on arrays. An
epoch is timed after one that traces and compiles (its seconds stand beside). `default` is what
`jit_compile="auto"` gives, on a GPU a compiled step; `graph` is `jit_compile=False`. What fails is
printed with its error, and the rest goes on. The first line names the machine; without a GPU the
script runs on the CPU.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parent / "speed"))
sys.path.insert(0, str(Path(__file__).parent / "accuracy"))

import keras
from rows import machine, versions
from subject_deeprec_tf import DeepRecSubject
from workloads import WORKLOADS, Workload

# Workload and rows a batch.
CASES = {
    "DeepFM": ("tabular", 8192),
    "SASRec": ("sequences", 1024),
    "DIEN": ("behavior", 4096),
    "HSTU": ("long_history", 128),
    "DSSM": ("two_towers", 4096),
    "GRU4Rec": ("sequences", 1024),
    "DIN": ("behavior", 4096),
    "BST": ("behavior", 4096),
    "MMoE": ("multitask", 8192),
    "DCNv2": ("tabular", 8192),
}
FORMS: dict[str, dict[str, Any]] = {
    "default": {},
    "graph": {"jit_compile": False},
    "default, bfloat16": {"policy": "mixed_bfloat16"},
    "graph, bfloat16": {"policy": "mixed_bfloat16", "jit_compile": False},
}
STEPS = 20


def measured(model: str, data: Workload, batch: int, form: dict[str, Any]) -> dict[str, float]:
    """Examples a second, milliseconds a step, and seconds of the first epoch."""
    subject = DeepRecSubject()
    subject.load()
    subject.build(model, data, batch, {name: form[name] for name in form if name == "policy"})
    if "jit_compile" in form:
        subject.model.jit_compile = form["jit_compile"]
    steps = min(STEPS, subject.rows // batch)
    begin = time.perf_counter()
    subject.train(steps)
    first = time.perf_counter() - begin
    wall = min(subject.train(steps).wall for _ in range(3))
    return {
        "examples_per_s": round(subject.examples(steps * batch) / wall),
        "step_ms": round(1000 * wall / steps, 2), "first_s": round(first, 1),
    }  # fmt: skip


def main() -> None:
    """Prints a line a form of every model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--forms", nargs="+", default=list(FORMS), choices=list(FORMS))
    options = parser.parse_args()
    print(machine(), versions(), sep="; ")
    for model in options.models:
        workload, batch = CASES[model]
        data = WORKLOADS[workload]()
        for form in options.forms:
            row: dict[str, Any] = {"model": model, "batch": batch, "form": form}
            try:
                row |= measured(model, data, batch, FORMS[form])
            except Exception as error:  # noqa: BLE001 - the other lines shall still be had
                row["error"] = f"{type(error).__name__}: {str(error)[:600]}"
            print(json.dumps(row), flush=True)
            keras.backend.clear_session()


if __name__ == "__main__":
    main()
