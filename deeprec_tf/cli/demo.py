"""`python -m deeprec_tf demo`, step by step."""

from __future__ import annotations

import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from deeprec_tf.cli.console import Console
from deeprec_tf.cli.demo_settings import DemoSettings
from deeprec_tf.cli.errors import CommandError
from deeprec_tf.cli.tensorflow_logging import import_quietly

if TYPE_CHECKING:
    from deeprec_tf.cli.demo_data import DemoData
    from deeprec_tf.cli.demo_metrics import DemoResults
    from deeprec_tf.cli.demo_models import Popularity, TrainedModel
    from deeprec_tf.cli.demo_recommend import Recommendation
    from deeprec_tf.data import MovieLens

# Modules that need TensorFlow are imported in the functions: first what is quick to check.

_STEPS = 6
_EXTRA = ("matplotlib", "tf2onnx", "onnxruntime")
_PARITY_ROWS = 4096


def run_demo(settings: DemoSettings) -> None:
    """Runs the demo and writes its report.

    Raises:
        CommandError: a package is missing, a model can't be trained, or the folder can't be
            written; all of them before anything takes time.
    """
    _check_extra()
    console = Console(_STEPS)
    print("Loading TensorFlow ...", flush=True)
    import_quietly("deeprec_tf.models")
    from deeprec_tf.cli.demo_metrics import DemoResults
    from deeprec_tf.cli.demo_models import find_cards, train
    from deeprec_tf.data import load_movielens

    cards = find_cards(settings.models)
    _check_folder(settings.out)
    movielens = load_movielens()
    data = _prepare(console, movielens, settings)
    console.step(f"Train {' and '.join(card.name for card in cards)}, and popularity beside them")
    popularity = _fit_popularity(console, data)
    trained = [train(card, data, settings) for card in cards]
    scores = _compare(console, trained, popularity, data)
    recommendations = _recommend(console, trained[0], data, settings)
    parities, exports = _export(console, trained[0], data, settings.out)
    results = DemoResults(
        settings, data, trained, popularity, scores, recommendations, parities, exports
    )
    _report(console, results, movielens)


def _prepare(console: Console, movielens: MovieLens, settings: DemoSettings) -> DemoData:
    from deeprec_tf.cli.demo_data import newest_ratings, prepare
    from deeprec_tf.cli.demo_metrics import sizes

    console.step("Load MovieLens")
    ratings = newest_ratings(movielens, settings.rows)
    first, last = (f"{_date(ratings['timestamp'].iloc[k])}" for k in (0, -1))
    console.line(
        f"{len(ratings):,} ratings of {ratings['movie_id'].nunique():,} movies by "
        f"{ratings['user_id'].nunique():,} users, {first} to {last}"
    )
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


def _fit_popularity(console: Console, data: DemoData) -> Popularity:
    from deeprec_tf.cli.demo_data import ITEM
    from deeprec_tf.cli.demo_models import Popularity

    training = data.parts["train"]
    popularity = Popularity().fit(data.train_counts[training[ITEM]], training["label"])
    a, b = popularity.weights
    console.line(f"popularity: P(click) = sigmoid({a:.2f} + {b:.2f} log(1 + ratings in training))")
    return popularity


def _compare(
    console: Console, trained: list[TrainedModel], popularity: Popularity, data: DemoData
) -> dict[str, dict[str, float]]:
    from deeprec_tf.cli.demo_metrics import TABLE_HEADER, comparison_rows
    from deeprec_tf.cli.demo_models import test_scores

    console.step("Compare on the test part, then recommend")
    scores = test_scores(trained, popularity, data)
    console.table(TABLE_HEADER, comparison_rows(scores, trained, popularity))
    return scores


def _recommend(
    console: Console, chosen: TrainedModel, data: DemoData, settings: DemoSettings
) -> list[Recommendation]:
    from deeprec_tf.cli.demo_recommend import choose_users, recommend

    recommendations = recommend(chosen, data, choose_users(data, settings), settings)
    for one in recommendations:
        console.line()
        width = max(map(len, one.watched))
        console.line(f"{f'user {one.user} watched last':<{width}}   {chosen.name} recommends")
        for k in range(max(len(one.watched), len(one.titles))):
            left = one.watched[k] if k < len(one.watched) else ""
            right = f"{one.probabilities[k]:.3f}  {one.titles[k]}" if k < len(one.titles) else ""
            console.line(f"{left:<{width}}   {right}")
    return recommendations


def _export(
    console: Console, chosen: TrainedModel, data: DemoData, out: Path
) -> tuple[dict[str, float], list[str]]:
    from deeprec_tf.cli.demo_models import inputs_of
    from deeprec_tf.export import check_export, export_onnx, export_saved_model

    console.step(f"Export {chosen.name}, reload, compare with the trained model")
    name = chosen.name.lower()
    saved_model = export_saved_model(chosen.model, out / "saved_model" / name, data.encoder)
    onnx = export_onnx(chosen.model, out / f"{name}.onnx")
    data.encoder.save(out / "encoder.json")
    rows = {k: values[:_PARITY_ROWS] for k, values in data.parts["test"].items()}
    rows = inputs_of(chosen.model, rows)
    parities = {
        "SavedModel, ids in": check_export(chosen.model, saved_model, rows),
        "SavedModel, raw values in": check_export(
            chosen.model, saved_model, rows, raw_x=data.raw(rows)
        ),
        "ONNX in onnxruntime": check_export(chosen.model, onnx, rows),
    }
    count = len(next(iter(rows.values())))
    for label, difference in parities.items():
        console.line(f"{label:<26} largest difference {difference:.2g} over {count:,} rows")
    files = [saved_model.relative_to(out).as_posix() + "/", onnx.name, "encoder.json"]
    return parities, files


def _report(console: Console, results: DemoResults, movielens: MovieLens) -> None:
    from deeprec_tf.cli.demo_figures import draw_attention, draw_curves
    from deeprec_tf.cli.demo_metrics import as_json, write_json
    from deeprec_tf.cli.demo_recommend import attention_of
    from deeprec_tf.cli.demo_report import write_page
    from deeprec_tf.cli.model_figure import draw_model

    console.step("Write the report")
    out = results.settings.out
    curves = draw_curves(results.trained, out / "training.png")
    attention = attention_of(results.trained, results.data, results.recommendations[0])
    shown = None
    if attention is not None:
        shown = (attention, draw_attention(attention, out / "attention.png"))
    figures = [
        (one.name, draw_model(one.model, out / f"model_{one.name.lower()}.png"))
        for one in results.trained
    ]
    page = write_page(
        results, out / "index.html", curves=curves, attention=shown, figures=figures,
        movielens=movielens,
    )
    console.end_step()
    total = console.total_seconds()
    write_json(as_json(results, console.seconds, total), out / "metrics.json")
    console.line(f"open {page}")
    print(f"Done in {total:.0f} s.")


def _check_extra() -> None:
    missing = [name for name in _EXTRA if find_spec(name) is None]
    if missing:
        raise CommandError(
            f"the demo needs {', '.join(missing)}. Run: pip install \"deeprec_tf[demo]\""
        )


def _check_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise CommandError(
            f"--out {out}: cannot write there ({error.strerror}). Name another folder."
        ) from error


def _date(seconds: int) -> str:
    import pandas as pd

    return f"{pd.to_datetime(int(seconds), unit='s'):%B %Y}"
