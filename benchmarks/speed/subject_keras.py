"""Plain Keras 3: what one writes by hand without a recommender library.

One `Embedding` a field, `fit` on a dict of arrays, `compile("adam", "binary_crossentropy")` and no
other setting. DIN's attention has sigmoid units by default; `{"dice": true}` writes Dice as a
layer. There is no DIEN in plain Keras; in its place stands a GRU with attention over its states,
which is less work (no second recurrence, no auxiliary loss). BST's block asks for the
target's output alone; `{"all": true}` computes that of every step, as tutorials do. `{"policy":
"mixed_bfloat16"}` is Keras's policy of that name.
"""

from __future__ import annotations

import itertools
from typing import Any

import keras_networks
import numpy as np
from subject import (
    ATTENTION_LAYERS,
    BLOCK_DROPOUT,
    BLOCK_HEADS,
    BLOCK_WIDTH,
    BLOCKS,
    CROSS_LAYERS,
    HEAD_SIZE,
    HEADS,
    HIDDEN_UNITS,
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
    Workload,
)

ATTENTION_UNITS = (80, 40)
POSITION_WIDTH = 8


def next_steps(history: np.ndarray, item: np.ndarray) -> np.ndarray:
    """The item that follows each step of histories, (B, T) like them; 0 at padding."""
    length = (history != 0).sum(axis=1)
    ahead = np.pad(history[:, 1:], [(0, 0), (0, 1)])
    ahead[np.arange(len(length)), length - 1] = item
    return ahead


class KerasSubject(FitSubject):
    """Models written with Keras's own layers."""

    def load(self) -> dict[str, str]:
        """Imports Keras."""
        import keras
        import tensorflow as tf

        self.keras, self.tf = keras, tf
        return {"keras": keras.__version__, "tensorflow": tf.__version__}

    def build(self, model: str, data: Workload, batch: int, options: dict[str, Any]) -> None:
        """Builds and compiles."""
        self.keras.utils.set_random_seed(0)
        self.keras.mixed_precision.set_global_policy(options.get("policy", "float32"))
        if model == "HSTU":
            self._hstu(data, batch)
            return
        if model in ("MMoE", "PLE", "ESMM"):
            inputs, outputs = keras_networks.multitask(self.keras, model, data)
            self.model = self.keras.Model(inputs, outputs)
            self.model.compile("adam", dict.fromkeys(outputs, "binary_crossentropy"))
            labels = (data.arrays["label"], data.arrays["conversion"])
            self.set_data(data.columns(*inputs), dict(zip(outputs, labels, strict=True)), batch)
            return
        if model == "DSSM":
            self.model = keras_networks.dssm(self.keras, data)
            names = [tensor.name for tensor in self.model.inputs]
            self.set_data(data.columns(*names), data.arrays["label"], batch)
            return
        if model in ("SASRec", "GRU4Rec", "NARM"):
            every_step = options.get("all", False)
            self.model = keras_networks.next_item(self.keras, model, data, every_step=every_step)
            x, labels = data.columns("hist_item_id"), data.arrays["item_id"]
            if every_step:
                labels = next_steps(x["hist_item_id"], labels)
            self.set_data(x, labels, batch)
            self.learned = data.arrays["steps"]
            return
        writers = {
            "DeepFM": self._deepfm, "DCNv2": self._dcnv2, "AutoInt": self._autoint,
            "FiBiNET": self._fibinet,
            "DIN": self._din, "DIEN": self._gru_attention,
            "BST": self._bst,
        }  # fmt: skip
        inputs, output = writers[model](data, options)
        self.model = self.keras.Model(inputs, output)
        self.model.compile("adam", "binary_crossentropy")
        self.set_data(data.columns(*inputs), data.arrays["label"], batch)

    def _ids(self, *names: str, shape: tuple[int, ...] = ()) -> dict[str, Any]:
        return {name: self.keras.Input(shape, dtype="int32", name=name) for name in names}

    def _tower(self, x: Any) -> Any:
        for units in HIDDEN_UNITS:
            x = self.keras.layers.Dense(units, activation="relu")(x)
        return x

    def _fields(self, data: Workload) -> tuple[dict[str, Any], Any, Any, Any]:
        """Inputs, field vectors (B, F, D), numbers (B, 13) and the linear part (B, 1)."""
        ops, layers = self.keras.ops, self.keras.layers
        ids = self._ids(*CATEGORIES)
        numbers = self.keras.Input((NUMBERS,), name="numbers")
        factors, weights = [], []
        for name, column in ids.items():
            factors.append(layers.Embedding(data.table_rows[name], EMBEDDING_DIM)(column))
            weights.append(layers.Embedding(data.table_rows[name], 1)(column))
        field_vectors = ops.stack(factors, axis=1)  # (B, F, D)
        linear = ops.sum(ops.concatenate(weights, -1), -1, keepdims=True)  # (B, 1)
        linear = linear + layers.Dense(1)(numbers)
        return {**ids, "numbers": numbers}, field_vectors, numbers, linear

    def _deepfm(self, data: Workload, options: dict[str, Any]) -> tuple[dict[str, Any], Any]:
        ops, layers = self.keras.ops, self.keras.layers
        inputs, field_vectors, numbers, linear = self._fields(data)
        total = ops.sum(field_vectors, axis=1)
        pairs = ops.square(total) - ops.sum(ops.square(field_vectors), axis=1)
        interaction = 0.5 * ops.sum(pairs, -1, keepdims=True)  # (B, 1)
        flat = ops.concatenate([layers.Flatten()(field_vectors), numbers], -1)
        logit = linear + interaction + layers.Dense(1, use_bias=False)(self._tower(flat))
        return inputs, ops.sigmoid(logit)

    def _dcnv2(self, data: Workload, options: dict[str, Any]) -> tuple[dict[str, Any], Any]:
        ops, layers = self.keras.ops, self.keras.layers
        inputs, field_vectors, numbers, linear = self._fields(data)
        flat = ops.concatenate([layers.Flatten()(field_vectors), numbers], -1)
        crossed = flat
        for _ in range(CROSS_LAYERS):
            crossed = flat * layers.Dense(flat.shape[-1])(crossed) + crossed
        branches = ops.concatenate([crossed, self._tower(flat)], -1)
        return inputs, ops.sigmoid(linear + layers.Dense(1, use_bias=False)(branches))

    def _fibinet(self, data: Workload, options: dict[str, Any]) -> tuple[dict[str, Any], Any]:
        ops, layers = self.keras.ops, self.keras.layers
        inputs, field_vectors, numbers, linear = self._fields(data)
        count = len(CATEGORIES)
        hidden = layers.Dense(count // 3, activation="relu", use_bias=False)(
            ops.mean(field_vectors, axis=-1)
        )
        importance = layers.Dense(count, activation="relu", use_bias=False)(hidden)
        weighted = field_vectors * ops.expand_dims(importance, -1)
        pairs = [layers.Flatten()(self._bilinear(x)) for x in (field_vectors, weighted)]
        tower = self._tower(ops.concatenate([*pairs, numbers], -1))
        return inputs, ops.sigmoid(linear + layers.Dense(1, use_bias=False)(tower))

    def _bilinear(self, fields: Any) -> Any:
        """A matrix for each of the 325 pairs, all in one product."""
        left, right = zip(*itertools.combinations(range(fields.shape[1]), 2), strict=True)
        moved = self.keras.layers.EinsumDense("bpd,pde->bpe", (len(left), EMBEDDING_DIM))(
            self.keras.ops.take(fields, left, axis=1)
        )
        return moved * self.keras.ops.take(fields, right, axis=1)

    def _autoint(self, data: Workload, options: dict[str, Any]) -> tuple[dict[str, Any], Any]:
        ops, layers = self.keras.ops, self.keras.layers
        inputs, field_vectors, numbers, linear = self._fields(data)
        # Every number times a vector of its own is a field.
        embedded = layers.EinsumDense("bn,nd->bnd", (NUMBERS, EMBEDDING_DIM))(numbers)
        field_vectors = ops.concatenate([field_vectors, embedded], 1)
        attended = field_vectors
        for _ in range(ATTENTION_LAYERS):
            attended = self._interacting(attended)
        logit = layers.Dense(1, use_bias=False)(layers.Flatten()(attended))
        tower = self._tower(layers.Flatten()(field_vectors))
        return inputs, ops.sigmoid(linear + logit + layers.Dense(1, use_bias=False)(tower))

    def _interacting(self, fields: Any) -> Any:
        """The paper's layer: no scale, no output projection, a projected residual."""
        ops, layers = self.keras.ops, self.keras.layers
        count, width = fields.shape[1], HEADS * HEAD_SIZE
        queries, keys, values, residual = (
            layers.Dense(width, use_bias=False)(fields) for _ in range(4)
        )
        heads = [
            ops.reshape(x, (-1, count, HEADS, HEAD_SIZE)) for x in (queries, keys, values)
        ]
        weights = ops.softmax(ops.einsum("bqhd,bkhd->bhqk", *heads[:2]), axis=-1)
        mixed = ops.einsum("bhqk,bkhd->bqhd", weights, heads[2])
        return ops.relu(ops.reshape(mixed, (-1, count, width)) + residual)

    def _din(self, data: Workload, options: dict[str, Any]) -> tuple[dict[str, Any], Any]:
        inputs, target, behaviors, mask, context = self._behavior_vectors(data)
        weights = self._attention(target, behaviors, options.get("dice", False))
        weights = self.keras.ops.where(mask, weights, 0.0)
        interest = self.keras.ops.einsum("bt,btd->bd", weights, behaviors)
        return inputs, self._answer([target, interest, *context])

    def _gru_attention(self, data: Workload, options: dict[str, Any]) -> tuple[dict, Any]:
        ops = self.keras.ops
        inputs, target, behaviors, mask, context = self._behavior_vectors(data)
        states = self.keras.layers.GRU(2 * EMBEDDING_DIM, return_sequences=True)(
            behaviors, mask=mask
        )
        weights = self._attention(target, states, options.get("dice", False))
        weights = ops.softmax(ops.where(mask, weights, -1e9), axis=-1)
        interest = ops.einsum("bt,btd->bd", weights, states)
        return inputs, self._answer([target, interest, *context])

    def _bst(self, data: Workload, options: dict[str, Any]) -> tuple[dict[str, Any], Any]:
        ops, layers = self.keras.ops, self.keras.layers
        inputs, target, behaviors, mask, context = self._behavior_vectors(data)
        items = ops.concatenate([behaviors, ops.expand_dims(target, 1)], 1)  # (B, T+1, D)
        real = ops.concatenate([mask, ops.ones_like(mask[:, :1])], 1)
        places = ops.arange(HISTORY_STEPS + 1) + ops.zeros_like(ops.cast(real, "int32"))
        positions = layers.Embedding(HISTORY_STEPS + 1, POSITION_WIDTH)(places)
        steps = layers.Dense(items.shape[-1])(ops.concatenate([items, positions], -1))
        queries = steps if options.get("all") else steps[:, -1:]
        attended = layers.MultiHeadAttention(
            BLOCK_HEADS, items.shape[-1] // BLOCK_HEADS, use_bias=False
        )(queries, steps, attention_mask=ops.expand_dims(real, 1))
        x = layers.LayerNormalization()(queries + attended)
        inner = layers.Dense(4 * x.shape[-1], activation="leaky_relu")(x)
        x = layers.LayerNormalization()(x + layers.Dense(x.shape[-1])(inner))
        return inputs, self._answer([x[:, -1], *context])

    def _hstu(self, data: Workload, batch: int) -> None:
        """HSTU with a table of distances, and the softmax over all items at all places."""
        keras, ops, layers = self.keras, self.keras.ops, self.keras.layers

        class Block(layers.Layer):
            def build(self, shape):
                start = keras.initializers.RandomNormal(stddev=0.02)
                self.kernel = self.add_weight(
                    shape=(BLOCK_WIDTH, 4 * BLOCK_WIDTH), initializer=start
                )
                self.bias = self.add_weight(shape=(LONG_STEPS,), initializer=start)
                self.norms = [layers.LayerNormalization(epsilon=1e-6, center=False, scale=False)
                              for _ in range(2)]  # fmt: skip
                self.drop, self.out = layers.Dropout(BLOCK_DROPOUT), layers.Dense(BLOCK_WIDTH)
                for part in (*self.norms, self.out):
                    part.build(shape)

            def call(self, x, mask, training=None):
                maps = ops.silu(ops.matmul(self.norms[0](x), self.kernel))
                gate, value, query, key = ops.split(maps, 4, axis=-1)
                places = ops.arange(LONG_STEPS)
                apart = places[:, None] - places[None, :]
                bias = ops.take(self.bias, ops.maximum(apart, 0), axis=0)
                scores = ops.silu(ops.einsum("bqd,bkd->bqk", query, key) + bias) / LONG_STEPS
                seen = ops.logical_and(apart >= 0, mask[:, None, :])
                attended = self.norms[1](ops.matmul(ops.where(seen, scores, 0.0), value))
                x = x + self.out(self.drop(attended * gate, training=training))
                return x * ops.cast(mask, x.dtype)[..., None]

        class Logits(layers.Layer):
            def __init__(self, table):
                super().__init__()
                self.table = table

            def call(self, states):
                items = ops.normalize(self.table.embeddings, axis=-1)
                states = ops.normalize(states, axis=-1)
                return ops.matmul(states, ops.transpose(items)) / TEMPERATURE

        history = keras.Input((LONG_STEPS,), dtype="int32", name="hist_item_id")
        mask = ops.not_equal(history, 0)
        table = layers.Embedding(data.table_rows["item_id"], BLOCK_WIDTH)
        places = layers.Embedding(LONG_STEPS, BLOCK_WIDTH)
        positions = places(ops.arange(LONG_STEPS) + ops.zeros_like(history))
        x = table(history) * ops.sqrt(float(BLOCK_WIDTH)) + positions
        x = layers.Dropout(BLOCK_DROPOUT)(x)
        for _ in range(BLOCKS):
            x = Block()(x, mask)
        self.model = keras.Model({"hist_item_id": history}, Logits(table)(x))
        self.model.compile(
            "adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=0)
        )
        x = data.columns("hist_item_id")
        self.set_data(x, next_steps(x["hist_item_id"], data.arrays["item_id"]), batch)

    def _behavior_vectors(self, data: Workload) -> tuple[dict[str, Any], Any, Any, Any, list]:
        """Inputs, target (B, D), behaviors (B, T, D), mask (B, T) and the context's vectors."""
        ops, layers = self.keras.ops, self.keras.layers
        inputs = self._ids("user", *CONTEXT_ROWS, "item", "cate")
        inputs |= self._ids("hist_item", "hist_cate", shape=(HISTORY_STEPS,))
        inputs["score"] = self.keras.Input((1,), name="score")
        tables = {n: layers.Embedding(rows, EMBEDDING_DIM) for n, rows in data.table_rows.items()}
        target = [tables[name](inputs[name]) for name in ("item", "cate")]
        behaviors = [tables[name](inputs[f"hist_{name}"]) for name in ("item", "cate")]
        context = [tables[name](inputs[name]) for name in ("user", *CONTEXT_ROWS)]
        return (
            inputs,
            ops.concatenate(target, -1),
            ops.concatenate(behaviors, -1),
            ops.not_equal(inputs["hist_item"], 0),
            [*context, inputs["score"]],
        )

    def _attention(self, target: Any, steps: Any, dice: bool) -> Any:
        """Weights (B, T) of the steps by target, difference and product, before any mask."""
        ops, layers = self.keras.ops, self.keras.layers
        repeated = layers.RepeatVector(HISTORY_STEPS)(target)
        x = ops.concatenate([repeated, steps, repeated - steps, repeated * steps], -1)
        for units in ATTENTION_UNITS:
            x = layers.Dense(units, activation=None if dice else "sigmoid")(x)
            if dice:
                x = self._dice()(x)
        return layers.Dense(1)(x)[..., 0]

    def _dice(self) -> Any:
        keras = self.keras

        class Dice(keras.layers.Layer):
            def build(self, shape):
                self.norm = keras.layers.BatchNormalization(center=False, scale=False)
                self.norm.build(shape)
                self.alpha = self.add_weight(shape=shape[-1:], initializer="zeros")

            def call(self, x, training=None):
                gate = keras.ops.sigmoid(self.norm(x, training=training))
                return gate * x + (1.0 - gate) * self.alpha * x

        return Dice()

    def _answer(self, parts: list) -> Any:
        tower = self._tower(self.keras.ops.concatenate(parts, -1))
        return self.keras.layers.Dense(1, activation="sigmoid")(tower)


if __name__ == "__main__":
    serve(KerasSubject)
