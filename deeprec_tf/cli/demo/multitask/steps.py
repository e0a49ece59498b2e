"""The demo of several tasks at once, step by step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from deeprec_tf import graph
from deeprec_tf.cli.console import Console
from deeprec_tf.cli.demo.exporting import PARITY_ROWS, export_model
from deeprec_tf.cli.demo.figures import draw_curves, draw_graphs
from deeprec_tf.cli.demo.measured import finish
from deeprec_tf.cli.demo.movies import ITEM, load_ratings
from deeprec_tf.cli.demo.multitask.data import MultitaskData, prepare
from deeprec_tf.cli.demo.multitask.funnel import (
    Funnel,
    funnel_scores,
    prepare_funnel,
    train_funnel,
)
from deeprec_tf.cli.demo.multitask.metrics import (
    MultitaskResults,
    as_json,
    comparison,
    leaks_table,
    rates_table,
    sizes,
)
from deeprec_tf.cli.demo.multitask.models import Means, test_scores, train, train_alone
from deeprec_tf.cli.demo.multitask.report import write_report
from deeprec_tf.cli.demo.settings import MultitaskSettings
from deeprec_tf.cli.demo.training import TrainedModel
from deeprec_tf.data import MovieLens, take
from deeprec_tf.evaluation import gate_usage, label_leaks, plot_gate_usage
from deeprec_tf.registry import ModelCard

_CURVES = (
    ("loss", "training loss", "of a model's own tasks"),
    ("val_liked_auc", "validation AUC, liked", "higher is better"),
    ("val_rating_rmse", "validation RMSE, rating", "lower is better"),
)
_FUNNEL_CURVES = (
    ("val_ctr_auc", "validation AUC, click", "of all impressions"),
    ("val_cvr_auc", "validation AUC, conversion", "of clicks"),
    ("val_ctcvr_auc", "validation AUC, both", "of all impressions"),
)


def run(console: Console, cards: Sequence[ModelCard], settings: MultitaskSettings) -> None:
    """From ratings to a report, in seven steps.

    Raises:
        CommandError: there are too few ratings.
    """
    movielens, ratings = load_ratings(console, settings)
    data, funnel, leaks = _prepare(console, ratings, settings)
    console.step(f"Train {', '.join(card.name for card in cards)}, and a model a task beside them")
    means = Means.fit(data)
    trained = [train(card, data, settings) for card in cards]
    alone = train_alone(data, settings)
    console.step("Train ESMM on a funnel, and a model of clicks alone beside it")
    of_funnel = train_funnel(data, funnel, settings)
    console.step("Compare on the test part")
    scores = test_scores(trained, alone, means, data)
    console.table(*comparison(scores, trained, alone, means))
    rates = funnel_scores(of_funnel, funnel)
    console.line()
    console.table(*rates_table(rates))
    gates = _gates(console, trained, data)
    some = np.arange(len(data.raw[ITEM]))[:PARITY_ROWS]
    rows, raw = (take(x, some) for x in (data.inputs["test"], data.raw))
    parities, exports = export_model(
        console, trained[0], data.encoder, rows, raw, settings.out
    )
    results = MultitaskResults(
        settings, data, funnel, trained, alone, means, of_funnel, scores, rates, leaks, gates,
        parities, exports,
    )
    _report(console, results, movielens)


def _prepare(
    console: Console, ratings: pd.DataFrame, settings: MultitaskSettings
) -> tuple[MultitaskData, Funnel, pd.DataFrame]:
    console.step("Encode, split each user's ratings by time, make labels, look for leaks")
    data = prepare(ratings, settings)
    funnel = prepare_funnel(data, settings)
    keys = ("ratings", "liked", "impressions")
    console.table(
        ("part", *keys),
        [
            (name, *(f"{part[key]:,}" for key in keys))
            for name, part in sizes(data, funnel)["parts"].items()
        ],
    )
    leaks = label_leaks(data.inputs["train"], data.labels["train"], seed=settings.seed)
    console.line()
    console.table(*leaks_table(leaks))
    return data, funnel, leaks


def _gates(
    console: Console, trained: Sequence[TrainedModel], data: MultitaskData
) -> dict[str, pd.DataFrame]:
    """The mean weights of experts, of the models that have gates."""
    gates = {
        one.name: gate_usage(one.model, data.inputs["test"])
        for one in trained if graph.explainable_calls(one.model)
    }
    for name, usage in gates.items():
        console.line()
        header = (f"{name}, mean weight", *(f"expert {expert}" for expert in usage.columns))
        rows = [
            (str(gate), *("" if pd.isna(weight) else f"{weight:.2f}" for weight in weights))
            for gate, *weights in usage.itertuples()
        ]
        console.table(header, rows)
    return gates


def _report(console: Console, results: MultitaskResults, movielens: MovieLens) -> None:
    console.step("Write the report")
    out, gates = results.settings.out, {}
    for name, usage in results.gates.items():
        gates[name] = out / f"gates_{name.lower()}.png"
        plot_gate_usage(usage, gates[name])
    learned = [*results.trained, *results.alone]
    page = write_report(
        results, out / "index.html",
        curves=draw_curves(learned, _CURVES, out / "training.png"),
        funnel_curves=draw_curves(results.of_funnel, _FUNNEL_CURVES, out / "funnel.png"),
        gates=gates, figures=draw_graphs(results.trained, out), movielens=movielens,
    )
    finish(console, page, results.settings, results.all_trained, as_json(results))
