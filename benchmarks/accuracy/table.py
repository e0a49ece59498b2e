"""Writes the tables of docs/accuracy.md from the rows, between the page's markers.

`python benchmarks/accuracy/table.py` writes the page; with `--check` it exits 1 where the page is
out of date, and writes nothing. Every file of `results/` has one of the same name in `tables/`,
which says what its table shows:

    {"command": "python benchmarks/accuracy/frappe.py",
     "metrics": [["auc", "AUC", 4], ["log_loss", "log loss", 4]],
     "reference": "DeepFM",
     "published": {"DeepFM": ".9842 / .1482"}}

- `metrics`: key of the row, head of the column, digits. Mean ± deviation over the runs of a model.
  What no row has gets no column.
- `reference` (optional): a model; the table has the mean ± deviation of the paired differences to
  it, run by run of the same `data` and `seed`, in the first metric.
- `published` (optional): what others have reported, by model, or by "data / model".
- `by` (optional): what makes a line, `["data", "model"]` if left out. A word that is the same in
  all lines has no column.
- `threads` (optional): on how many the rows were made, "one thread" if left out.
- `order` (optional): models in the order of the table; otherwise that of the file.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

from rows import RESULTS, Rows

HERE = Path(__file__).parent
TABLES = HERE / "tables"
PAGE = HERE.parents[1] / "docs" / "accuracy.md"
BEGIN = "<!-- accuracy:begin {name} -->"
END = "<!-- accuracy:end {name} -->"
Row = dict[str, Any]


def grouped(rows: list[Row], by: list[str], order: list[str]) -> dict[tuple, list[Row]]:
    """The runs of every line of a table, by the words that make a line."""
    lines: dict[tuple, list[Row]] = {}
    for row in rows:
        lines.setdefault(tuple(str(row.get(word, "")) for word in by), []).append(row)
    data = list(dict.fromkeys(row.get("data") for row in rows))

    def place(key: tuple) -> tuple[int, int]:
        one = lines[key][0]
        model = order.index(one["model"]) if one["model"] in order else len(order)
        return data.index(one.get("data")), model

    return dict(sorted(lines.items(), key=lambda line: place(line[0])))


def spread(values: list[float], digits: int, sign: str = "") -> str:
    """Mean ± deviation; of one run, or one count, its value; a dash where there is none."""
    if not values:
        return "–"
    if all(isinstance(value, int) for value in values) and len(set(values)) == 1:
        return f"{values[0]:,}"
    mean = f"{statistics.mean(values):{sign}.{digits}f}"
    return f"{mean} ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else mean


def differences(line: list[Row], rows: list[Row], reference: str, metric: str) -> list[float]:
    """Of every run its difference to the reference's run of the same data and seed."""
    if line[0]["model"] == reference:
        return []
    theirs = {
        (row.get("data"), row.get("seed")): row[metric]
        for row in rows
        if row["model"] == reference and metric in row
    }
    pairs = [(row, theirs.get((row.get("data"), row.get("seed")))) for row in line]
    return [row[metric] - other for row, other in pairs if other is not None and metric in row]


def cells(key: tuple, line: list[Row], rows: list[Row], table: Row) -> list[str]:
    """The columns of a line behind the words that name it."""
    parameters = {row["parameters"] for row in line if "parameters" in row}
    found = [" to ".join(f"{number:,}" for number in sorted(parameters)) or "–"]
    for name, _, digits in table["metrics"]:
        found.append(spread([row[name] for row in line if row.get(name) is not None], digits))
    if table.get("reference"):
        metric, _, digits = table["metrics"][0]
        found.append(spread(differences(line, rows, table["reference"], metric), digits, "+"))
    if table.get("published"):
        names = (" / ".join(key), line[0]["model"])
        found.append(next((table["published"][n] for n in names if n in table["published"]), "–"))
    seconds = [row["seconds"] for row in line if "seconds" in row]
    return [*found, str(len(line)), f"{statistics.mean(seconds):,.0f}" if seconds else "–"]


def markdown(table: Row, rows: list[Row]) -> str:
    """A table, the remarks on its lines, and what it was measured with."""
    by = table.get("by", ["data", "model"])
    known = {name for row in rows for name, value in row.items() if value is not None}
    table = {**table, "metrics": [metric for metric in table["metrics"] if metric[0] in known]}
    lines = grouped(rows, by, table.get("order", []))
    values = {word: {key[i] for key in lines} for i, word in enumerate(by)}
    shown = [i for i, word in enumerate(by) if len(values[word]) > 1 or word == "model"]
    head = [by[i] for i in shown] + ["parameters"] + [name for _, name, _ in table["metrics"]]
    if table.get("reference"):
        head.append(f"{table['metrics'][0][1]} − that of {table['reference']}")
    head += (["published"] if table.get("published") else []) + ["runs", "CPU s a run"]
    body = [
        [key[i] for i in shown] + cells(key, line, rows, table) for key, line in lines.items()
    ]
    rule = ["---"] * len(shown) + ["---:"] * (len(head) - len(shown))
    text = ["\n".join("| " + " | ".join(line) + " |" for line in [head, rule, *body])]
    remarks = [
        f"- {' '.join(key[i] for i in shown)}: {remark}"
        for key, line in lines.items()
        for remark in dict.fromkeys(row["remark"] for row in line if row.get("remark"))
    ]
    text += ["\n".join(remarks)] if remarks else []
    made = [" and ".join(dict.fromkeys(row[word] for row in rows)) for word in
            ("machine", "versions")]  # fmt: skip
    threads = table.get("threads", "one thread")
    text.append(f"`{table['command']}`; {made[0]}, {threads}; {made[1]}.")
    return "\n\n".join(text)


def filled(page: str, results: Path = RESULTS, tables: Path = TABLES) -> str:
    """The page with every table between its markers; one without markers is an error."""
    for path in sorted(results.glob("*.json")):
        name = path.stem
        table = json.loads((tables / f"{name}.json").read_text(encoding="utf-8"))
        begin, end = BEGIN.format(name=name), END.format(name=name)
        before, found_begin, rest = page.partition(begin)
        _, found_end, after = rest.partition(end)
        if not (found_begin and found_end):
            raise ValueError(f"{PAGE.name} has no {begin} ... {end}. Add both lines.")
        body = markdown(table, Rows(name, results).read())
        page = f"{before}{begin}\n\n{body}\n\n{end}{after}"
    return page


def main(arguments: list[str] | None = None) -> int:
    """Writes or checks the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    options = parser.parse_args(arguments)
    page = PAGE.read_text(encoding="utf-8")
    fresh = filled(page)
    if options.check:
        if page != fresh:
            print(f"{PAGE.name} is out of date; run: python benchmarks/accuracy/table.py")
        return int(page != fresh)
    PAGE.write_text(fresh, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
