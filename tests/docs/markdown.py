"""Code blocks of Markdown files."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(r"^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_RESULT = re.compile(r"^\s*print\(.*\)  # (.+)$")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its title if it has one, its text and its first line."""

    language: str
    title: str | None
    text: str
    line: int

    @property
    def results(self):
        """What the block says it prints: the comments behind its `print` calls."""
        return [found[1] for line in self.text.splitlines() if (found := _RESULT.match(line))]


def blocks(path, language=None):
    """The fenced blocks of a file, of one language or of all."""
    text = Path(path).read_text(encoding="utf-8")
    found = [
        Block(match[1], match[2], match[3], text.count("\n", 0, match.start()) + 2)
        for match in _FENCE.finditer(text)
    ]
    return [block for block in found if language in (None, block.language)]
