"""The demo of generation, step by step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from deeprec_tf.cli.console import Console
from deeprec_tf.cli.demo.figures import draw_bars, draw_curves, draw_graphs
from deeprec_tf.cli.demo.generative.data import GenerativeData, prepare
from deeprec_tf.cli.demo.generative.generate import export, find, lists_of
from deeprec_tf.cli.demo.generative.metrics import GenerativeResults, as_json, name_words
from deeprec_tf.cli.demo.generative.models import METRICS, test_scores, train
from deeprec_tf.cli.demo.generative.report import write_report
from deeprec_tf.cli.demo.measured import finish
from deeprec_tf.cli.demo.movies import load_ratings
from deeprec_tf.cli.demo.recall.metrics import comparison, metric_names, sizes
from deeprec_tf.cli.demo.recall.models import fit_baselines
from deeprec_tf.cli.demo.recall.recommend import Lists, requests_of
from deeprec_tf.cli.demo.settings import GenerativeSettings
from deeprec_tf.cli.demo.training import TrainedModel
from deeprec_tf.data import MovieLens
from deeprec_tf.registry import ModelCard

_SHELVES, _MOVIES_OF_A_SHELF = 3, 4


def run(console: Console, cards: Sequence[ModelCard], settings: GenerativeSettings) -> None:
    """From ratings to a report, in seven steps.

    Raises:
        CommandError: there are too few ratings.
    """
    movielens, ratings = load_ratings(console, settings)
    data = _prepare(console, ratings, settings)
    _show_names(console, data)
    console.step(f"Train {', '.join(card.name for card in cards)}, and baselines beside them")
    baselines = fit_baselines(console, data.recall)
    trained = [train(card, data, settings) for card in cards]
    console.step("Let them answer for the test part")
    scores = test_scores(trained, baselines, data, settings)
    console.table(*comparison(scores, trained, baselines, settings, METRICS))
    lists, names, parities, exports = _answer(console, trained, data, settings)
    results = GenerativeResults(
        settings, data, trained, baselines, scores, lists, names, parities, exports
    )
    _report(console, results, movielens)


def _prepare(
    console: Console, ratings: pd.DataFrame, settings: GenerativeSettings
) -> GenerativeData:
    console.step("Encode, build sequences, keep each user's last two movies to find")
    data = prepare(ratings, settings)
    size = sizes(data.recall)
    console.line(
        f"training: {len(data.moments['user_id']):,} moments; {size['validation']:,} users to "
        "validate and to test"
    )
    return data


def _show_names(console: Console, data: GenerativeData) -> None:
    console.step("Name the movies: codes of who rated them, of genre and release period")
    console.line(name_words(data))
    movies = next(iter(data.recall.catalogue.values()))
    counts = np.bincount(data.moments["item_id"], minlength=len(data.codes.codes))
    by_count = movies[np.argsort(-counts[movies], kind="stable")]
    shelves: dict[tuple[int, ...], list[int]] = {}
    for movie in by_count:
        shelves.setdefault(tuple(data.codes.codes[movie][:-1]), []).append(int(movie))
    shared = [shelf for shelf in shelves.values() if len(shelf) >= _MOVIES_OF_A_SHELF]
    for shelf in shared[:_SHELVES]:
        console.line()
        for movie in shelf[:_MOVIES_OF_A_SHELF]:
            console.line(f"{data.name(movie):<10} {data.recall.titles[movie]}")


def _answer(
    console: Console,
    trained: Sequence[TrainedModel],
    data: GenerativeData,
    settings: GenerativeSettings,
) -> tuple[list[Lists], dict[str, str], dict[str, float], list[str]]:
    first = trained[0]
    console.step(f"Export {first.name} with all that its answer takes, reload, ask it")
    asked = requests_of(data.recall, settings)
    found = {one.name: find(one, data, asked, settings) for one in trained}
    folder = settings.out / "saved_model" / first.name.lower()
    parities = export(first, data, asked, found[first.name], folder)
    data.encoder.save(settings.out / "encoder.json")
    for label, difference in parities.items():
        console.line(
            f"{label:<30} largest difference {difference:.2g} from the trained model over "
            f"{len(asked.users):,} users"
        )
    lists, names = lists_of(found, data, asked, settings)
    for one in lists:
        console.line()
        best = zip(one.scores[first.name], one.titles[first.name], strict=True)
        console.beside(
            [f"user {one.user} rated last", *(f"{names[t]:<9} {t}" for t in one.watched)],
            [
                f"{first.name} answers",
                *(f"{score:.3f}  {names[title]:<9} {title}" for score, title in best),
            ],
        )
    files = [folder.relative_to(settings.out).as_posix() + "/", "encoder.json"]
    return lists, names, parities, files


def _report(console: Console, results: GenerativeResults, movielens: MovieLens) -> None:
    console.step("Write the report")
    settings, trained, out = results.settings, results.trained, results.settings.out
    k = settings.titles
    curves = (
        ("loss", "training loss", "of each model's own kind"),
        (f"val_ndcg@{k}", f"validation NDCG@{k}", "higher is better"),
        (f"val_hr@{k}", f"validation HR@{k}", "higher is better"),
    )
    page = write_report(
        results, out / "index.html",
        curves=draw_curves(trained, curves, out / "training.png"),
        bars=draw_bars(results.scores, metric_names(settings, METRICS), out / "test.png"),
        figures=draw_graphs(trained, out), movielens=movielens,
    )
    finish(console, page, settings, trained, as_json(results))
