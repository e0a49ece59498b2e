"""Smaller and faster: DIEN of 108 units distilled into 32, and int8 ONNX of DIEN, DeepFM and DCNv2.

    python benchmarks/accuracy/distillation.py --seeds 0,1,2 --out runs/distillation

Data: the newest ratings of the bundled MovieLens as the demo prepares them (split by time 80/10/10,
one sampled negative a positive, what was watched before as history). Validation AUC chooses the
epoch. Each seed trains a teacher, a student alone, the student on hints, without and with the
teacher's tables to begin with, and on these tables without hints. The models are then written as
ONNX, as they are and in int8; other ways to int8 are for the first seed. Times are CPU milliseconds
of one thread, the median of many calls: CPU time, for wall time measures whatever else the machine
does. A finished run is not run again.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from unittest import mock

import keras
import numpy as np
from onnxruntime.quantization import QuantType, quantize_dynamic
from rows import Rows, cpu_seconds, use_one_thread

from deeprec_tf.cli.demo.movies import newest_ratings
from deeprec_tf.cli.demo.ranking.data import BEHAVIORS, RankingData, prepare
from deeprec_tf.cli.demo.settings import RankingSettings
from deeprec_tf.data import load_movielens
from deeprec_tf.evaluation import CTREvaluation, exact_auc, log_loss
from deeprec_tf.export import export_onnx, onnx_file, serving_function
from deeprec_tf.models import DIEN, DCNv2, DeepFM
from deeprec_tf.training import distill

DATA = "MovieLens"
SETTINGS = RankingSettings(movie_dim=16, field_dim=16, maxlen=20)
TEACHER, STUDENT = "DIEN, 108 units", "DIEN, 32 units"
HINTS = {
    f"{STUDENT}, distilled": {},
    f"{STUDENT}, distilled, tables copied": {"share_lower_layers": True},
    f"{STUDENT}, tables copied, no hints": {"share_lower_layers": True, "hint_weight": 0.0},
}
TOWER = {"hidden_units": (200, 80)}
# What `export_onnx` writes, and what onnxruntime's dynamic quantization makes of its float32 file.
WRITTEN = {"float32": None, "int8": "dynamic"}
QUANTIZED: dict[str, dict[str, Any]] = {
    "int8, all products": {},
    "int8, all products, signed weights": {"weight_type": QuantType.QInt8},
    "int8, all products, a scale a channel": {"per_channel": True},
    "int8, products but not tables": {"op_types_to_quantize": ["MatMul"]},
}
# The same of the graph as tf2onnx writes it, which hands a GRU's weights from step to step.
CARRIED = ("float32, weights carried by loops", "int8, all products, weights carried by loops")


def columns_of(data: RankingData, *, pooled: bool) -> list:
    """Columns of a behavior model, or of one that reads the mean of a history."""
    return [
        column for column in data.columns(SETTINGS)
        if not (pooled and column.name.startswith("neg_"))
    ]


def build(model: str, data: RankingData, seed: int) -> keras.Model:
    """A new model by its name in the tables."""
    keras.utils.set_random_seed(seed)
    optimizer = keras.optimizers.Adam(SETTINGS.learning_rate)
    if model in ("DeepFM", "DCNv2"):
        builder = {"DeepFM": DeepFM, "DCNv2": DCNv2}[model]
        return builder(columns_of(data, pooled=True), optimizer=optimizer, metrics=[], **TOWER)
    return DIEN(
        columns_of(data, pooled=False), list(BEHAVIORS), optimizer=optimizer, metrics=[],
        interest_units=108 if model == TEACHER else 32, aux_type="mlp", **TOWER,
    )


def rows_of(model: keras.Model, rows: dict) -> dict:
    """The inputs a model reads."""
    return {tensor.name: rows[tensor.name] for tensor in model.inputs if tensor.name in rows}


def train(
    model: keras.Model, data: RankingData, epochs: int, teacher: keras.Model | None, **hints: Any
) -> None:
    """Trains a model, on hints where there is a teacher."""
    train, validation = data.parts["train"], data.parts["validation"]
    arguments = {
        "batch_size": SETTINGS.batch_size, "epochs": epochs, "verbose": 2,
        "callbacks": [
            CTREvaluation((validation, validation["label"])),
            keras.callbacks.EarlyStopping(
                "val_auc", mode="max", patience=1, restore_best_weights=True
            ),
        ],
    }
    if teacher is None:
        model.fit(rows_of(model, train), train["label"], **arguments)
    else:
        distill(teacher, model, train, train["label"], **hints, **arguments)


def milliseconds(call: Callable[[], Any], calls: int = 300) -> float:
    """Median CPU milliseconds of a call."""
    for _ in range(20):
        call()
    times = []
    for _ in range(calls):
        began = time.process_time_ns()
        call()
        times.append((time.process_time_ns() - began) / 1e6)
    return statistics.median(times)


def requests(rows: dict, size: int) -> dict:
    """The first rows as one request."""
    return {name: values[:size] for name, values in rows.items()}


def speed(answer: Callable[[dict], Any], rows: dict) -> dict[str, float]:
    """Milliseconds of one row and of a batch of 128."""
    return {
        "latency_ms": milliseconds(lambda: answer(requests(rows, 1))),
        "latency_128_ms": milliseconds(lambda: answer(requests(rows, 128)), calls=100),
    }


def distillation(data: RankingData, seed: int, epochs: int, out: Path) -> None:
    """Teacher, student alone and students on hints of one seed."""
    table, test = Rows("distillation"), data.parts["test"]
    for model in (TEACHER, STUDENT, *HINTS):
        path = out / f"{model} {seed}.keras"
        if table.done(model=model, seed=seed) and path.exists():
            continue
        print(f"{model}, seed {seed}", flush=True)
        built = build(model, data, seed)
        teacher = None
        if model in HINTS:
            teacher = keras.saving.load_model(out / f"{TEACHER} {seed}.keras")
        with cpu_seconds() as seconds:
            train(built, data, epochs, teacher, **HINTS.get(model, {}))
        built.save(path)
        p = built.predict(rows_of(built, test), verbose=0)[:, 0]
        served = serving_function(built)
        print(table.add(
            model=model, data=DATA, seed=seed, parameters=built.count_params(),
            auc=exact_auc(test["label"], p), log_loss=log_loss(test["label"], p),
            **speed(served, {name: test[name] for name in served.inputs}), seconds=seconds(),
        ), flush=True)  # fmt: skip


def onnx_session(path: Path) -> Callable[[dict], np.ndarray]:
    """A file in onnxruntime with one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
    return lambda batch: session.run(["probability"], batch)[0]


def quantization(
    data: RankingData, seed: int, epochs: int, out: Path, others: Iterable[str] = ()
) -> None:
    """ONNX in float32, in int8 and in other forms: size, speed, and how far the answers move."""
    table, test = Rows("quantization"), data.parts["test"]
    for model in (TEACHER, f"{STUDENT}, distilled", "DeepFM", "DCNv2"):
        path = out / f"{model} {seed}.keras"
        if not path.exists():
            built = build(model, data, seed)
            train(built, data, epochs, None)
            built.save(path)
        built = keras.saving.load_model(path)
        exact = built.predict(rows_of(built, test), verbose=0)[:, 0]
        inputs = serving_function(built).inputs
        batch = {name: np.asarray(test[name], info.dtype) for name, info in inputs.items()}
        for form in (*WRITTEN, *others, *(CARRIED if others and model.startswith("DIEN") else ())):
            if table.done(model=model, form=form, seed=seed):
                continue
            file = onnx_of(built, form, out)
            answer = onnx_session(file)
            p = answer(batch)[:, 0]
            moved = np.abs(p.astype("float64") - exact)
            print(table.add(
                model=model, form=form, data=DATA, seed=seed, parameters=built.count_params(),
                auc=exact_auc(test["label"], p), log_loss=log_loss(test["label"], p),
                **speed(answer, batch), size_mb=file.stat().st_size / 1e6,
                difference=moved.max(), mean_difference=moved.mean(),
            ), flush=True)  # fmt: skip


def onnx_of(model: keras.Model, form: str, out: Path) -> Path:
    """The file of a model in one of the forms."""
    left_alone = mock.patch.object(onnx_file, "fix_loop_constants") if form in CARRIED else None
    with left_alone or contextlib.nullcontext():
        file = export_onnx(model, out / "model.onnx", quantize=WRITTEN.get(form))
    if form in WRITTEN or form == CARRIED[0]:
        return file
    settings = {"weight_type": QuantType.QUInt8, **QUANTIZED.get(form, {})}
    quantize_dynamic(
        file, out / "int8.onnx", extra_options={"EnableSubgraph": True}, **settings
    )
    return out / "int8.onnx"


def main() -> None:
    """Runs what is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--tables", nargs="+", default=["distillation", "quantization"])
    parser.add_argument("--ratings", type=int, default=25_000, help="newest ratings; 0 is all")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("runs/distillation"))
    options = parser.parse_args()
    use_one_thread()
    options.out.mkdir(parents=True, exist_ok=True)
    data = prepare(newest_ratings(load_movielens(), options.ratings), SETTINGS)
    seeds = [int(seed) for seed in options.seeds.split(",")]
    if "distillation" in options.tables:
        for seed in seeds:
            distillation(data, seed, options.epochs, options.out)
    if "quantization" in options.tables:
        for seed in seeds:
            others = QUANTIZED if seed == seeds[0] else ()
            quantization(data, seed, options.epochs, options.out, others)


if __name__ == "__main__":
    main()
