"""The demo of recall, step by step."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from deeprec_tf.cli.console import Console
from deeprec_tf.cli.demo.figures import draw_bars, draw_curves, draw_graphs
from deeprec_tf.cli.demo.measured import finish
from deeprec_tf.cli.demo.movies import load_ratings
from deeprec_tf.cli.demo.recall.data import RecallData, prepare
from deeprec_tf.cli.demo.recall.metrics import (
    RecallResults,
    as_json,
    comparison,
    metric_names,
    sizes,
)
from deeprec_tf.cli.demo.recall.models import fit_baselines, test_scores, train
from deeprec_tf.cli.demo.recall.recommend import Lists, export, lists_of, requests_of, search
from deeprec_tf.cli.demo.recall.report import write_report
from deeprec_tf.cli.demo.settings import RecallSettings
from deeprec_tf.cli.demo.training import TrainedModel
from deeprec_tf.data import MovieLens
from deeprec_tf.registry import ModelCard


def run(console: Console, cards: Sequence[ModelCard], settings: RecallSettings) -> None:
    """From ratings to a report, in six steps.

    Raises:
        CommandError: there are too few ratings.
    """
    movielens, ratings = load_ratings(console, settings)
    data = _prepare(console, ratings, settings)
    console.step(f"Train {', '.join(card.name for card in cards)}, and baselines beside them")
    baselines = fit_baselines(console, data)
    trained = [train(card, data, settings) for card in cards]
    console.step("Rank all movies on the test part")
    scores = test_scores(trained, baselines, data, settings)
    console.table(*comparison(scores, trained, baselines, settings))
    lists, parities, exports = _find(console, trained, data, settings)
    results = RecallResults(
        settings, data, trained, baselines, scores, lists, parities, exports
    )
    _report(console, results, movielens)


def _prepare(console: Console, ratings: pd.DataFrame, settings: RecallSettings) -> RecallData:
    console.step("Encode, build sequences, keep each user's last two movies to find")
    data = prepare(ratings, settings)
    size = sizes(data)
    console.line(
        f"training: {size['moments']:,} moments in {size['sequences']:,} sequences; "
        f"{size['validation']:,} users to validate and to test"
    )
    console.line(
        f"left out: {size['ratings_left_out']:,} ratings of movies with fewer than "
        f"{settings.least_ratings} ratings in the training part"
    )
    return data


def _find(
    console: Console, trained: Sequence[TrainedModel], data: RecallData, settings: RecallSettings
) -> tuple[list[Lists], dict[str, float], list[str]]:
    first = trained[0]
    console.step(f"Put the movies into an index, export {first.name} with it, ask both")
    asked = requests_of(data, settings)
    found = {one.name: search(one, data, asked, settings.titles) for one in trained}
    folder = settings.out / "retriever" / first.name.lower()
    parities, found[first.name] = export(first, data, asked, found[first.name], folder)
    data.encoder.save(settings.out / "encoder.json")
    for label, difference in parities.items():
        console.line(
            f"{label:<30} largest difference {difference:.2g} from the index over "
            f"{len(asked.users):,} users"
        )
    lists = lists_of(found, data, asked, settings)
    for one in lists:
        console.line()
        best = zip(one.scores[first.name], one.titles[first.name], strict=True)
        console.beside(
            [f"user {one.user} rated last", *one.watched],
            [f"{first.name} finds", *(f"{score:.3f}  {title}" for score, title in best)],
        )
    return lists, parities, [folder.relative_to(settings.out).as_posix() + "/", "encoder.json"]


def _report(console: Console, results: RecallResults, movielens: MovieLens) -> None:
    console.step("Write the report")
    settings, trained, out = results.settings, results.trained, results.settings.out
    curves = (
        ("loss", "training loss", "of each model's own rows"),
        *((f"val_{name}@{settings.titles}", f"validation {word}@{settings.titles}",
           "higher is better") for name, word in (("ndcg", "NDCG"), ("hr", "HR"))),
    )
    page = write_report(
        results, out / "index.html",
        curves=draw_curves(trained, curves, out / "training.png"),
        bars=draw_bars(results.scores, metric_names(settings), out / "test.png"),
        figures=draw_graphs(trained, out), movielens=movielens,
    )
    finish(console, page, settings, trained, as_json(results))
