"""What is compared: the cases, their subjects and what differs between them."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from typing import Any

DEEPCTR_PYTHON = "SPEED_DEEPCTR_PYTHON"
TORCH_PYTHON = "SPEED_TORCH_PYTHON"
# A subject without a variable here runs under the interpreter of run.py.
INTERPRETERS = {"deepctr": DEEPCTR_PYTHON, "torch_rechub": TORCH_PYTHON}


@dataclass(frozen=True)
class Entry:
    """One subject of a case.

    Attributes:
        label: what the table calls it; unique in its case.
        subject: `subject_<subject>.py` measures it.
        remark: in what its maths or its setting differ from the others'.
        options: what its `build` is given.
        workload: where it is not the case's own.
        reference: label that its ratio refers to, where that is not the case's own.
    """

    label: str
    subject: str
    remark: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    workload: str = ""
    reference: str = ""

    def interpreter(self) -> str | None:
        """The Python that runs it, or None where its variable is not set."""
        variable = INTERPRETERS.get(self.subject)
        return sys.executable if variable is None else os.environ.get(variable)


@dataclass(frozen=True)
class Case:
    """One row group of the table: a model, a workload, and who takes part.

    Attributes:
        model: name of the model, in all subjects.
        workload: a key of `workloads.WORKLOADS`.
        reference: label of the entry that ratios refer to.
        entries: in the order in which they take turns.
        batch: rows of a training batch.
        trains_only: leave out predictions and requests.
        counts: what the rate counts: "examples", the rows, or "next items", of which a row may
            teach several.
    """

    model: str
    workload: str
    reference: str
    entries: tuple[Entry, ...]
    batch: int = 1024
    trains_only: bool = False
    counts: str = "examples"


RECHUB = (
    Entry("Torch-RecHub", "torch_rechub", "its own data loader"),
    Entry("Torch-RecHub, ready batches", "torch_rechub", "no loader", {"ready": True}),
)
HALF = tuple(
    Entry(f"{label}, bfloat16", subject, "products in half the precision",
          {"policy": "mixed_bfloat16"}, reference=reference)
    for label, subject, reference in (
        ("deeprec_tf", "deeprec_tf", "Keras, bfloat16"), ("Keras", "keras", "Keras"),
    )
)  # fmt: skip
SMALL, LARGE = "10 k rows", "10 M rows"

CASES: dict[str, Case] = {
    "DeepFM": Case(
        "DeepFM", "tabular", "Keras",
        (
            Entry("deeprec_tf", "deeprec_tf"),
            Entry("Keras", "keras", "one Embedding a field"),
            Entry("DeepCTR", "deepctr"),
            *RECHUB,
        ),
    ),
    "DCNv2": Case(
        "DCNv2", "tabular", "Keras",
        (
            Entry("deeprec_tf", "deeprec_tf"),
            Entry("Keras", "keras", "one Embedding a field"),
            Entry("DeepCTR", "deepctr"),
            *RECHUB,
            *HALF,
        ),
    ),
    "AutoInt": Case(
        "AutoInt", "tabular", "Keras",
        (
            Entry("deeprec_tf", "deeprec_tf", "39 fields"),
            Entry("Keras", "keras", "39 fields"),
            Entry("DeepCTR", "deepctr", "the 26 categorical fields attend: less work"),
            *(
                Entry(one.label, one.subject, f"39 fields; {one.remark}", one.options)
                for one in RECHUB
            ),
        ),
    ),
    "FiBiNET": Case(
        "FiBiNET", "tabular", "Keras",
        (
            Entry("deeprec_tf", "deeprec_tf"),
            Entry("Keras", "keras", "one batched product for all pairs"),
            Entry("DeepCTR", "deepctr", "a layer a pair"),
            *RECHUB,
            *HALF,
        ),
    ),
    "DIN": Case(
        "DIN", "behavior", "Keras",
        (
            Entry("deeprec_tf", "deeprec_tf", "Dice in attention and tower"),
            Entry("Keras", "keras", "sigmoid in the attention: less work"),
            Entry("Keras with Dice", "keras", "Dice in the attention", {"dice": True}),
            Entry("DeepCTR", "deepctr", "Dice in the attention"),
            *RECHUB,
        ),
    ),
    "DIEN": Case(
        "DIEN", "behavior", "DeepCTR",
        (
            Entry(
                "deeprec_tf, DeepCTR's maths", "deeprec_tf",
                "auxiliary network, attention network, GRU 32", {"form": "released"},
            ),
            Entry("deeprec_tf", "deeprec_tf", "own form: inner products, bilinear attention"),
            Entry("DeepCTR", "deepctr", "auxiliary network, attention network, GRU 32"),
            Entry("Keras GRU", "keras", "no AUGRU, no auxiliary loss: less work"),
            *(
                Entry(one.label, one.subject, f"two GRUs of 16: less work; {one.remark}",
                      one.options)
                for one in RECHUB
            ),
        ),
    ),
    "BST": Case(
        "BST", "behavior", "Keras",
        (
            Entry("deeprec_tf", "deeprec_tf", "the target's output alone"),
            Entry("Keras", "keras", "the target's output alone"),
            Entry("deeprec_tf, mean", "deeprec_tf", "all 51 outputs, their mean",
                  {"readout": "mean"}, reference="Keras, all"),
            Entry("Keras, all", "keras", "all 51 outputs, the target's read", {"all": True}),
            Entry("DeepCTR", "deepctr", "50 outputs, pooled by a network"),
            *(
                Entry(one.label, one.subject,
                      f"all 51 outputs, 2,048 inner units: more work; {one.remark}", one.options)
                for one in RECHUB
            ),
        ),
    ),
    **{
        model: Case(
            model, "multitask", "Keras",
            (
                Entry("deeprec_tf", "deeprec_tf"),
                Entry("Keras", "keras", "one Embedding a field"),
                Entry("DeepCTR", "deepctr"),
                *RECHUB,
                *HALF,
            ),
        )
        for model in ("MMoE", "PLE", "ESMM")
    },
    **{
        model: Case(
            model, "prefixes", "Keras",
            (
                Entry("deeprec_tf", "deeprec_tf", "a row a user, all its steps",
                      workload="sequences"),
                Entry("Keras, all steps", "keras", "a row a user, all its steps", {"all": True},
                      workload="sequences"),
                Entry("Keras", "keras", "a row a next item"),
                *peers,
            ),
            batch=256, trains_only=True, counts="next items",
        )
        for model, peers in (
            ("SASRec", ()),
            (
                "GRU4Rec",
                tuple(Entry(one.label, one.subject,
                            f"1 + 20 sampled items: less work; {one.remark}", one.options)
                      for one in RECHUB),
            ),
        )
    },
    "NARM": Case(
        "NARM", "prefixes", "Keras",
        (Entry("deeprec_tf", "deeprec_tf"), Entry("Keras", "keras"), *RECHUB),
        batch=256, trains_only=True, counts="next items",
    ),
    "DSSM": Case(
        "DSSM", "two_towers", "Keras",
        (
            Entry("deeprec_tf", "deeprec_tf", "1,024 items a batch"),
            Entry("Keras", "keras", "1,024 items a batch"),
            Entry("DeepMatch", "deepctr", "255 of the batch's items: less work"),
            *(
                Entry(one.label, one.subject,
                      f"255 of the batch's items: less work; {one.remark}", one.options)
                for one in RECHUB
            ),
        ),
        trains_only=True,
    ),
    "HSTU": Case(
        "HSTU", "long_history", "Keras",
        (
            Entry("deeprec_tf", "deeprec_tf"),
            Entry("Keras", "keras", "all 200 places"),
            Entry("Torch-RecHub, ready batches", "torch_rechub", "all 200 places; no loader",
                  {"ready": True}),
        ),
        batch=32, trains_only=True,
    ),
    "Table": Case(
        "DeepFM", "table_10k", f"deeprec_tf, {SMALL}",
        tuple(
            Entry(
                f"{label}, {rows}", subject, workload=workload, reference=f"{label}, {SMALL}"
            )
            for label, subject in (("deeprec_tf", "deeprec_tf"), ("Keras", "keras"))
            for rows, workload in ((SMALL, "table_10k"), (LARGE, "table_10m"))
        ),
        trains_only=True,
    ),
}  # fmt: skip
