"""The ranking task's report: one HTML page with everything in it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np

from deeprec_tf.cli.demo import page
from deeprec_tf.cli.demo.ranking.metrics import (
    TABLE_HEADER,
    RankingResults,
    comparison_rows,
    sizes,
)
from deeprec_tf.cli.demo.ranking.recommend import Attention
from deeprec_tf.data import MovieLens


def write_report(
    results: RankingResults,
    path: Path,
    *,
    curves: Path,
    attention: tuple[Attention, Path] | None,
    figures: Sequence[tuple[str, Path]],
    movielens: MovieLens,
) -> Path:
    """Writes the page.

    Args:
        results: the run.
        path: the HTML file.
        curves: picture of the training curves.
        attention: attention over a history, and its picture; None where no model has any.
        figures: name and picture of each model.
        movielens: says how the data are to be cited.
    """
    sections = [
        page.section("Test part", _comparison(results)),
        page.section("Training", page.training(results.trained, curves, "validation AUC")),
        page.section("Recommendations", _recommendations(results)),
    ]
    if attention is not None:
        sections.append(page.section("Attention", _attention(*attention)))
    sections += page.models(figures)
    sections.append(
        page.section("Exported files", page.exports(results.parities, results.exports))
    )
    return page.write_page(
        path, trained=[one.name for one in results.trained], lead=_lead(results),
        sections=sections, settings=results.settings, movielens=movielens,
    )


def _lead(results: RankingResults) -> str:
    size = sizes(results.data)
    train, validation, test = (f"{share:.0%}" for share in results.settings.fractions)
    return (
        f"{size['ratings']:,} ratings of {size['movies']:,} movies by {size['users']:,} users, "
        f"split by time: the models learn from the oldest {train}, the next {validation} say when "
        f"to stop, and the newest {test} were looked at once, for the table below."
    )


def _comparison(results: RankingResults) -> str:
    rows = comparison_rows(results.scores, results.trained, results.popularity)
    test = sizes(results.data)["parts"]["test"]
    return page.comparison(TABLE_HEADER, rows, judged_by=1) + page.note(
        f"{test['positives']:,} ratings, each beside one movie drawn uniformly from "
        f"those the user has not rated. {test['targets_left_out']:,} ratings of movies that the "
        "training part does not know are left out as targets; they stay in the histories. AUC and "
        "GAUC are exact; GAUC is the mean of the users' own AUC, weighted by their rows."
    )


def _recommendations(results: RankingResults) -> str:
    name = results.trained[0].name
    users = "".join(
        page.user(
            one.user,
            [
                page.titles("watched last", one.watched),
                page.titles("recommended", one.titles, one.probabilities),
            ],
        )
        for one in results.recommendations
    )
    return (
        f"<p>{escape(name)} scores every movie that the user has not rated, with the user's "
        f"newest {results.settings.maxlen} ratings as the history.</p>"
        f"<div class=users>{users}</div>"
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
        f"{escape(' '.join(notes))}</p>"
        + page.image(picture, f"Attention of {models} over a history")
    )
