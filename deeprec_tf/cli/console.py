"""What a command prints: steps, progress bars, tables."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Sequence
from itertools import zip_longest

_INDENT = "      "
_REDRAW_SECONDS = 0.1
_BAR_WIDTH = 24


class Console:
    """Numbered steps with the lines that belong to them.

    Args:
        steps: number of steps to come.

    Attributes:
        seconds: how long each finished step took, by title.
    """

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.seconds: dict[str, float] = {}
        self._began = time.perf_counter()
        self._step: tuple[str, float] | None = None

    def step(self, title: str) -> None:
        """Announces the next step."""
        self.end_step()
        print(f"[{len(self.seconds) + 1}/{self.steps}] {title}", flush=True)
        self._step = (title, time.perf_counter())

    def end_step(self) -> None:
        """Notes how long the step took."""
        if self._step is not None:
            title, began = self._step
            self.seconds[title] = time.perf_counter() - began
            self._step = None

    def line(self, text: str = "") -> None:
        """A line that belongs to the step."""
        print(f"{_INDENT}{text}".rstrip(), flush=True)

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table; the first column is left-aligned, the others right-aligned."""
        for line in table_lines(header, rows):
            self.line(line)

    def beside(self, left: Sequence[str], right: Sequence[str]) -> None:
        """Two lists of texts side by side, the first of each its heading."""
        width = max(map(len, left))
        for one, other in zip_longest(left, right, fillvalue=""):
            self.line(f"{one:<{width}}   {other}")

    def total_seconds(self) -> float:
        """Seconds since the console was made."""
        return time.perf_counter() - self._began


class ProgressBar:
    """A bar that is redrawn in place on a terminal, and written once, when full, elsewhere.

    Args:
        label: text before the bar.
        total: steps until it is full.
    """

    def __init__(self, label: str, total: int) -> None:
        self.label = label
        self.total = max(total, 1)
        self._live = sys.stdout.isatty()
        self._drawn = 0.0
        self._began = time.perf_counter()
        self.update(0)

    def update(self, done: int, note: str = "") -> None:
        """Redraws the bar."""
        now = time.perf_counter()
        if self._live and (done >= self.total or now - self._drawn >= _REDRAW_SECONDS):
            self._drawn = now
            left = (now - self._began) / done * (self.total - done) if done else None
            note = note if left is None else f"{left:4.0f} s left  {note}"
            self._write(self._text(done, note))

    def finish(self, note: str = "") -> None:
        """Fills the bar and ends its line."""
        text = self._text(self.total, f"{time.perf_counter() - self._began:4.0f} s  {note}")
        if self._live:
            self._write(text)
            print(flush=True)
        else:
            print(text.rstrip(), flush=True)

    def _text(self, done: int, note: str) -> str:
        full = _BAR_WIDTH * min(done, self.total) // self.total
        solid, empty = _bar_letters()
        bar = solid * full + empty * (_BAR_WIDTH - full)
        return f"{_INDENT}{self.label} {bar} {done:>{len(str(self.total))}}/{self.total}  {note}"

    def _write(self, text: str) -> None:
        width = shutil.get_terminal_size().columns - 1
        sys.stdout.write("\r" + text[:width].ljust(width))
        sys.stdout.flush()


def table_lines(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table as lines of text."""
    widths = [max(len(row[k]) for row in (header, *rows)) for k in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        return "  ".join([first[0].ljust(first[1]), *(c.rjust(w) for c, w in others)]).rstrip()

    return [line(header), "  ".join("-" * width for width in widths), *map(line, rows)]


def _bar_letters() -> tuple[str, str]:
    try:
        "█░".encode(sys.stdout.encoding or "ascii")
    except (LookupError, UnicodeEncodeError):
        return "#", "."
    return "█", "░"
