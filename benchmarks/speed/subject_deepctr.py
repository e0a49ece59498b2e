"""DeepCTR, on the TensorFlow and Keras generation it was written for (TensorFlow 2.15 or older).

Its DIEN does not run as published there: its recurrent code uses names that TensorFlow has taken
out of private modules. `_restore_removed_names` puts them back, and nothing else; like the
package's own example, DIEN runs with eager execution off.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import numpy as np
from subject import (
    ATTENTION_LAYERS,
    CROSS_LAYERS,
    EXPERT_UNITS,
    EXPERTS,
    HEAD_SIZE,
    HEADS,
    HIDDEN_UNITS,
    LEVEL_UNITS,
    LEVELS,
    TASK_UNITS,
    FitSubject,
    serve,
)
from workloads import (
    CATEGORIES,
    CONTEXT_ROWS,
    EMBEDDING_DIM,
    HISTORY_STEPS,
    NUMBERS,
    PROFILE_ROWS,
    TASK_FIELDS,
    Workload,
)

# Builder and options of the models over tabular data.
TABULAR: dict[str, tuple[str, dict[str, Any]]] = {
    "DeepFM": ("DeepFM", {}),
    "DCNv2": ("DCN", {"cross_num": CROSS_LAYERS, "cross_parameterization": "matrix"}),
    "FiBiNET": ("FiBiNET", {"bilinear_type": "interaction", "reduction_ratio": 3}),
    "AutoInt": (
        "AutoInt",
        {
            "att_layer_num": ATTENTION_LAYERS, "att_head_num": HEADS,
            "att_embedding_size": HEAD_SIZE,
        },
    ),
}  # fmt: skip
# Those of several tasks.
MULTITASK: dict[str, tuple[str, dict[str, Any]]] = {
    "MMoE": (
        "MMOE",
        {
            "num_experts": EXPERTS, "expert_dnn_hidden_units": EXPERT_UNITS,
            "tower_dnn_hidden_units": TASK_UNITS, "gate_dnn_hidden_units": (),
        },
    ),
    "PLE": (
        "PLE",
        {
            "shared_expert_num": 1, "specific_expert_num": 1, "num_levels": LEVELS,
            "expert_dnn_hidden_units": LEVEL_UNITS, "tower_dnn_hidden_units": TASK_UNITS,
            "gate_dnn_hidden_units": (),
        },
    ),
    "ESMM": ("ESMM", {"tower_dnn_hidden_units": HIDDEN_UNITS}),
}  # fmt: skip
IN_BATCH = 255


class DeepCTRSubject(FitSubject):
    """The builders of DeepCTR, with their own defaults."""

    def load(self) -> dict[str, str]:
        """Imports DeepCTR."""
        import deepctr.feature_column
        import deepctr.models
        import tensorflow as tf

        self.tf, self.keras = tf, tf.keras
        self.models, self.columns = deepctr.models, deepctr.feature_column
        return {"deepctr": version("deepctr"), "tensorflow": tf.__version__}

    def build(self, model: str, data: Workload, batch: int, options: dict[str, Any]) -> None:
        """Builds and compiles."""
        if model == "DIEN":
            self.tf.compat.v1.disable_eager_execution()
            self._restore_removed_names()
        self.tf.random.set_seed(0)
        if model in MULTITASK:
            self._multitask(model, data, batch)
            return
        if model == "DSSM":
            self._dssm(data, batch)
            return
        if model in TABULAR:
            name, form = TABULAR[model]
            builder, columns = getattr(self.models, name), self._tabular_columns(data)
            self.model = builder(columns, columns, dnn_hidden_units=HIDDEN_UNITS, **form)
            names = [*CATEGORIES, "numbers"]
        else:
            prefixes = ("hist_", "neg_hist_") if model == "DIEN" else ("hist_",)
            form = {"gru_type": "AUGRU", "use_negsampling": True} if model == "DIEN" else {}
            self.model = getattr(self.models, model)(
                self._behavior_columns(data, prefixes), ["item", "cate"],
                dnn_hidden_units=HIDDEN_UNITS, **form,
            )
            names = ["user", *CONTEXT_ROWS, "item", "cate", "score", "seq_length"]
            names += [prefix + name for prefix in prefixes for name in ("item", "cate")]
        self.model.compile("adam", "binary_crossentropy")
        self.set_data(data.columns(*names), data.arrays["label"], batch)

    def _multitask(self, model: str, data: Workload, batch: int) -> None:
        name, form = MULTITASK[model]
        columns = [self._sparse(field, data.table_rows[field]) for field in TASK_FIELDS]
        tasks = {"task_types": ("binary", "binary"), "task_names": ("ctr", "ctcvr")}
        self.model = getattr(self.models, name)(columns, **form, **tasks)
        self.model.compile("adam", ["binary_crossentropy"] * 2)
        labels = [data.arrays["label"], data.arrays["conversion"]]
        self.set_data(data.columns(*TASK_FIELDS), labels, batch)

    def _dssm(self, data: Workload, batch: int) -> None:
        """DeepMatch, the package's sister."""
        import deepmatch.models
        from deepmatch.utils import NegativeSampler, sampledsoftmaxloss

        users = [self._sparse(name, data.table_rows[name]) for name in ("user_id", *PROFILE_ROWS)]
        steps = self._sparse("hist_item_id", data.table_rows["item_id"], table="item_id")
        users.append(
            self.columns.VarLenSparseFeat(
                steps, maxlen=HISTORY_STEPS, combiner="mean", length_name="hist_len"
            )
        )
        items = [self._sparse(name, data.table_rows[name]) for name in ("item_id", "category")]
        counts = np.bincount(data.arrays["item_id"], minlength=data.table_rows["item_id"])
        sampler = NegativeSampler(
            "inbatch", num_sampled=IN_BATCH, item_name="item_id", item_count=counts.tolist()
        )
        self.model = deepmatch.models.DSSM(
            users, items, user_dnn_hidden_units=HIDDEN_UNITS, item_dnn_hidden_units=HIDDEN_UNITS,
            loss_type="softmax", sampler_config=sampler,
        )
        self.model.compile("adam", loss=sampledsoftmaxloss)
        x = data.columns("user_id", *PROFILE_ROWS, "hist_item_id", "item_id", "category")
        x["hist_len"] = (x["hist_item_id"] != 0).sum(axis=1).astype(np.int32)
        self.set_data(x, data.arrays["label"], batch)

    def _sparse(self, name: str, rows: int, table: str | None = None) -> Any:
        return self.columns.SparseFeat(
            name, rows, embedding_dim=EMBEDDING_DIM, embedding_name=table
        )

    def _tabular_columns(self, data: Workload) -> list:
        columns = [self._sparse(name, data.table_rows[name]) for name in CATEGORIES]
        return [*columns, self.columns.DenseFeat("numbers", NUMBERS)]

    def _behavior_columns(self, data: Workload, prefixes: tuple[str, ...]) -> list:
        columns = [
            self._sparse(name, data.table_rows[name])
            for name in ("user", *CONTEXT_ROWS, "item", "cate")
        ]
        columns.append(self.columns.DenseFeat("score", 1))
        for prefix in prefixes:
            for name in ("item", "cate"):
                steps = self._sparse(prefix + name, data.table_rows[name], table=name)
                columns.append(
                    self.columns.VarLenSparseFeat(
                        steps, maxlen=HISTORY_STEPS, length_name="seq_length"
                    )
                )
        return columns

    def _restore_removed_names(self) -> None:
        from tensorflow.python.ops import array_ops, control_flow_ops
        from tensorflow.python.util import nest

        tf = self.tf
        removed = (
            (array_ops, "stack", tf.stack),
            (array_ops, "unstack", tf.unstack),
            (control_flow_ops, "Assert", tf.debugging.Assert),
            (control_flow_ops, "cond", tf.compat.v1.cond),
            (control_flow_ops, "while_loop", tf.compat.v1.while_loop),
            (nest, "is_sequence", lambda value: isinstance(value, (list, tuple, dict))),
        )
        missing = [entry for entry in removed if not hasattr(entry[0], entry[1])]
        for module, name, function in missing:
            setattr(module, name, function)
        if missing:
            self.notes = "names put back for DIEN: " + ", ".join(name for _, name, _ in missing)

    def compiled_request(self) -> Any:
        """A `tf.function`, or with eager execution off the session behind `predict_on_batch`."""
        if self.tf.executing_eagerly():
            return super().compiled_request()
        return self.model.predict_on_batch(self.first_rows(1))


if __name__ == "__main__":
    serve(DeepCTRSubject)
