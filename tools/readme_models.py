"""Writes the README's table of models from the registry.

Usage: python tools/readme_models.py
"""

from pathlib import Path

from deeprec_tf import get_model, list_models

START, END = "<!-- models -->\n", "<!-- /models -->"
_README = Path(__file__).parents[1] / "README.md"


def table() -> str:
    """The models as a Markdown table, by family and year."""
    lines = ["| model | family | paper | reads |", "|---|---|---|---|"]
    for name in list_models():
        card = get_model(name)
        reads = ", ".join(role.replace("_", " ") for role in card.needs)
        if card.optional:
            optional = ", ".join(role.replace("_", " ") for role in card.optional)
            reads += f" ({optional})"
        paper = f"[{card.paper}]({card.url}), {card.year}"
        lines.append(f"| `{name}` | {card.family} | {paper} | {reads} |")
    return "\n".join(lines) + "\n"


def between_markers(text: str) -> str:
    """The part of a README between the two markers.

    Raises:
        ValueError: a marker is missing.
    """
    if START not in text or END not in text:
        raise ValueError(f"README: the markers {START.strip()} and {END} are missing.")
    return text.partition(START)[2].partition(END)[0]


def replaced(text: str) -> str:
    """The README with the table of today between its markers."""
    between_markers(text)
    head, _, rest = text.partition(START)
    return head + START + table() + END + rest.partition(END)[2]


if __name__ == "__main__":
    _README.write_text(replaced(_README.read_text()))
