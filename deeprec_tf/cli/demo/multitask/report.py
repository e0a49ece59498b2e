"""The multitask task's report: one HTML page with everything in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from deeprec_tf.cli.demo import page
from deeprec_tf.cli.demo.multitask.metrics import (
    MultitaskResults,
    comparison,
    leaks_table,
    rates_table,
    sizes,
)
from deeprec_tf.data import MovieLens


def write_report(
    results: MultitaskResults,
    path: Path,
    *,
    curves: Path,
    funnel_curves: Path,
    gates: Mapping[str, Path],
    figures: Sequence[tuple[str, Path]],
    movielens: MovieLens,
) -> Path:
    """Writes the page.

    Args:
        results: the run.
        path: the HTML file.
        curves: picture of the training curves.
        funnel_curves: those of the funnel's models.
        gates: picture of the gates of each model that has some.
        figures: name and picture of each model.
        movielens: says how the data are to be cited.
    """
    learned = [*results.trained, *results.alone]
    metric = "mean of AUC and negative RMSE on the validation part"
    sections = [
        page.section("Test part", _comparison(results)),
        page.section("Training", page.training(learned, curves, metric)),
    ]
    if gates:
        sections.append(page.section("Gates", _gates(gates)))
    sections += [
        page.section("A funnel", _funnel(results, funnel_curves)),
        page.section("Leaks", _leaks(results)),
        *page.models(figures),
        page.section("Exported files", page.exports(results.parities, results.exports)),
    ]
    return page.write_page(
        path, trained=[one.name for one in results.trained], lead=_lead(results),
        sections=sections, settings=results.settings, movielens=movielens,
    )


def _lead(results: MultitaskResults) -> str:
    size = sizes(results.data, results.funnel)
    train, validation, test = (f"{share:.0%}" for share in results.settings.fractions)
    return (
        f"{size['ratings']:,} ratings of {size['movies']:,} movies by {size['users']:,} users. Two "
        f"tasks: is the movie rated {results.settings.liked_from:g} or more, and what is the "
        f"rating? The models learn from the oldest {train} of each user's ratings, the next "
        f"{validation} say when to stop, and the newest {test} were looked at once."
    )


def _comparison(results: MultitaskResults) -> str:
    table = comparison(results.scores, results.trained, results.alone, results.means)
    part = sizes(results.data, results.funnel)["parts"]["test"]
    return page.comparison(*table, judged_by=1) + page.note(
        f"{part['ratings']:,} ratings, {part['liked']:,} of them liked. The means are that of all "
        "and how far movie and user are from it, added up. A model a task is SharedBottom "
        "twice, narrower, on one task each: what there is to gain by learning both tasks together "
        "is measured against it."
    )


def _gates(gates: Mapping[str, Path]) -> str:
    pictures = "".join(
        f"<h3>{escape(name)}</h3>{page.image(picture, f'Gates of {name}')}"
        for name, picture in gates.items()
    )
    return (
        "<p>How much each task's gate lets through of each expert, on average over the test part. "
        "Tasks that want the same are mixed alike.</p>" + pictures
    )


def _funnel(results: MultitaskResults, curves: Path) -> str:
    part = sizes(results.data, results.funnel)["parts"]["test"]
    return (
        "<p>A rated movie is a click, a liked one a conversion, and beside each stand movies drawn "
        "uniformly from those that the user has not rated. ESMM learns the conversion rate over "
        "all impressions, by way of p(click and conversion); SharedBottom learns it on the clicks "
        "alone.</p>"
        + page.comparison(*rates_table(results.rates), judged_by=2)
        + page.training(results.of_funnel, curves, "mean of the three AUC on the validation part")
        + page.note(
            f"{part['impressions']:,} impressions; the conversion's AUC is that over the clicks."
        )
    )


def _leaks(results: MultitaskResults) -> str:
    return (
        "<p>What each input tells by itself. An AUC near 1 would mean an input that is only known "
        "after the label.</p>" + page.table(*leaks_table(results.leaks))
    )
