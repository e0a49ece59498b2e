"""`python -m deeprec_tf list`: the models that there are."""

from __future__ import annotations

from deeprec_tf.cli.errors import CommandError
from deeprec_tf.cli.tensorflow_logging import import_quietly
from deeprec_tf.registry import FAMILIES, get_model, list_models


def print_models(family: str | None = None) -> None:
    """Prints a table of the models: name, family, year, what they need, paper.

    Args:
        family: only this family; all when None.

    Raises:
        CommandError: there is no such family.
    """
    if family is not None and family not in FAMILIES:
        raise CommandError(f"there is no family {family!r}; families are {', '.join(FAMILIES)}.")
    import_quietly("deeprec_tf.models")  # registers them
    names = list_models(family)
    if not names:
        print(f"There is no {family} model yet.")
        return
    header = ("model", "family", "year", "needs", "paper")
    rows = []
    for name in names:
        card = get_model(name)
        needs = ", ".join((*card.needs, *(f"[{role}]" for role in card.optional)))
        rows.append((card.name, card.family, str(card.year), needs, card.paper))
    widths = [max(len(row[k]) for row in (header, *rows)) for k in range(len(header))]
    for row in (header, tuple("-" * width for width in widths), *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())
    print("\n[role]: used where it is given. deeprec_tf.get_model(NAME) has the builder.")
