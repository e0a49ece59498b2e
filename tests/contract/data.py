"""Columns, batches and labels for any model, made from the roles on its card.

A family that needs a new kind of data adds its role to `_COLUMNS_OF_ROLE`, or its positional
argument to `_ARGUMENTS`.
"""

import inspect
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from deeprec_tf import (
    DenseFeat,
    SparseFeat,
    VarLenDenseFeat,
    VarLenSparseFeat,
    get_feature_names,
)
from deeprec_tf.features import input_specs
from deeprec_tf.identifiers import with_collision_digit

ROWS, STEPS, MAXLEN = 12, 5, 9
SEED = 7
USERS, ITEMS, CATEGORIES = 9, 11, 6
ITEM_COLUMNS = ("item_id", "cate_id")
WIDTH = 4
SESSION = 3


def _sequence(name, size, width, table, length_name, group=1):
    return VarLenSparseFeat(
        SparseFeat(name, size, embedding_dim=width, embedding_name=table),
        maxlen=MAXLEN, length_name=length_name, group=group,
    )


def _shared_context():
    return [
        SparseFeat("user", 13, embedding_dim=WIDTH),
        _sequence("genres", 7, WIDTH, "genres", None),
        DenseFeat("price", 2),
    ]


def _fields(length_name):
    return [*_shared_context(), SparseFeat("city", 5, embedding_dim=WIDTH)]


def _context(length_name):
    return _shared_context()


def _target_item(length_name):
    return [
        SparseFeat("item_id", ITEMS, embedding_dim=WIDTH),
        SparseFeat("cate_id", CATEGORIES, embedding_dim=3),
    ]


def _histories(prefix, length_name, group=1):
    return [
        _sequence(f"{prefix}item_id", ITEMS, WIDTH, "item_id", length_name, group),
        _sequence(f"{prefix}cate_id", CATEGORIES, 3, "cate_id", length_name, group),
    ]


def _interactions(length_name):
    return [
        SparseFeat("user_id", USERS, embedding_dim=WIDTH),
        SparseFeat("item_id", ITEMS, embedding_dim=WIDTH),
    ]


def _times(length_name):
    return [
        VarLenDenseFeat("hist_time", MAXLEN, dtype="int64", length_name=length_name),
        DenseFeat("time", dtype="int64"),
    ]


def _actions(length_name):
    return [VarLenDenseFeat("hist_action", MAXLEN, 2, length_name=length_name)]


def _users_and_items(length_name):
    """What models of item codes read: they make their columns themselves, by these names."""
    return [
        SparseFeat("user_id", USERS, embedding_dim=WIDTH),
        _sequence("hist_item_id", ITEMS, WIDTH, "item_id", length_name),
        SparseFeat("item_id", ITEMS, embedding_dim=WIDTH),
    ]


def _item_codes(columns):
    """Codes of all items, of different numbers a position; some share their first ones."""
    return with_collision_digit(
        [[0, 0], [1, 2], [1, 1], [2, 1], [2, 3], [3, 3], [3, 3], [1, 3], [2, 2], [3, 3], [1, 1]]
    )


def _items_beside(length_name):
    """What ColaRec's tasks read besides: two more items, and users of all three."""
    columns = []
    for item in ("item", "neg_item", "near_item"):
        columns.append(_sequence(f"{item}_users", USERS, WIDTH, "user_id", length_name))
        columns.append(SparseFeat(
            f"{item}_id", ITEMS, embedding_dim=WIDTH, embedding_name="item_id"
        ))
    return [column for column in columns if column.name != "item_id"]


def _item_tokens(columns):
    """Texts of up to 3 tokens; one item has none."""
    tokens = np.random.default_rng(SEED).integers(1, 8, size=(ITEMS, 3))
    tokens *= np.arange(3) < np.array([0, 0, 3, 1, 2, 3, 3, 2, 1, 3, 3])[:, None]
    return tokens


def _edges(columns):
    """Users and items of the batch that models are trained on; one pair stands there twice."""
    batch = make_batch(columns)
    pairs = np.stack([batch["user_id"], batch["item_id"]], axis=1)
    return np.concatenate([pairs, pairs[:1]])


def _texts(length_name):
    """Token ids of both forms of a text model; segment ids are 1 throughout."""
    sizes = {"token_ids": 19, "segment_ids": 2, "user_token_ids": 19, "item_token_ids": 19}
    return [
        _sequence(name, size, 8, "segment_ids" if size == 2 else "token_ids", length_name)
        for name, size in sizes.items()
    ]


def _language_model(columns):
    import keras_hub

    return keras_hub.models.BertBackbone(
        vocabulary_size=19, num_layers=2, num_heads=2, hidden_dim=8, intermediate_dim=12,
        dropout=0.0, max_sequence_length=MAXLEN,
    )


_COLUMNS_OF_ROLE = {
    "fields": _fields,
    "context": _context,
    "target_item": _target_item,
    "behaviors": lambda length_name: _histories("hist_", length_name),
    "sessions": lambda length_name: _histories("hist_", length_name, SESSION),
    "negative_behaviors": lambda length_name: _histories("neg_hist_", length_name),
    "item_negatives": lambda length_name: _histories("neg_", None),
    "times": _times,
    "actions": _actions,
    "interactions": _interactions,
    "text": _texts,
    "item_codes": _users_and_items,
    "item_tokens": _items_beside,
}


def _is_of_items(column):
    return column.name.removeprefix("neg_") in ITEM_COLUMNS


# The data arguments that builders take by position, from the columns of the model.
_ARGUMENTS = {
    "feature_columns": list,
    "linear_feature_columns": list,
    "user_feature_columns": lambda columns: [c for c in columns if not _is_of_items(c)],
    "item_feature_columns": lambda columns: [c for c in columns if _is_of_items(c)],
    "behavior_list": lambda columns: ["item_id", "cate_id"],
    "backbone": _language_model,
    "interactions": _edges,
    "item_codes": _item_codes,
    "item_tokens": _item_tokens,
}

# Tasks of multi-task models, of all kinds where a model takes them.
TASKS = {"click": "binary", "amount": "regression", "kind": 4}
_TASKS_OF_MODEL = {
    "AITM": {"click": "binary", "order": "if clicked"},
    "ESMM": {"click": "binary", "conversion": "where clicked", "order": "if clicked"},
}

# Hyperparameters that only set sizes, small.
_SMALL = {"dropout": 0.0, "num_heads": 2, "hidden_size": 8, "position_width": 3,
          "hidden_units": (8, 4), "attention_units": (6, 3), "cin_sizes": (4, 3),
          "bottom_hidden_units": (5,), "block_units": (6, 5),
          "low_rank": 2, "num_experts": 2, "gate_hidden_units": (5,), "expert_units": (6, 5),
          "task_hidden_units": (6,), "tower_units": (6, 4)}  # fmt: skip

# Where one name means another kind of size.
_SMALL_OF_MODEL = {
    "AFM": {"attention_units": 3},
    "ComiRec": {"attention_units": 5},
    "HLLM": {
        "item_embeddings": np.random.default_rng(SEED).normal(size=(ITEMS, 5)),
        "llm_params": {"dropout": 0.0, "hidden_size": 8},
    },
    "HSTU": {"transformer_params": {"dropout": 0.0, "num_heads": 2, "hidden_size": 8}},
    "LightGCN": {"embedding_dim": WIDTH, "num_users": USERS - 1, "num_items": ITEMS - 1},
    "ColaRec": {"num_users": USERS - 1, "num_layers": 1, "num_results": 3},
    "TIGER": {"num_users": USERS - 1, "maxlen": MAXLEN, "head_size": 3,
              "num_layers": 2, "feed_forward_units": 12, "num_results": 3},
    "SINE": {"attention_units": 5, "num_prototypes": 7, "num_interests": 3},
}


def columns_of(roles, *, length_name=None):
    """The columns that fill the roles."""
    columns = {}
    for role in roles:
        if role not in _COLUMNS_OF_ROLE:
            raise NotImplementedError(f"tests/contract/data.py has no columns for role {role!r}.")
        columns |= {column.name: column for column in _COLUMNS_OF_ROLE[role](length_name)}
    return list(columns.values())


def make_batch(columns, rows=ROWS, steps=STEPS, seed=SEED, *, empty=False):
    """A batch of valid arrays: the first row has no history, the second a full one.

    Ids of tables that sequences read too begin at 1, all others at 0. Sequences are padded with
    0 from their own length on; columns with one prefix and no prefix alike run in step.
    """
    generator = np.random.default_rng((seed, rows, steps))
    shared = {c.embedding_name for c in columns if isinstance(c, VarLenSparseFeat)}
    lengths = np.concatenate([[0, steps], generator.integers(1, steps + 1, size=rows)])[:rows]
    if empty:
        lengths = np.zeros(rows, "int64")
    real = np.arange(steps) < lengths[:, None]
    batch = {}
    for name, spec in input_specs(columns).items():
        column = spec.column
        if spec.role == "length":
            batch[name] = lengths.astype("int32")
        elif isinstance(column, SparseFeat):
            first = int(column.embedding_name in shared or name == "item_id")
            batch[name] = generator.integers(first, column.vocabulary_size, size=rows)
        elif isinstance(column, DenseFeat) and spec.dtype == "int64":  # after all of the history
            batch[name] = generator.integers(10**8, 2 * 10**8, size=(rows, 1))
        elif isinstance(column, DenseFeat):
            batch[name] = generator.normal(size=(rows, column.dimension)).astype("float32")
        elif spec.dtype == "int64" and isinstance(column, VarLenDenseFeat):
            batch[name] = np.cumsum(generator.integers(0, 10**6, size=(rows, steps)), axis=1) * real
        elif isinstance(column, VarLenDenseFeat) and column.dimension > 1:  # what the user did
            shape = (rows, steps, column.dimension)
            batch[name] = (generator.integers(0, 2, size=shape) * real[..., None]).astype("float32")
        elif isinstance(column, VarLenDenseFeat) or spec.role == "weight":
            batch[name] = (generator.normal(size=(rows, steps)) * real).astype("float32")
        elif column.group > 1:  # sessions of one item and more, alike in all columns
            shape = (rows, steps, column.group)
            items = np.random.default_rng(seed).integers(1, column.group + 1, size=(rows, steps, 1))
            ids = generator.integers(1, column.vocabulary_size, size=shape)
            batch[name] = ids * (np.arange(column.group) < items) * real[..., None]
        else:
            ids = generator.integers(1, column.vocabulary_size, size=(rows, steps))
            batch[name] = ids * real
    return batch


def lengthened(columns, batch, more):
    """The batch with `more` steps of padding after every sequence."""
    sequences = {
        name for name, spec in input_specs(columns).items()
        if spec.shape and spec.shape[0] is None
    }
    return {
        name: np.pad(array, [(0, 0), (0, more)] + [(0, 0)] * (array.ndim - 2))
        if name in sequences else array
        for name, array in batch.items()
    }


def without_steps(columns, batch):
    """The batch of users who have no history, padded to the longest of them: 0 steps."""
    specs = input_specs(columns)
    return {
        name: array[:, :0] if specs[name].shape and specs[name].shape[0] is None
        else np.zeros_like(array) if specs[name].role == "length" else array
        for name, array in batch.items()
    }


@dataclass
class Subject:
    """A model under test: how to build it, and its data.

    `model`, `lively` and `trained` are built once and must only be read.
    """

    name: str
    builder: Any
    columns: list
    arguments: tuple
    options: dict = field(default_factory=dict)
    tasks: dict | None = None
    _cache: dict = field(default_factory=dict, repr=False)

    @property
    def used_columns(self):
        """Those of the columns that the model reads."""
        if "inputs" not in self._cache:
            self._cache["inputs"] = set(self.model.input)
        return [column for column in self.columns if column.name in self._cache["inputs"]]

    def build(self, *, seed=SEED, **compile_options):
        """A new model, from a seed."""
        keras.utils.set_random_seed(seed)
        model = self.builder(*self.arguments, **{**self.options, **compile_options})
        self._cache["inputs"] = set(model.input)
        return model

    @property
    def model(self):
        """The shared model."""
        if "model" not in self._cache:
            self._cache["model"] = self.build()
        return self._cache["model"]

    def batch(self, rows=ROWS, steps=STEPS, seed=SEED, **options):
        """Inputs for the model, and only those it has."""
        names = get_feature_names(self.used_columns)
        batch = make_batch(self.columns, rows, steps, seed, **options)
        return {name: batch[name] for name in names}

    def labels(self, rows=ROWS, seed=SEED):
        """Labels of both classes; of several tasks a dict, where some rows have none."""
        generator = np.random.default_rng(seed)
        labels = generator.integers(0, 2, size=rows)
        labels[:2] = 0, 1
        if self.tasks is None:
            return labels.astype("float32")
        return {task: _labels_of(kind, labels, generator) for task, kind in self.tasks.items()}

    @property
    def lively(self):
        """A model whose weights are noise, so that every part of it moves the prediction."""
        if "lively" not in self._cache:
            model, generator = self.build(), np.random.default_rng(SEED)
            for weight in model.weights:
                if weight.dtype == "float32":
                    noise = generator.normal(scale=0.4, size=weight.shape)
                    weight.assign(np.abs(noise) if "variance" in weight.name else noise)
            self._cache["lively"] = model
        return self._cache["lively"]

    def trained(self, steps=100):
        """(model, losses) after full-batch steps of Adam at 0.01, trained once."""
        if "trained" not in self._cache:
            model = self.build(optimizer=keras.optimizers.Adam(0.01), metrics=[])
            self._cache["trained"] = model, train(model, self.batch(), self.labels(), steps)
        return self._cache["trained"]


def _labels_of(kind, clicks, generator):
    if kind == "binary":
        return clicks.astype("float32")
    if kind == "where clicked":
        return np.where(clicks > 0, generator.integers(0, 2, clicks.shape), np.nan)
    if kind == "if clicked":
        return (clicks * (generator.random(clicks.shape) < 0.7)).astype("float32")
    is_real = kind == "regression"
    values = generator.normal(size=clicks.shape) if is_real else generator.integers(
        0, kind, clicks.shape
    )
    # One row in six has no label: the same one in both halves of a batch.
    return np.where(np.arange(len(clicks)) % 6 == 2, np.nan, values)


def train(model, batch, labels, steps):
    """The loss before each of the steps on one batch."""
    losses = []
    for _ in range(steps):
        model.reset_metrics()  # train_on_batch reports the mean since the last reset
        losses.append(float(model.train_on_batch(batch, labels, return_dict=True)["loss"]))
    return losses


def subject_of(card, *, options=None, without=(), length_name=None):
    """The subject of a model card.

    Args:
        card: the card.
        options: hyperparameters on top of small sizes.
        without: optional roles that are left out.
        length_name: name of the input with the histories' lengths; masks from ids when None.
    """
    roles = [role for role in (*card.needs, *card.optional) if role not in without]
    columns = columns_of(roles, length_name=length_name)
    parameters = inspect.signature(card.builder).parameters
    arguments = []
    for name, parameter in parameters.items():
        is_optional = parameter.default is not parameter.empty
        if parameter.kind is parameter.KEYWORD_ONLY or (is_optional and name not in _ARGUMENTS):
            break
        if name not in _ARGUMENTS:
            raise NotImplementedError(f"tests/contract/data.py has no argument {name!r}.")
        arguments.append(_ARGUMENTS[name](columns))
    if "item_table" in parameters and any(column.name == "cate_id" for column in columns):
        categories = np.random.default_rng(SEED).integers(1, CATEGORIES, size=ITEMS)
        options = {"item_table": {"cate_id": categories}, **(options or {})}
    tasks = None
    if card.family == "multitask":
        tasks = _TASKS_OF_MODEL.get(card.name, TASKS)
        options = {"task_names": tuple(tasks), **(options or {})}
        if "task_types" in parameters:
            options.setdefault("task_types", tuple(tasks.values()))
    small = {name: value for name, value in _SMALL.items() if name in parameters}
    small |= _SMALL_OF_MODEL.get(card.name, {})
    return Subject(
        card.name, card.builder, columns, tuple(arguments), {**small, **(options or {})}, tasks
    )
