"""The recall task's report: one HTML page with everything in it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from deeprec_tf.cli.demo import page
from deeprec_tf.cli.demo.recall.metrics import RecallResults, comparison, sizes
from deeprec_tf.data import MovieLens


def write_report(
    results: RecallResults,
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
        page.section("What is found", _found(results)),
        *page.models(figures),
        page.section("Exported files", page.exports(results.parities, results.exports)),
    ]
    return page.write_page(
        path, trained=[one.name for one in results.trained], lead=_lead(results),
        sections=sections, settings=results.settings, movielens=movielens,
    )


def _lead(results: RecallResults) -> str:
    size = sizes(results.data)
    return (
        f"{size['ratings']:,} ratings of {size['movies']:,} movies by {size['users']:,} users. Of "
        "each user the last movie is to be found by the test, the one before by the validation, "
        "which says when to stop; the models learn from the rest. All movies compete that the "
        "user has not rated yet."
    )


def _comparison(results: RecallResults, bars: Path) -> str:
    size = sizes(results.data)
    k = results.settings.titles
    header, rows = comparison(
        results.scores, results.trained, results.baselines, results.settings
    )
    return (
        page.comparison(header, rows, judged_by=2)
        + page.image(bars, "Test metrics by model")
        + page.note(
            f"{size['test']:,} users, one movie each. HR is the share of users whose movie stands "
            f"among the first {k}; NDCG counts a higher place for more; coverage is the share of "
            f"the movies that stand in somebody's first {k}. Left out are "
            f"{size['ratings_left_out']:,} ratings of movies with fewer than "
            f"{results.settings.least_ratings} ratings in the training part."
        )
    )


def _found(results: RecallResults) -> str:
    settings = results.settings
    first = results.trained[0].name
    users = "".join(
        f"<h3>User {one.user}</h3><div class=users><div>"
        f"{page.titles('rated last, newest first', one.watched)}</div>"
        + "".join(
            f"<div>{page.titles(f'{name} finds', titles, one.scores[name])}</div>"
            for name, titles in one.titles.items()
        )
        + "</div>"
        for one in results.lists
    )
    return (
        f"<p>The {settings.titles} best movies that the user has not rated, with the newest "
        f"{settings.maxlen} ratings as the history. An index of the movies' vectors finds them; "
        f"for {escape(first)} the exported SavedModel does. Scores of different models don't "
        f"compare.</p>{users}"
    )
