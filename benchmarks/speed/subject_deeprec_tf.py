"""deeprec_tf, as its documentation has it: a builder, `compile`, `fit` on a dict of arrays.

Tabular models have a linear part, as the peers' have it: both lists of columns are given.

DIEN has two forms: by default the builder's own (the paper's: inner products as auxiliary score,
bilinear attention), and with `{"form": "released"}` the maths of the authors' code, which is
DeepCTR's too (auxiliary network, attention by a network of 64 and 16 units). BST's tower reads
the target's output, or with `{"readout": "mean"}` the mean of all. `{"policy":
"mixed_bfloat16"}` is Keras's policy of that name.
"""

from __future__ import annotations

from typing import Any

from subject import (
    ATTENTION_LAYERS,
    BLOCK_DROPOUT,
    BLOCK_HEADS,
    BLOCK_WIDTH,
    BLOCKS,
    CROSS_LAYERS,
    EXPERT_UNITS,
    EXPERTS,
    HEAD_SIZE,
    HEADS,
    HIDDEN_UNITS,
    LAYER_DROPOUT,
    LAYER_HEADS,
    LAYERS,
    LEVEL_UNITS,
    LEVELS,
    SESSION,
    SESSION_DROPOUTS,
    STATE_DROPOUT,
    STATES,
    TASK_UNITS,
    TEMPERATURE,
    FitSubject,
    serve,
)
from workloads import (
    CATEGORIES,
    CONTEXT_ROWS,
    EMBEDDING_DIM,
    HISTORY_STEPS,
    LONG_STEPS,
    NUMBERS,
    PROFILE_ROWS,
    SEQUENCE_WIDTH,
    Workload,
)

TABULAR: dict[str, dict[str, Any]] = {
    "DeepFM": {},
    "DCNv2": {"cross_num": CROSS_LAYERS},
    "FiBiNET": {"bilinear_type": "interaction", "reduction_ratio": 3},
    "AutoInt": {
        "num_layers": ATTENTION_LAYERS, "num_heads": HEADS, "head_size": HEAD_SIZE,
        "residual": "project",  # as the others have it
    },
}
MULTITASK: dict[str, dict[str, Any]] = {
    "MMoE": {
        "num_experts": EXPERTS, "expert_units": EXPERT_UNITS, "task_hidden_units": TASK_UNITS,
    },
    "PLE": {
        "num_layers": LEVELS, "expert_units": LEVEL_UNITS, "task_hidden_units": TASK_UNITS,
    },
    "ESMM": {"tower_units": HIDDEN_UNITS},
}  # fmt: skip
NEXT_ITEM: dict[str, dict[str, Any]] = {
    "SASRec": {"num_layers": LAYERS, "num_heads": LAYER_HEADS, "dropout": LAYER_DROPOUT},
    "GRU4Rec": {"hidden_size": STATES, "dropout": STATE_DROPOUT, "item_bias": False},
    "NARM": {"hidden_size": SESSION, "dropout": SESSION_DROPOUTS},
}
BLOCK = {"num_heads": BLOCK_HEADS, "hidden_size": 2 * EMBEDDING_DIM, "dropout": 0.0}  # BST
RECALL = (*NEXT_ITEM, "DSSM", "HSTU")
FORMS: dict[str, dict[str, Any]] = {
    "own": {},
    "released": {"aux_type": "mlp", "attention": "mlp", "attention_units": (64, 16)},
}


class DeepRecSubject(FitSubject):
    """The builders of this library."""

    def load(self) -> dict[str, str]:
        """Imports the library."""
        import keras
        import tensorflow as tf

        import deeprec_tf
        import deeprec_tf.models

        self.keras, self.tf, self.library = keras, tf, deeprec_tf
        return {
            "deeprec_tf": deeprec_tf.__version__, "keras": keras.__version__,
            "tensorflow": tf.__version__,
        }  # fmt: skip

    def build(self, model: str, data: Workload, batch: int, options: dict[str, Any]) -> None:
        """Builds and compiles."""
        self.keras.utils.set_random_seed(0)
        self.keras.mixed_precision.set_global_policy(options.get("policy", "float32"))
        builder = getattr(self.library.models, model)
        if model == "HSTU":
            columns = self.library.next_item_columns(
                data.table_rows["item_id"] - 1, maxlen=LONG_STEPS, embedding_dim=BLOCK_WIDTH
            )
            sizes = {"num_layers": BLOCKS, "dropout": BLOCK_DROPOUT}
            self.model = builder(*columns, transformer_params=sizes)
        elif model in NEXT_ITEM:
            columns = self.library.next_item_columns(
                data.table_rows["item_id"] - 1, maxlen=HISTORY_STEPS, embedding_dim=SEQUENCE_WIDTH
            )
            self.model = builder(*columns, **NEXT_ITEM[model])
        elif model == "DSSM":
            columns = self._two_sides(data)
            self.model = builder(  # uncorrected, as in the others
                *columns, hidden_units=HIDDEN_UNITS, temperature=TEMPERATURE, negatives="in_batch"
            )
        elif model in MULTITASK:
            columns = [self._sparse(name, rows) for name, rows in data.table_rows.items()]
            self.model = builder(columns, **MULTITASK[model])
        elif model in TABULAR:
            columns = self._tabular_columns(data)
            form = TABULAR[model]
            self.model = builder(columns, columns, hidden_units=HIDDEN_UNITS, **form)
        else:
            columns = self._behavior_columns(data, with_negatives=model == "DIEN")
            form = dict(FORMS[options.get("form", "own")])
            if model == "BST":
                form = {**BLOCK, "readout": options.get("readout", "target")}
            self.model = builder(columns, ["item", "cate"], hidden_units=HIDDEN_UNITS, **form)
        labels: Any = data.arrays["label"]
        if model in MULTITASK:
            both = ("ctr", "ctcvr") if model == "ESMM" else ("ctr", "cvr")
            labels = dict(zip(both, (labels, data.arrays["conversion"]), strict=True))
        elif model not in RECALL:  # those have their loss in the graph
            self.model.compile("adam", "binary_crossentropy")
        names = [tensor.name for tensor in self.model.inputs]
        self.set_data(data.columns(*names), labels, batch)
        self.learned = data.arrays.get("steps")
        self._served: Any = None

    def _sparse(self, name: str, rows: int, table: str | None = None) -> Any:
        return self.library.SparseFeat(
            name, rows, embedding_dim=EMBEDDING_DIM, embedding_name=table
        )

    def _two_sides(self, data: Workload) -> tuple[list, list]:
        users = [self._sparse(name, data.table_rows[name]) for name in ("user_id", *PROFILE_ROWS)]
        steps = self._sparse("hist_item_id", data.table_rows["item_id"], table="item_id")
        users.append(
            self.library.VarLenSparseFeat(steps, maxlen=HISTORY_STEPS, combiner="mean")
        )
        items = [self._sparse(name, data.table_rows[name]) for name in ("item_id", "category")]
        return users, items

    def _tabular_columns(self, data: Workload) -> list:
        columns = [self._sparse(name, data.table_rows[name]) for name in CATEGORIES]
        return [*columns, self.library.DenseFeat("numbers", NUMBERS)]

    def _behavior_columns(self, data: Workload, *, with_negatives: bool) -> list:
        columns = [
            self._sparse(name, data.table_rows[name])
            for name in ("user", *CONTEXT_ROWS, "item", "cate")
        ]
        columns.append(self.library.DenseFeat("score", 1))
        for prefix in ("hist_", "neg_hist_") if with_negatives else ("hist_",):
            for name in ("item", "cate"):
                steps = self._sparse(prefix + name, data.table_rows[name], table=name)
                columns.append(self.library.VarLenSparseFeat(steps, maxlen=HISTORY_STEPS))
        return columns

    def compiled_request(self) -> Any:
        """The library's serving function."""
        from deeprec_tf import export

        make = getattr(export, "serving_function", None)
        if make is None:
            return super().compiled_request()
        if self._served is None:
            self._served = make(self.model)
        return self._served(self.first_rows(1))


if __name__ == "__main__":
    serve(DeepRecSubject)
