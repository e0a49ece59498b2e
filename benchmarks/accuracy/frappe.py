"""Frappe: every interaction model by the benchmark's recipe, official training and validation part.

    DEEPREC_TF_DATA=... python benchmarks/accuracy/frappe.py --models DeepFM,DCNv2 --seeds 0,1,2

Batch 4,096, embeddings of width 10, towers of 400, 400, 400 with batch normalization, validation
AUC chooses the epoch (`deeprec_tf.training.benchmark_recipe`). The negatives of the training part
are drawn anew, so differences below .001 mean nothing. A finished run is not run again.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import keras
import pandas as pd
from rows import Rows, cpu_seconds, use_one_thread

from deeprec_tf import SparseFeat, get_model
from deeprec_tf.data import data_dir
from deeprec_tf.training import benchmark_recipe

TOWER = {"hidden_units": (400, 400, 400), "batch_norm": True}
PLAIN = {"hidden_units": (400, 400, 400)}
# Half of the published layers, heads and widths; AutoInt without a tower needs them all.
ATTENTION = {"num_layers": 3, "num_heads": 2, "head_size": 16, "residual": "project"}
DEEP = {"num_layers": 6, "num_heads": 4, "head_size": 32}
SMALLER = "3 layers of 2 heads of 16 units, published with 5 of 4 heads of 32"
MASKS = {
    **TOWER, "structure": "parallel", "block_units": (50, 50, 50), "reduction_ratio": 2.0,
    "block_dropout": 0.1, "dropout": 0.1, "batch_norm": False,
}  # fmt: skip
# Model: builder, lambda of the penalty, arguments of the builder, remark.
SETTINGS: dict[str, tuple[str, float, dict[str, Any], str]] = {
    "LR": ("LR", 1e-5, {}, ""),
    "FM": ("FM", 5e-6, {}, ""),
    "FwFM": ("FwFM", 5e-6, {"linear_form": "id_vectors"}, ""),
    "AFM": ("AFM", 1e-5, {"attention_units": 128, "dropout": 0.1, "attention_dropout": 0.1}, ""),
    "NFM": ("NFM", 1e-4, {**PLAIN, "dropout": 0.4}, ""),
    "DNN": ("DNN", 0.05, {**TOWER, "dropout": 0.2}, ""),
    "WideDeep": ("WideDeep", 0.1, {**TOWER, "dropout": 0.6}, ""),
    "PNN": ("PNN", 0.05, {**PLAIN, "dropout": 0.3}, "inner products"),
    "DeepFM": ("DeepFM", 0.05, {**TOWER, "dropout": 0.2}, ""),
    "DCN": ("DCN", 0.05, {**TOWER, "cross_num": 3, "dropout": 0.2}, ""),
    "DCNv2": ("DCNv2", 0.05, {**TOWER, "cross_num": 4, "dropout": 0.4}, ""),
    "xDeepFM": ("xDeepFM", 0.1, {**TOWER, "cin_sizes": (64,), "dropout": 0.2}, ""),
    "FiBiNET": (
        "FiBiNET", 0.05,
        {**TOWER, "bilinear_type": "field_all", "reduction_ratio": 2, "dropout": 0.3}, "",
    ),
    "MaskNet": ("MaskNet", 0.1, MASKS, ""),
    "MaskNet as published": (
        "MaskNet", 0.1, {**MASKS, "embedding_norm": False}, "embeddings not normalized",
    ),
    "FinalMLP": (
        "FinalMLP", 0.05,
        {"hidden_units": (400,), "second_hidden_units": (100,), "dropout": 0.4,
         "batch_norm": True, "num_heads": 5, "first_context": ("user",),
         "second_context": ("item",), "gate_hidden_units": (400,)}, "",
    ),
    "DLRM": (
        "DLRM", 0.1, {**TOWER, "dropout": 0.4},
        "with dot products; the published run has none, only their fields side by side",
    ),
    "DLRM as published": (
        "DNN", 0.1, {**TOWER, "dropout": 0.4}, "fields side by side, which makes it a DNN",
    ),
    "EDCN": (
        "EDCN", 0.05,
        {"cross_num": 3, "bridge_type": "hadamard_product", "temperature": 5.0, "dropout": 0.3,
         "batch_norm": True}, "",
    ),
    "GDCN": (
        "GDCN", 0.05, {**TOWER, "cross_num": 4, "dropout": 0.4},
        "no row is published; set as DCNv2",
    ),
    "AutoInt": ("AutoInt", 0.05, DEEP, ""),
    "AutoInt (projected)": (
        "AutoInt", 0.05, {**DEEP, "residual": "project"}, "a projection in every residual",
    ),
    "AutoInt+": ("AutoInt", 0.1, {**ATTENTION, **TOWER, "dropout": 0.1}, SMALLER),
}  # fmt: skip


def load(folder: Path) -> tuple[list[SparseFeat], tuple, tuple]:
    """Columns of width 10, (x, y) of the training part, (x, y) of the validation part."""
    train, valid = (pd.read_parquet(folder / f"{part}.parquet") for part in ("train", "valid"))
    names = [name for name in train.columns if name != "label"]
    sizes = pd.concat([train, valid])[names].max() + 1
    columns = [SparseFeat(name, int(sizes[name]), embedding_dim=10) for name in names]
    parts = [
        ({name: part[name].to_numpy("int32") for name in names}, part["label"].to_numpy("float32"))
        for part in (train, valid)
    ]
    return columns, *parts


def main() -> None:
    """Runs what is not there yet, all models of one seed before the next seed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", default=",".join(SETTINGS))
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--data", type=Path)
    options = parser.parse_args()
    use_one_thread()
    rows = Rows("frappe")
    columns, train, valid = load(data_dir("frappe", options.data))
    for seed in map(int, options.seeds.split(",")):
        for model in options.models.split(","):
            if rows.done(model=model, seed=seed):
                continue
            print(f"{model}, seed {seed}", flush=True)
            with cpu_seconds() as seconds:
                row = run(model, seed, columns, train, valid)
            print(rows.add(model=model, data="Frappe", seed=seed, **row, seconds=seconds()))


def run(model: str, seed: int, columns: list[SparseFeat], train: tuple, valid: tuple) -> dict:
    """One model under one seed: its row."""
    name, penalty, arguments, remark = SETTINGS[model]
    keras.utils.set_random_seed(seed)
    # At this batch size TensorFlow's own products take two thirds of the time of XLA's.
    built = get_model(name).builder(columns, metrics=[], jit_compile=False, **arguments)
    if name == "FwFM":  # as published: they start as the weights of a linear layer do
        pairs = built.get_layer("field_weighted_fm").pair_weights
        pairs.assign(keras.initializers.GlorotNormal(seed)((pairs.shape[0], 1))[:, 0])
    result = benchmark_recipe(
        built, *train, validation_data=valid, embedding_l2=penalty, seed=seed, verbose=2
    )
    row = {"parameters": built.count_params(), **result.best, "epochs": len(result.epoch)}
    return {**row, "remark": remark} if remark else row


if __name__ == "__main__":
    main()
