"""The demo of ranking, step by step."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from deeprec_tf.cli.console import Console
from deeprec_tf.cli.demo.exporting import PARITY_ROWS, export_model
from deeprec_tf.cli.demo.figures import draw_curves, draw_graphs
from deeprec_tf.cli.demo.measured import finish
from deeprec_tf.cli.demo.movies import ITEM, load_ratings
from deeprec_tf.cli.demo.ranking.data import RankingData, prepare
from deeprec_tf.cli.demo.ranking.figures import draw_attention
from deeprec_tf.cli.demo.ranking.metrics import (
    TABLE_HEADER,
    RankingResults,
    as_json,
    comparison_rows,
    sizes,
)
from deeprec_tf.cli.demo.ranking.models import Popularity, inputs_of, test_scores, train
from deeprec_tf.cli.demo.ranking.recommend import (
    Recommendation,
    attention_of,
    choose_users,
    recommend,
)
from deeprec_tf.cli.demo.ranking.report import write_report
from deeprec_tf.cli.demo.settings import RankingSettings
from deeprec_tf.cli.demo.training import TrainedModel
from deeprec_tf.data import MovieLens
from deeprec_tf.registry import ModelCard

_CURVES = (
    ("loss", "training loss", "auxiliary loss counted"),
    ("val_log_loss", "validation log loss", "lower is better"),
    ("val_auc", "validation AUC", "higher is better"),
)


def run(console: Console, cards: Sequence[ModelCard], settings: RankingSettings) -> None:
    """From ratings to a report, in six steps.

    Raises:
        CommandError: there are too few ratings.
    """
    movielens, ratings = load_ratings(console, settings)
    data = _prepare(console, ratings, settings)
    console.step(f"Train {' and '.join(card.name for card in cards)}, and popularity beside them")
    popularity = _fit_popularity(console, data)
    trained = [train(card, data, settings) for card in cards]
    scores = _compare(console, trained, popularity, data)
    recommendations = _recommend(console, trained[0], data, settings)
    rows = {name: values[:PARITY_ROWS] for name, values in data.parts["test"].items()}
    rows = inputs_of(trained[0].model, rows)
    parities, exports = export_model(
        console, trained[0], data.encoder, rows, data.raw(rows), settings.out
    )
    results = RankingResults(
        settings, data, trained, popularity, scores, recommendations, parities, exports
    )
    _report(console, results, movielens)


def _prepare(
    console: Console, ratings: pd.DataFrame, settings: RankingSettings
) -> RankingData:
    console.step("Encode, build behavior sequences, split by time, sample negatives")
    data = prepare(ratings, settings)
    size = sizes(data)
    console.table(
        ("part", "positives", "examples", "left out"),
        [
            (name, *(f"{part[key]:,}" for key in ("positives", "examples", "targets_left_out")))
            for name, part in size["parts"].items()
        ],
    )
    console.line(
        "left out: targets whose movie the training part does not know; they stay in histories"
    )
    return data


def _fit_popularity(console: Console, data: RankingData) -> Popularity:
    training = data.parts["train"]
    popularity = Popularity().fit(data.train_counts[training[ITEM]], training["label"])
    a, b = popularity.weights
    console.line(f"popularity: P(click) = sigmoid({a:.2f} + {b:.2f} log(1 + ratings in training))")
    return popularity


def _compare(
    console: Console, trained: list[TrainedModel], popularity: Popularity, data: RankingData
) -> dict[str, dict[str, float]]:
    console.step("Compare on the test part, then recommend")
    scores = test_scores(trained, popularity, data)
    console.table(TABLE_HEADER, comparison_rows(scores, trained, popularity))
    return scores


def _recommend(
    console: Console, chosen: TrainedModel, data: RankingData, settings: RankingSettings
) -> list[Recommendation]:
    recommendations = recommend(chosen, data, choose_users(data, settings), settings)
    for one in recommendations:
        best = zip(one.probabilities, one.titles, strict=True)
        console.line()
        console.beside(
            [f"user {one.user} watched last", *one.watched],
            [f"{chosen.name} recommends", *(f"{p:.3f}  {title}" for p, title in best)],
        )
    return recommendations


def _report(console: Console, results: RankingResults, movielens: MovieLens) -> None:
    console.step("Write the report")
    out = results.settings.out
    curves = draw_curves(results.trained, _CURVES, out / "training.png")
    attention = attention_of(results.trained, results.data, results.recommendations[0])
    shown = None
    if attention is not None:
        shown = (attention, draw_attention(attention, out / "attention.png"))
    page = write_report(
        results, out / "index.html", curves=curves, attention=shown,
        figures=draw_graphs(results.trained, out), movielens=movielens,
    )
    finish(console, page, results.settings, results.trained, as_json(results))
