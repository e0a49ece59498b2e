"""Writes the Markdown tables of docs/speed.md from results.json, between the page's markers.

`python benchmarks/speed/table.py` writes the page; with `--check` it exits 1 where the page is
out of date, and writes nothing.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
PAGE = HERE.parents[1] / "docs" / "speed.md"
BEGIN = "<!-- speed:begin {name} -->"
END = "<!-- speed:end {name} -->"
RATE = "examples_per_cpu_s"
START = ("first step, s", "peak, MB")
RATE_HEAD = ("", "examples / CPU s", "lowest to highest", "ratio", *START,
             "predict, examples / CPU s", "one request, ms", "by `predict`, ms")  # fmt: skip
TARGET_HEAD = ("", "next items / CPU s", "lowest to highest", "ratio", *START)
STEP_HEAD = ("", "a step, CPU ms", "lowest to highest", "ratio", *START)
Figures = dict[str, Any]


def paired_ratio(mine: list[Figures], other: list[Figures]) -> float | None:
    """Median over the rounds of my rate by the other's in the same round."""
    pairs = list(zip(mine, other, strict=False))
    if not pairs:
        return None
    return statistics.median(one[RATE] / two[RATE] for one, two in pairs)


def middle(samples: list[Figures], key: str) -> float | None:
    """Median of one figure over the rounds."""
    return statistics.median(sample[key] for sample in samples) if samples else None


def number(value: float | None, form: str) -> str:
    """A figure as text, or a dash."""
    return "–" if value is None else format(value, form)


def markdown(head: list[str], lines: list[list[str]]) -> str:
    """A table whose first column is text and whose others are figures."""
    rule = ["---"] + ["---:"] * (len(head) - 1)
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, rule, *lines])


def case_table(case: Figures) -> str:
    """The table of a case, one line a subject: of rates, or of the time of a step.

    Where subjects learn from rows of different sorts, the rate counts what they foretell.
    """
    subjects = case["subjects"]
    measured = {label: one for label, one in subjects.items() if one.get("train")}
    head, line = (STEP_HEAD, step_line) if case["trains_only"] else (RATE_HEAD, rate_line)
    if case.get("counts") == "next items":
        head, line = TARGET_HEAD, target_line
    lines = []
    for label, one in measured.items():
        reference = measured.get(one["reference"], {}).get("train", [])
        name = f"{label} ({one['remark']})" if one["remark"] else label
        lines.append([name, *line(one, reference, case["batch"])])
    failed = [
        f"Not measured: {label}, {one['error']}."
        for label, one in subjects.items() if label not in measured and "error" in one
    ]
    return "\n\n".join([markdown(list(head), lines), *failed])


def target_line(one: Figures, reference: list[Figures], batch: int) -> list[str]:
    """A subject's cells under TARGET_HEAD."""
    rates = [sample[RATE] for sample in one["train"]]
    return [
        number(statistics.median(rates), ",.0f"),
        f"{min(rates):,.0f} to {max(rates):,.0f}",
        number(paired_ratio(one["train"], reference), ".2f"),
        *start_cells(one),
    ]


def rate_line(one: Figures, reference: list[Figures], batch: int) -> list[str]:
    """A subject's cells under RATE_HEAD."""
    return [
        *target_line(one, reference, batch),
        number(middle(one["predict"], RATE), ",.0f"),
        number(middle(one["compiled_request"], "cpu_ms"), ".2f"),
        number(middle(one["request"], "cpu_ms"), ".1f"),
    ]


def step_line(one: Figures, reference: list[Figures], batch: int) -> list[str]:
    """A subject's cells under STEP_HEAD; the ratio is one of times."""
    steps = [1000 * batch / sample[RATE] for sample in one["train"]]
    return [
        number(statistics.median(steps), ",.1f"),
        f"{min(steps):,.1f} to {max(steps):,.1f}",
        number(paired_ratio(reference, one["train"]), ".2f"),
        *start_cells(one),
    ]


def start_cells(one: Figures) -> list[str]:
    """First step and memory."""
    return [
        number(middle(one["setup"], "first_step_s"), ".1f"),
        number(one["train"][-1]["peak_mb"], ",.0f"),
    ]


def conditions(case: Figures) -> str:
    """When, on what and with which versions a case was measured."""
    machine, versions = case["machine"], {}
    for one in case["subjects"].values():
        for setup in one.get("setup", ())[:1]:
            for name, version in setup["versions"].items():
                versions.setdefault(name, set()).add(version)
    spread, others = [], []
    for one in case["subjects"].values():
        rates = [sample[RATE] for sample in one.get("train", ())]
        if rates:
            spread.append((max(rates) - min(rates)) / statistics.median(rates))
            others += [sample["others"] for sample in one["train"]]
    texts = [f"{name} {' and '.join(sorted(found))}" for name, found in sorted(versions.items())]
    text = (
        f"Measured {case['date']}, {case['rounds']} rounds, batch {case['batch']:,}, on one core "
        f"of {machine['cores']} ({machine['cpu']}, {machine['memory_gib']} GiB); "
        f"{', '.join(texts)}."
    )
    if spread:
        text += (
            " From the lowest to the highest round a subject's rate moved by "
            f"{statistics.median(spread):.0%} (median over the subjects); other programs kept "
            f"{statistics.median(others):.1f} cores busy meanwhile."
        )
    return text


def filled(page: str, results: Figures) -> str:
    """The page with every case's table between its markers; a case without markers is an error."""
    for name, case in results["cases"].items():
        begin, end = BEGIN.format(name=name), END.format(name=name)
        before, found_begin, rest = page.partition(begin)
        _, found_end, after = rest.partition(end)
        if not (found_begin and found_end):
            raise ValueError(f"{PAGE.name} has no {begin} ... {end}. Add both lines.")
        body = f"{case_table(case)}\n\n{conditions(case)}"
        page = f"{before}{begin}\n\n{body}\n\n{end}{after}"
    return page


def main(arguments: list[str] | None = None) -> int:
    """Writes or checks the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    options = parser.parse_args(arguments)
    page = PAGE.read_text(encoding="utf-8")
    fresh = filled(page, json.loads(RESULTS.read_text(encoding="utf-8")))
    if options.check:
        if page != fresh:
            print(f"{PAGE.name} is out of date; run: python benchmarks/speed/table.py")
        return int(page != fresh)
    PAGE.write_text(fresh, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
