"""Multi-task and recall models in plain Keras 3, for `subject_keras.py`.

Next-item models are the library's maths: blocks that normalize first, with an inner layer of their
own width; the softmax over all items. `{"all": true}` learns from all steps of a padded row, as a
sequence of labels; by default a row has one next item, that of its last step.
"""

from __future__ import annotations

from typing import Any

from subject import (
    EXPERT_UNITS,
    EXPERTS,
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
)
from workloads import (
    EMBEDDING_DIM,
    HISTORY_STEPS,
    PROFILE_ROWS,
    SEQUENCE_WIDTH,
    TASK_FIELDS,
    Workload,
)

TASKS = ("ctr", "cvr")


def _tower(keras: Any, x: Any, widths: tuple[int, ...]) -> Any:
    for units in widths:
        x = keras.layers.Dense(units, activation="relu")(x)
    return x


# ---- multi-task ----------------------------------------------------------------------------


def multitask(keras: Any, model: str, data: Workload) -> tuple[dict[str, Any], dict[str, Any]]:
    """Inputs and outputs of MMoE, PLE or ESMM."""
    inputs = {name: keras.Input((), dtype="int32", name=name) for name in TASK_FIELDS}
    flat = keras.ops.concatenate(
        [
            keras.layers.Embedding(data.table_rows[name], EMBEDDING_DIM)(ids)
            for name, ids in inputs.items()
        ],
        axis=-1,
    )
    answer = {"MMoE": _mmoe, "PLE": _ple, "ESMM": _esmm}[model]
    return inputs, answer(keras, flat)


def _gated(keras: Any, x: Any, experts: list) -> Any:
    weights = keras.layers.Dense(len(experts), activation="softmax", use_bias=False)(x)
    return keras.ops.sum(keras.ops.stack(experts, 1) * weights[..., None], axis=1)


def _ends(keras: Any, states: list) -> dict[str, Any]:
    return {
        task: keras.layers.Dense(1, activation="sigmoid", name=task)(
            _tower(keras, state, TASK_UNITS)
        )
        for task, state in zip(TASKS, states, strict=True)
    }


def _mmoe(keras: Any, flat: Any) -> dict[str, Any]:
    experts = [_tower(keras, flat, EXPERT_UNITS) for _ in range(EXPERTS)]
    return _ends(keras, [_gated(keras, flat, experts) for _ in TASKS])


def _ple(keras: Any, flat: Any) -> dict[str, Any]:
    states, shared = [flat, flat], flat
    for level in range(LEVELS):
        own = [_tower(keras, state, LEVEL_UNITS) for state in states]
        common = _tower(keras, shared, LEVEL_UNITS)
        states = [
            _gated(keras, state, [expert, common])
            for state, expert in zip(states, own, strict=True)
        ]
        if level < LEVELS - 1:
            shared = _gated(keras, shared, [*own, common])
    return _ends(keras, states)


def _esmm(keras: Any, flat: Any) -> dict[str, Any]:
    click, conversion = (
        keras.layers.Dense(1, activation="sigmoid")(_tower(keras, flat, HIDDEN_UNITS))
        for _ in TASKS
    )
    return {"ctr": click, "ctcvr": click * conversion}


# ---- the next item -------------------------------------------------------------------------


def next_item(keras: Any, model: str, data: Workload, *, every_step: bool) -> Any:
    """A compiled model whose answer are logits of all items, at every step or the last."""
    history = keras.Input((HISTORY_STEPS,), dtype="int32", name="hist_item_id")
    mask = keras.ops.not_equal(history, 0)
    table = keras.layers.Embedding(data.table_rows["item_id"], SEQUENCE_WIDTH)
    write = {"SASRec": _sasrec, "GRU4Rec": _gru4rec, "NARM": _narm}[model]
    states = write(keras, table(history), mask, every_step)

    class Logits(keras.layers.Layer):
        def call(self, states):
            return keras.ops.matmul(states, keras.ops.transpose(table.embeddings))

    built = keras.Model({"hist_item_id": history}, Logits()(states))
    loss = keras.losses.SparseCategoricalCrossentropy(
        from_logits=True, ignore_class=0 if every_step else None
    )
    built.compile("adam", loss)
    return built


def _last(keras: Any, states: Any, mask: Any) -> Any:
    ops = keras.ops
    last = ops.maximum(ops.sum(ops.cast(mask, "int32"), axis=1) - 1, 0)
    return ops.take_along_axis(states, last[:, None, None], axis=1)[:, 0]


def _sasrec(keras: Any, x: Any, mask: Any, every_step: bool) -> Any:
    layers, ops = keras.layers, keras.ops
    places = layers.Embedding(HISTORY_STEPS, SEQUENCE_WIDTH)
    x = x * SEQUENCE_WIDTH**0.5 + places(ops.arange(HISTORY_STEPS))
    x = layers.Dropout(LAYER_DROPOUT)(x)
    for _ in range(LAYERS):
        normal = layers.LayerNormalization(epsilon=1e-8)(x)
        attention = layers.MultiHeadAttention(
            LAYER_HEADS, SEQUENCE_WIDTH // LAYER_HEADS, dropout=LAYER_DROPOUT
        )
        attended = attention(
            normal, normal, use_causal_mask=True, attention_mask=mask[:, None, :]
        )
        x = x + layers.Dropout(LAYER_DROPOUT)(attended)
        inner = layers.Dense(SEQUENCE_WIDTH, activation="relu")(
            layers.LayerNormalization(epsilon=1e-8)(x)
        )
        inner = layers.Dense(SEQUENCE_WIDTH)(layers.Dropout(LAYER_DROPOUT)(inner))
        x = x + layers.Dropout(LAYER_DROPOUT)(inner)
    x = layers.LayerNormalization(epsilon=1e-8)(x)
    return x if every_step else _last(keras, x, mask)


def _gru4rec(keras: Any, x: Any, mask: Any, every_step: bool) -> Any:
    x = keras.layers.Dropout(STATE_DROPOUT)(x)
    states = keras.layers.GRU(STATES, return_sequences=every_step)(x, mask=mask)
    return keras.layers.Dense(SEQUENCE_WIDTH)(states)


def _narm(keras: Any, x: Any, mask: Any, every_step: bool) -> Any:
    layers, ops = keras.layers, keras.ops
    x = layers.Dropout(SESSION_DROPOUTS[0])(x)
    states = layers.GRU(SESSION, return_sequences=True)(x, mask=mask)
    whole = _last(keras, states, mask)
    seen = layers.Dense(SESSION, use_bias=False)(states)
    scores = layers.Dense(1, use_bias=False)(
        ops.sigmoid(seen + layers.Dense(SESSION, use_bias=False)(whole)[:, None])
    )[..., 0]
    weights = ops.softmax(ops.where(mask, scores, -1e9), axis=-1)
    purpose = ops.einsum("bt,btd->bd", weights, states)
    session = layers.Dropout(SESSION_DROPOUTS[1])(ops.concatenate([whole, purpose], -1))
    return layers.Dense(SEQUENCE_WIDTH, use_bias=False)(session)


# ---- two towers ----------------------------------------------------------------------------


def dssm(keras: Any, data: Workload) -> Any:
    """A compiled model whose answer is the cosine of every user and item of the batch."""
    ops, layers = keras.ops, keras.layers
    names = ("user_id", *PROFILE_ROWS, "item_id", "category")
    inputs = {name: keras.Input((), dtype="int32", name=name) for name in names}
    inputs["hist_item_id"] = keras.Input((HISTORY_STEPS,), dtype="int32", name="hist_item_id")
    tables = {name: layers.Embedding(data.table_rows[name], EMBEDDING_DIM) for name in names}
    real = ops.cast(ops.not_equal(inputs["hist_item_id"], 0), "float32")
    steps = tables["item_id"](inputs["hist_item_id"])
    pooled = ops.einsum("bt,btd->bd", real, steps) / ops.maximum(
        ops.sum(real, axis=1, keepdims=True), 1.0
    )
    user = [tables[name](inputs[name]) for name in ("user_id", *PROFILE_ROWS)]
    item = [tables[name](inputs[name]) for name in ("item_id", "category")]
    sides = []
    for parts in ([*user, pooled], item):
        hidden = _tower(keras, ops.concatenate(parts, -1), HIDDEN_UNITS[:-1])
        sides.append(ops.normalize(layers.Dense(HIDDEN_UNITS[-1])(hidden), axis=-1))
    logits = ops.matmul(sides[0], ops.transpose(sides[1])) / TEMPERATURE

    def loss(_labels, logits):
        rows = ops.arange(ops.shape(logits)[0])
        return ops.sparse_categorical_crossentropy(rows, logits, from_logits=True)

    model = keras.Model(inputs, logits)
    model.compile("adam", loss)
    return model
