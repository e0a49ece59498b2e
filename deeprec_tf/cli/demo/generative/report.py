"""The generative task's report: one HTML page with everything in it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from deeprec_tf.cli.demo import page
from deeprec_tf.cli.demo.generative.metrics import GenerativeResults, name_words
from deeprec_tf.cli.demo.generative.models import METRICS
from deeprec_tf.cli.demo.recall.metrics import comparison, sizes
from deeprec_tf.data import MovieLens


def write_report(
    results: GenerativeResults,
    path: Path,
    *,
    curves: Path,
    bars: Path,
    figures: Sequence[tuple[str, Path]],
    movielens: MovieLens,
) -> Path:
    """Writes the page.

    Args:
        results: the run.
        path: the HTML file.
        curves: picture of the training curves.
        bars: picture of the comparison.
        figures: name and picture of each model.
        movielens: says how the data are to be cited.
    """
    k = results.settings.titles
    sections = [
        page.section("Test part", _comparison(results, bars)),
        page.section("Training", page.training(results.trained, curves, f"validation NDCG@{k}")),
        page.section("What is answered", _answers(results)),
        *page.models(figures),
        page.section("Exported files", page.exports(results.parities, results.exports)),
    ]
    return page.write_page(
        path, trained=[one.name for one in results.trained], lead=_lead(results),
        sections=sections, settings=results.settings, movielens=movielens,
    )


def _lead(results: GenerativeResults) -> str:
    size = sizes(results.data.recall)
    return (
        f"{size['ratings']:,} ratings of {size['movies']:,} movies by {size['users']:,} users. Of "
        "each user the last movie is to be found by the test, the one before by the validation, "
        "which says when to stop. A movie's name comes from who rated it, its genre and its "
        f"release period: {name_words(results.data)}. Movies that are alike share their first "
        "codes."
    )


def _comparison(results: GenerativeResults, bars: Path) -> str:
    settings = results.settings
    header, rows = comparison(
        results.scores, results.trained, results.baselines, settings, METRICS
    )
    return (
        page.comparison(header, rows, judged_by=2)
        + page.image(bars, "Test metrics by model")
        + page.note(
            f"{len(results.data.recall.parts['test']['user_id']):,} users, one movie each, found "
            "among all that the user has not rated yet. A model that spells answers with its "
            f"{settings.candidates} best movies beside the newest {settings.maxlen} rated ones; "
            "those that the user has rated before are taken out of them, so for users of many "
            "ratings the list may be short."
        )
    )


def _answers(results: GenerativeResults) -> str:
    settings = results.settings
    users = "".join(
        f"<h3>User {one.user}</h3><div class=users><div>"
        f"{page.titles('rated last, newest first', _named(one.watched, results))}</div>"
        + "".join(
            f"<div>"
            f"{page.titles(f'{name} answers', _named(titles, results), one.scores[name])}</div>"
            for name, titles in one.titles.items()
        )
        + "</div>"
        for one in results.lists
    )
    return (
        f"<p>The {settings.titles} best movies that the user has not rated, each behind its name "
        f"in codes. {escape(results.trained[0].name)}'s are those that the exported model gives. "
        f"Scores of different models don't compare.</p>{users}"
    )


def _named(titles: Sequence[str], results: GenerativeResults) -> list[str]:
    return [f"{results.names[title]}  {title}" for title in titles]
