"""What the pages of the demo's tasks are made of."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path

from deeprec_tf.cli.demo.measured import versions
from deeprec_tf.cli.demo.settings import DemoSettings
from deeprec_tf.cli.demo.training import TrainedModel
from deeprec_tf.data import MovieLens
from deeprec_tf.figure_style import DPI

CSS_PIXELS_PER_INCH = 96

_STYLE = """
:root { color-scheme: light; }
body { margin: 0; background: #f3f5f7; color: #22303c;
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 2.2rem 1.2rem 3rem; }
h1 { font-size: 1.75rem; margin: 0 0 .2rem; }
h2 { font-size: 1.2rem; margin: 0 0 .6rem; }
h3 { font-size: 1rem; margin: 0 0 .5rem; }
p { margin: .4rem 0 .9rem; max-width: 46rem; }
.lead, .note { color: #5c6872; }
.note { font-size: .9rem; }
section { background: #fff; border: 1px solid #e1e5e9; border-radius: 10px;
  padding: 1.3rem 1.5rem; margin-top: 1.2rem; }
img { display: block; max-width: 100%; height: auto; margin: .4rem auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .38rem 1rem .38rem 0; border-bottom: 1px solid #e8ebee; }
th:first-child, td:first-child { text-align: left; }
th { font-weight: 600; color: #5c6872; }
tr.best td { font-weight: 650; }
.users { display: grid; gap: 1.4rem; grid-template-columns: repeat(auto-fit, minmax(280px, 1fr)); }
ol, ul { margin: .2rem 0 .8rem; padding-left: 1.3rem; }
li span { color: #8a949d; font-size: .85rem; }
code { background: #eef1f4; border-radius: 4px; padding: .08em .35em; font-size: .9em; }
footer { color: #5c6872; font-size: .85rem; margin-top: 1.5rem; }
"""

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>deeprec_tf demo: {names} on MovieLens</title>
<style>{style}</style>
</head>
<body>
<main>
<h1>{names} on MovieLens</h1>
<p class="lead">{lead}</p>
{sections}
<footer>{footer}</footer>
</main>
</body>
</html>
"""


def write_page(
    path: Path,
    *,
    trained: Sequence[str],
    lead: str,
    sections: Sequence[str],
    settings: DemoSettings,
    movielens: MovieLens,
) -> Path:
    """Writes the page; pictures are embedded, so it can be sent as one file.

    Args:
        path: the HTML file.
        trained: names of the models.
        lead: what was done, as plain text.
        sections: as `section` makes them.
        settings: says the seed.
        movielens: says how the data are to be cited.
    """
    names = trained if len(trained) < 3 else [", ".join(trained[:-1]), trained[-1]]
    page = _PAGE.format(
        names=escape(" and ".join(names)),
        style=_STYLE,
        lead=escape(lead),
        sections="\n".join(sections),
        footer=_footer(settings, movielens),
    )
    path.write_text(page, encoding="utf-8")
    return path


def section(title: str, content: str) -> str:
    """A part of the page; the content is HTML."""
    return f"<section><h2>{escape(title)}</h2>{content}</section>"


def table(
    header: Sequence[str], rows: Sequence[Sequence[str]], best: int | None = None
) -> str:
    """A table of texts; the row at place `best` stands out."""
    body = "".join(
        f"<tr{' class=best' if k == best else ''}>{_cells('td', row)}</tr>"
        for k, row in enumerate(rows)
    )
    return (
        f"<table><thead><tr>{_cells('th', header)}</tr></thead><tbody>{body}</tbody></table>"
    )


def comparison(header: Sequence[str], rows: Sequence[Sequence[str]], judged_by: int) -> str:
    """A table of models; the one with the largest number in column `judged_by` stands out."""
    return table(header, rows, max(range(len(rows)), key=lambda k: float(rows[k][judged_by])))


def note(text: str) -> str:
    """A remark, of plain text."""
    return f"<p class=note>{escape(text)}</p>"


def training(trained: Sequence[TrainedModel], curves: Path, metric: str) -> str:
    """The curves, and a line a model.

    Args:
        trained: the models.
        curves: picture of the training curves.
        metric: what chose the epoch, in words.
    """
    items = "".join(
        f"<li>{escape(one.name)}: {one.model.count_params():,} parameters, "
        f"{len(one.history['loss'])} epochs in {one.seconds:.0f} s, weights of epoch "
        f"{one.best_epoch} kept</li>"
        for one in trained
    )
    return (
        f"{image(curves, 'Loss and validation metrics by epoch')}<ul>{items}</ul>"
        f"<p class=note>A ring marks the epoch with the best {escape(metric)}.</p>"
    )


def titles(words: str, names: Iterable[str], numbers: Iterable[float] | None = None) -> str:
    """A list of titles under some words; ranked where there are numbers beside them."""
    if numbers is None:
        return f"{escape(words)}<ul>{''.join(f'<li>{escape(name)}</li>' for name in names)}</ul>"
    ranked = "".join(
        f"<li>{escape(name)} <span>{number:.3f}</span></li>"
        for name, number in zip(names, numbers, strict=True)
    )
    return f"{escape(words)}<ol>{ranked}</ol>"


def user(key: int, lists: Iterable[str]) -> str:
    """What a user saw and is recommended; the lists as `titles` makes them."""
    return f"<div><h3>User {key}</h3>{''.join(lists)}</div>"


def models(figures: Iterable[tuple[str, Path]]) -> list[str]:
    """A section a model, with the picture of its graph."""
    return [
        section(f"The model: {name}", image(picture, f"Graph of {name}"))
        for name, picture in figures
    ]


def exports(parities: Mapping[str, float], files: Sequence[str]) -> str:
    """The exported files, and how far they are from the trained model.

    Args:
        parities: largest difference of each from the trained model.
        files: their names, relative to the page.
    """
    header = ("reloaded", "largest difference from the trained model")
    rows = [(name, f"{difference:.2g}") for name, difference in parities.items()]
    names = ", ".join(f"<code>{escape(name)}</code>" for name in files)
    return (
        table(header, rows)
        + f"<p class=note>Beside this page: {names} and <code>metrics.json</code>, which has every "
        "number.</p>"
    )


def _footer(settings: DemoSettings, movielens: MovieLens) -> str:
    used = ", ".join(f"{name} {version}" for name, version in versions().items())
    return (
        f"<p>{escape(used)}; seed {settings.seed}.</p>"
        f"<p>Data: MovieLens, for research use under GroupLens's terms. "
        f"{escape(' '.join(movielens.citation.split()))}</p>"
    )


def _cells(tag: str, cells: Iterable[str]) -> str:
    return "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells)


def image(path: Path, description: str) -> str:
    """The picture itself, no wider than it was drawn."""
    data = path.read_bytes()
    width = int.from_bytes(data[16:20], "big")  # of a PNG, in pixels
    return (
        f'<img alt="{escape(description)}" width="{round(width * CSS_PIXELS_PER_INCH / DPI)}" '
        f'src="data:image/png;base64,{base64.b64encode(data).decode("ascii")}">'
    )
