"""Torch-RecHub: its trainer over its own data loader, or with `{"ready": true}` over ready batches.

The second leaves out the loader's cost (one Python dict a row), so that the models compare. Its
DIEN is less work than the paper's: two recurrences of 16 units, and inner products as auxiliary
score. Its BST has 2,048 inner units in the block, which is no option of the model.
"""

from __future__ import annotations

import tempfile
from importlib.metadata import version
from typing import Any

import numpy as np
from subject import (
    ATTENTION_LAYERS,
    BLOCK_DROPOUT,
    BLOCK_HEADS,
    BLOCK_WIDTH,
    BLOCKS,
    CROSS_LAYERS,
    EXPERT_UNITS,
    EXPERTS,
    HEADS,
    HIDDEN_UNITS,
    LEVEL_UNITS,
    LEVELS,
    SESSION,
    SESSION_DROPOUTS,
    STATES,
    TASK_UNITS,
    TEMPERATURE,
    Span,
    Subject,
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
    TASK_FIELDS,
    Workload,
)

TOWER = {"dims": list(HIDDEN_UNITS)}


class TorchRecHubSubject(Subject):
    """The models of Torch-RecHub under its CTR trainer."""

    def load(self) -> dict[str, str]:
        """Imports the package."""
        import torch
        import torch_rechub.basic.features
        import torch_rechub.models.ranking
        import torch_rechub.trainers
        import torch_rechub.utils.data
        import tqdm

        tqdm.tqdm.monitor_interval = 0
        self.torch, self.package = torch, torch_rechub
        self.features = torch_rechub.basic.features
        torch.set_num_threads(1)
        return {"torch_rechub": version("torch-rechub"), "torch": torch.__version__}

    def build(self, model: str, data: Workload, batch: int, options: dict[str, Any]) -> None:
        """Builds the model and its trainer."""
        self.torch.manual_seed(0)
        self.batch, self.rows = batch, data.rows
        self.is_ready = options.get("ready", False)
        if model == "HSTU":
            self._hstu(data)
            return
        if model in ("MMoE", "PLE", "ESMM"):
            self._multitask(model, data)
            return
        if model in ("GRU4Rec", "NARM", "DSSM"):
            self.learned = data.arrays.get("steps")
            getattr(self, f"_{model.lower()}")(data)
            return
        build = {"DIN": self._din, "DIEN": self._dien, "BST": self._bst}.get(model)
        self.model, self.x = build(data) if build else self._tabular(model, data)
        self.y = data.arrays["label"]
        self.trainer = self.package.trainers.CTRTrainer(
            self.model, model_path=tempfile.gettempdir(), loss_mode=model != "DIEN"
        )

    def _sparse(self, name: str, rows: int, **options: Any) -> Any:
        return self.features.SparseFeature(
            name, vocab_size=rows, embed_dim=EMBEDDING_DIM, **options
        )

    def _tabular(self, model: str, data: Workload) -> tuple[Any, dict[str, np.ndarray]]:
        fields = [self._sparse(name, data.table_rows[name]) for name in CATEGORIES]
        numbers = [f"I{index}" for index in range(NUMBERS)]
        dense = [self.features.DenseFeature(name) for name in numbers]
        x = data.columns(*CATEGORIES)
        x |= dict(zip(numbers, data.arrays["numbers"].T, strict=True))
        tower = {**TOWER, "activation": "relu"}
        forms = {
            "DeepFM": {"deep_features": dense + fields, "fm_features": fields},
            "DCNv2": {
                "features": dense + fields, "n_cross_layers": CROSS_LAYERS,
                "use_low_rank_mixture": False,
            },
            "FiBiNET": {
                "features": dense + fields, "reduction_ratio": 3,
                "bilinear_type": "field_interaction",
            },
            "AutoInt": {
                "dense_features": dense, "sparse_features": fields,
                "num_layers": ATTENTION_LAYERS, "num_heads": HEADS,
            },
        }  # fmt: skip
        spelling = {"FiBiNET": "FiBiNet"}.get(model, model)
        builder = getattr(self.package.models.ranking, spelling)
        return builder(**forms[model], mlp_params=tower), x

    def _behavior_features(self, data: Workload, *prefixes: str) -> tuple[dict[str, list], list]:
        context = ("user", *CONTEXT_ROWS)
        parts = {
            "features": [self._sparse(name, data.table_rows[name]) for name in context],
            "target_features": [
                self._sparse(name, data.table_rows[name], padding_idx=0)
                for name in ("item", "cate")
            ],
        }
        for prefix, part in zip(
            prefixes, ("history_features", "neg_history_features"), strict=False
        ):
            parts[part] = [
                self.features.SequenceFeature(
                    prefix + name, vocab_size=data.table_rows[name], embed_dim=EMBEDDING_DIM,
                    pooling="concat", shared_with=name, padding_idx=0,
                )
                for name in ("item", "cate")
            ]
        names = [*context, "item", "cate"]
        return parts, names + [prefix + name for prefix in prefixes for name in ("item", "cate")]

    def _din(self, data: Workload) -> tuple[Any, dict[str, np.ndarray]]:
        parts, names = self._behavior_features(data, "hist_")
        model = self.package.models.ranking.DIN(
            **parts, mlp_params=dict(TOWER), attention_mlp_params={"dims": [80, 40]}
        )
        return model, data.columns(*names)

    def _dien(self, data: Workload) -> tuple[Any, dict[str, np.ndarray]]:
        parts, names = self._behavior_features(data, "hist_", "neg_hist_")
        model = self.package.models.ranking.DIEN(**parts, mlp_params=dict(TOWER))
        return model, data.columns(*names)

    def _bst(self, data: Workload) -> tuple[Any, dict[str, np.ndarray]]:
        parts, names = self._behavior_features(data, "hist_")
        model = self.package.models.ranking.BST(
            **parts, mlp_params=dict(TOWER), nhead=BLOCK_HEADS, dropout=0.0,
            max_seq_len=HISTORY_STEPS + 1,
        )
        return model, data.columns(*names)

    def _multitask(self, model: str, data: Workload) -> None:
        """ESMM wants two lists of fields, and labels in the order conversion, click, both."""
        import torch_rechub.models.multi_task as models

        fields = [self._sparse(name, data.table_rows[name]) for name in TASK_FIELDS]
        self.x = data.columns(*TASK_FIELDS)
        click, conversion = data.arrays["label"], data.arrays["conversion"]
        tasks, towers = ["classification"] * 2, [{"dims": list(TASK_UNITS)}] * 2
        if model == "ESMM":
            self.y = np.stack([conversion, click, conversion], axis=1)
            half = len(fields) // 2
            self.model = models.ESMM(
                fields[:half], fields[half:], cvr_params=dict(TOWER), ctr_params=dict(TOWER)
            )
        else:
            self.y = np.stack([click, conversion], axis=1)
            if model == "MMoE":
                self.model = models.MMOE(
                    fields, tasks, EXPERTS, expert_params={"dims": list(EXPERT_UNITS)},
                    tower_params_list=towers,
                )
            else:
                self.model = models.PLE(
                    fields, tasks, n_level=LEVELS, n_expert_specific=1, n_expert_shared=1,
                    expert_params={"dims": list(LEVEL_UNITS)}, tower_params_list=towers,
                )
        self.trainer = self.package.trainers.MTLTrainer(
            self.model, ["classification"] * self.y.shape[1], model_path=tempfile.gettempdir()
        )

    def _matching(self, **settings: Any) -> None:
        """The trainer of recall models."""
        self.trainer = self.package.trainers.MatchTrainer(
            self.model, model_path=tempfile.gettempdir(), **settings
        )

    def _steps(self, name: str, rows: int, width: int, **options: Any) -> Any:
        return self.features.SequenceFeature(name, vocab_size=rows, embed_dim=width, **options)

    def _gru4rec(self, data: Workload) -> None:
        """One of 21 items, 20 of them drawn; it has a user table too."""
        from torch_rechub.models.matching import GRU4Rec

        rows, width, count = data.table_rows["item_id"], SEQUENCE_WIDTH, data.rows
        same = {"pooling": "concat", "shared_with": "item"}
        self.model = GRU4Rec(
            [self.features.SparseFeature("user", vocab_size=2, embed_dim=width)],
            [self._steps("history", rows, width, **same)],
            [self.features.SparseFeature("item", vocab_size=rows, embed_dim=width)],
            [self._steps("negatives", rows, width, **same)],
            user_params={"dims": [STATES, width]},
        )
        drawn = np.random.default_rng(0).integers(1, rows, (count, 20))
        self.x = {"user": np.zeros(count, np.int64), "history": data.arrays["hist_item_id"],
                  "item": data.arrays["item_id"], "negatives": drawn}  # fmt: skip
        self.y = np.zeros(count, np.int64)
        self._matching(mode=2)

    def _narm(self, data: Workload) -> None:
        """Batches are cut to their longest row, as its example does."""
        from torch_rechub.models.matching import NARM

        history = self._steps(
            "history", data.table_rows["item_id"], SEQUENCE_WIDTH, pooling="concat"
        )
        embedding, session = SESSION_DROPOUTS
        self.model = NARM(
            history, hidden_dim=SESSION, emb_dropout_p=embedding, session_rep_dropout_p=session
        )
        self.x = {"history": data.arrays["hist_item_id"].astype(np.int64)}
        self.y = data.arrays["item_id"].astype(np.int64)
        self._matching(mode=2)

    def _dssm(self, data: Workload) -> None:
        """In-batch softmax over 255 of the batch's items."""
        from torch_rechub.models.matching import DSSM

        users = [self._sparse(name, data.table_rows[name]) for name in ("user_id", *PROFILE_ROWS)]
        users.append(
            self._steps("hist_item_id", data.table_rows["item_id"], EMBEDDING_DIM,
                        pooling="mean", shared_with="item_id")
        )  # fmt: skip
        items = [self._sparse(name, data.table_rows[name]) for name in ("item_id", "category")]
        self.model = DSSM(
            users, items, user_params=dict(TOWER), item_params=dict(TOWER), temperature=TEMPERATURE
        )
        self.x = data.columns("user_id", *PROFILE_ROWS, "hist_item_id", "item_id", "category")
        self.y = data.arrays["label"]
        self._matching(mode=0, in_batch_neg=True, in_batch_neg_ratio=255)

    def _hstu(self, data: Workload) -> None:
        """The sequence at the right end of its row, as the package wants it."""
        from torch_rechub.models.generative.hstu import HSTUModel

        self.model = HSTUModel(
            vocab_size=data.table_rows["item_id"], d_model=BLOCK_WIDTH, n_heads=1, n_layers=BLOCKS,
            dqk=BLOCK_WIDTH, dv=BLOCK_WIDTH, max_seq_len=LONG_STEPS, dropout=BLOCK_DROPOUT,
            use_time_embedding=False, score_norm="l2", temperature=TEMPERATURE,
            use_output_bias=False, scale_input_embedding=True,
        )  # fmt: skip
        history = data.arrays["hist_item_id"]
        right = np.zeros(history.shape, np.int64)
        for row, ids in enumerate(history):
            ids = ids[ids != 0]
            right[row, LONG_STEPS - len(ids) :] = ids
        places = np.tile(np.arange(LONG_STEPS), (len(history), 1))
        self.x = {"seq": right, "pos": places, "time": np.zeros_like(right)}
        self.y = data.arrays["item_id"].astype(np.int64)
        self.trainer = self.package.trainers.SeqTrainer(
            self.model, model_path=tempfile.gettempdir()
        )

    def _tensors(self, first: int, last: int) -> dict[str, Any]:
        return {
            name: self.torch.from_numpy(np.ascontiguousarray(column[first:last]))
            for name, column in self.x.items()
        }

    def _batches(self, rows: int, batch: int, *, shuffled: bool) -> Any:
        if "seq" in self.x:
            parts = [(first, first + batch) for first in range(0, rows, batch)]
            return [
                (*self._tensors(*part).values(), self.torch.from_numpy(self.y[slice(*part)]))
                for part in parts
            ]
        if self.is_ready:
            return [
                self._cut((self._tensors(first, first + batch),
                           self.torch.from_numpy(self.y[first : first + batch])))
                for first in range(0, rows, batch)
            ]  # fmt: skip
        x = {name: column[:rows] for name, column in self.x.items()}
        if isinstance(self.trainer, self.package.trainers.MatchTrainer):
            data = self.package.utils.data.TorchDataset(x, self.y[:rows])
            gather = self.torch.utils.data.default_collate
            return self.torch.utils.data.DataLoader(
                data, batch_size=batch, shuffle=shuffled,
                collate_fn=lambda examples: self._cut(gather(examples)),
            )
        one = {name: column[:1] for name, column in x.items()}
        loaders = self.package.utils.data.DataGenerator(x, self.y[:rows]).generate_dataloader(
            x_val=one, y_val=self.y[:1], x_test=x, y_test=self.y[:rows],
            batch_size=batch, num_workers=0,
        )
        return loaders[0 if shuffled else 2]

    def _cut(self, batch: tuple[dict[str, Any], Any]) -> tuple[dict[str, Any], Any]:
        """NARM's batch without the steps that are padding in all of its rows."""
        x, y = batch
        if self.model.__class__.__name__ == "NARM":
            x = {name: steps[:, : int((steps > 0).sum(1).max())] for name, steps in x.items()}
        return x, y

    def train(self, steps: int) -> Span:
        """One epoch of the trainer."""
        batches = self._batches(steps * self.batch, self.batch, shuffled=True)
        span = Span()
        self.trainer.train_one_epoch(batches)
        return span.stop()

    def predict(self, rows: int, batch: int) -> Span:
        """The trainer's `predict`; that of several tasks fails, so a loop over the model."""
        batches = self._batches(rows, batch, shuffled=False)
        span = Span()
        if isinstance(self.trainer, self.package.trainers.MTLTrainer):
            self.model.eval()
            with self.torch.no_grad():
                for x, _ in batches:
                    self.model(x)
        else:
            self.trainer.predict(self.model, batches)
        return span.stop()

    def request(self) -> Any:
        """A forward pass; the package documents no other way."""
        self.model.eval()
        with self.torch.no_grad():
            answer = self.model(self._tensors(0, 1))
        return (answer[0] if isinstance(answer, tuple) else answer).numpy()

    def compiled_request(self) -> Any:
        """The same forward pass."""
        return self.request()

    def parameters(self) -> int:
        """All weights of the module."""
        return sum(weight.numel() for weight in self.model.parameters())


if __name__ == "__main__":
    serve(TorchRecHubSubject)
