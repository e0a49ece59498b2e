"""The demo's report: one HTML page with everything in it."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

import numpy as np

from deeprec_tf.cli.demo_metrics import (
    TABLE_HEADER,
    DemoResults,
    comparison_rows,
    sizes,
    versions,
)
from deeprec_tf.cli.demo_recommend import Attention, Recommendation
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
    results: DemoResults,
    path: Path,
    *,
    curves: Path,
    attention: tuple[Attention, Path] | None,
    figures: Sequence[tuple[str, Path]],
    movielens: MovieLens,
) -> Path:
    """Writes the page; pictures are embedded, so it can be sent as one file.

    Args:
        results: the run.
        path: the HTML file.
        curves: picture of the training curves.
        attention: attention over a history, and its picture; None where no model has any.
        figures: name and picture of each model.
        movielens: says how the data are to be cited.
    """
    sections = [
        _section("Test part", _comparison(results)),
        _section("Training", _training(results, curves)),
        _section("Recommendations", _recommendations(results)),
    ]
    if attention is not None:
        sections.append(_section("Attention", _attention(*attention)))
    for name, picture in figures:
        sections.append(_section(f"The model: {name}", _image(picture, f"Graph of {name}")))
    sections.append(_section("Exported files", _exports(results)))
    page = _PAGE.format(
        names=escape(" and ".join(one.name for one in results.trained)),
        style=_STYLE,
        lead=escape(_lead(results)),
        sections="\n".join(sections),
        footer=_footer(results, movielens),
    )
    path.write_text(page, encoding="utf-8")
    return path


def _lead(results: DemoResults) -> str:
    size = sizes(results.data)
    train, validation, test = (f"{share:.0%}" for share in results.settings.fractions)
    return (
        f"{size['ratings']:,} ratings of {size['movies']:,} movies by {size['users']:,} users, "
        f"split by time: the models learn from the oldest {train}, the next {validation} say when "
        f"to stop, and the newest {test} were looked at once, for the table below."
    )


def _comparison(results: DemoResults) -> str:
    rows = comparison_rows(results.scores, results.trained, results.popularity)
    best = max(range(len(rows)), key=lambda k: rows[k][1])
    body = "".join(
        f"<tr{' class=best' if k == best else ''}>{_cells('td', row)}</tr>"
        for k, row in enumerate(rows)
    )
    test = sizes(results.data)["parts"]["test"]
    return (
        f"<table><thead><tr>{_cells('th', TABLE_HEADER)}</tr></thead><tbody>{body}</tbody></table>"
        f"<p class=note>{test['positives']:,} ratings, each beside one movie drawn uniformly from "
        f"those the user has not rated. {test['targets_left_out']:,} ratings of movies that the "
        "training part does not know are left out as targets; they stay in the histories. AUC and "
        "GAUC are exact; GAUC is the mean of the users' own AUC, weighted by their rows.</p>"
    )


def _training(results: DemoResults, curves: Path) -> str:
    items = "".join(
        f"<li>{escape(one.name)}: {one.model.count_params():,} parameters, "
        f"{len(one.history['val_auc'])} epochs in {one.seconds:.0f} s, weights of epoch "
        f"{one.best_epoch} kept</li>"
        for one in results.trained
    )
    return (
        f"{_image(curves, 'Loss and validation metrics by epoch')}<ul>{items}</ul>"
        "<p class=note>A ring marks the epoch with the best validation AUC.</p>"
    )


def _recommendations(results: DemoResults) -> str:
    name = results.trained[0].name
    users = "".join(_user(one) for one in results.recommendations)
    return (
        f"<p>{escape(name)} scores every movie that the user has not rated, with the user's "
        f"newest {results.settings.maxlen} ratings as the history.</p>"
        f"<div class=users>{users}</div>"
    )


def _user(one: Recommendation) -> str:
    watched = "".join(f"<li>{escape(title)}</li>" for title in one.watched)
    best = "".join(
        f"<li>{escape(title)} <span>{p:.3f}</span></li>"
        for title, p in zip(one.titles, one.probabilities, strict=True)
    )
    return (
        f"<div><h3>User {one.user}</h3>watched last<ul>{watched}</ul>"
        f"recommended<ol>{best}</ol></div>"
    )


def _attention(attention: Attention, picture: Path) -> str:
    models = " and ".join(attention.weights)
    notes = []
    for name, weights in attention.weights.items():
        if np.allclose(weights.sum(axis=1), 1.0, atol=1e-3):
            notes.append(f"{name}'s weights add up to 1 down a column.")
        else:
            notes.append(f"{name}'s weights have no bounds: their sum is the interest's strength.")
    return (
        f"<p>How much each movie in the history of user {attention.user} bears on a target, to "
        f"{escape(models)}. The targets are the best unrated movies of the genres that the user "
        "watches most. "
        f"{escape(' '.join(notes))}</p>" + _image(picture, f"Attention of {models} over a history")
    )


def _exports(results: DemoResults) -> str:
    rows = "".join(
        f"<tr>{_cells('td', (name, f'{difference:.2g}'))}</tr>"
        for name, difference in results.parities.items()
    )
    files = ", ".join(f"<code>{escape(name)}</code>" for name in results.exports)
    return (
        "<table><thead><tr><th>reloaded</th><th>largest difference from the trained model</th>"
        f"</tr></thead><tbody>{rows}</tbody></table>"
        f"<p class=note>Beside this page: {files} and <code>metrics.json</code>, which has every "
        "number.</p>"
    )


def _footer(results: DemoResults, movielens: MovieLens) -> str:
    used = ", ".join(f"{name} {version}" for name, version in versions().items())
    return (
        f"<p>{escape(used)}; seed {results.settings.seed}.</p>"
        f"<p>Data: MovieLens, for research use under GroupLens's terms. "
        f"{escape(' '.join(movielens.citation.split()))}</p>"
    )


def _section(title: str, content: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{content}</section>"


def _cells(tag: str, cells: Iterable[str]) -> str:
    return "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells)


def _image(path: Path, description: str) -> str:
    """The picture itself, no wider than it was drawn."""
    data = path.read_bytes()
    width = int.from_bytes(data[16:20], "big")  # of a PNG, in pixels
    return (
        f'<img alt="{escape(description)}" width="{round(width * CSS_PIXELS_PER_INCH / DPI)}" '
        f'src="data:image/png;base64,{base64.b64encode(data).decode("ascii")}">'
    )
