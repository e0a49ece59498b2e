"""Facebook's two towers with a triplet loss (Huang et al., KDD 2020).

Departures from the paper: towers over embeddings of any features instead of Facebook's; random
negatives are the items of the batch's other rows by default, and the hardest two of them count once
more, about 100 random ones to a hard one at 256 rows. Negatives from the middle of an earlier
model's ranking, `deeprec_tf.retrieval.mine_hard_negatives`, come as the columns of `Given`. Further
tasks (`num_tasks`) are no part of the paper.
"""

import functools
from numbers import Integral

import keras

from deeprec_tf.candidates import Given, InBatch
from deeprec_tf.inputs import build_input_layers, embedding_lookup, refuse_sequences
from deeprec_tf.layers.core.prediction import PredictionLayer
from deeprec_tf.layers.core.unit_length import UnitLength
from deeprec_tf.layers.text.cosine_logit import CosineLogit
from deeprec_tf.multitask import task_types_of
from deeprec_tf.numeric import check_whole_numbers
from deeprec_tf.recall import (
    ItemSide,
    cosine_temperature,
    joint,
    recall_model,
    seen_items,
    tower_layers,
    two_sided_tables,
    with_width,
)
from deeprec_tf.registry import register_model


@register_model(
    family="recall",
    year=2020,
    url="https://arxiv.org/abs/2006.11632",
    paper="Embedding-based Retrieval in Facebook Search",
    needs=("context", "target_item"),
    optional=("behaviors", "item_negatives"),
    aliases=("FacebookDSSM",),
)
def FaceBookDSSM(
    user_feature_columns,
    item_feature_columns,
    *,
    hidden_units=(256, 128, 64),
    activation="relu",
    dropout=0.0,
    embedding_dim=None,
    temperature=None,
    negatives=None,
    item_table=None,
    num_tasks=1,
    task_types=None,
    optimizer="adam",
    loss=None,
    metrics=None,
    jit_compile="auto",
    name="facebook_dssm",
):
    """Two towers whose cosine with the positive must exceed that with negatives by a margin.

    The loss of a row is the mean over its negatives of max(0, m + D(u, v+) - D(u, v-)), D = 1 -
    cosine.

    Args:
        user_feature_columns: columns of the user; histories are pooled by their combiner.
        item_feature_columns: columns of the positive item, its id first; ids start at 1. Negatives
            that the rows bring along are columns `neg_item_id` and so on beside them.
        hidden_units: widths of both towers; the last one is that of the vectors, a linear map.
        activation: "dice", "prelu" or a Keras activation name.
        dropout: share dropped behind all but the last layer, one number or one a layer.
        embedding_dim: width of every table; those of the columns when None.
        temperature: divides the cosine in the loss, or "learned", a scale and for losses of
            logits a bias; when None 1 for the triplet, .05 for the softmax, "learned" for losses
            of logits.
        negatives: when None the batch's items and, once more, the hardest two of them, and the
            given ones where there are columns of them; else "in_batch", "given", "all", or
            `InBatch(…)`, `Given(…)`, `Sampled(…)` of `deeprec_tf.candidates`, or a list.
        item_table: `{column: array}` of the features of all items, for negatives whose features no
            column has.
        num_tasks: number of tasks, the retrieval itself among them: 1 is that alone, as in the
            paper. Each further one, `task_1`, `task_2`, …, maps both vectors linearly and has a
            cosine of its own, whose loss is added; labels go by these names, and `score` by that
            of the retrieval, whose labels are rewards (0 where the item is no positive, 1 where
            they are left out).
        task_types: "binary" or "regression", one a further task; all binary when None.
        optimizer: Keras optimizer or name.
        loss: a `deeprec_tf.losses.RankingLoss` or its name, such as "softmax"; when None
            `Triplet(margin=0.2)`. Margins of 0.1 to 0.4 are usual; from 2 on, every pair counts.
        metrics: none, but of further tasks, by name; `RetrievalEvaluation` measures during
            training.
        jit_compile: "auto", True or False, as in `keras.Model.compile`.
        name: name of the model.

    Returns:
        A compiled `RecModel` whose prediction `score` (B, 1) is the cosine; with further tasks a
        dict of it and theirs.

    Raises:
        ValueError: no user column, num_tasks below 1 or types that do not go with it, the first
            item column is no id, an unknown loss or set of negatives, negatives given that are not
            read or wanted that are not given, or features that `item_table` misses.

    Example:
        >>> item = SparseFeat("item_id", 20)
        >>> FaceBookDSSM([SparseFeat("user", 10)], [item], hidden_units=(8, 4)).name
        'facebook_dssm'

    References:
        Huang et al., Embedding-based Retrieval in Facebook Search, KDD 2020.
    """
    tower = functools.partial(
        tower_layers, hidden_units=hidden_units, activation=activation, dropout=dropout
    )
    users = with_width(user_feature_columns, embedding_dim)
    columns = with_width(item_feature_columns, embedding_dim)
    refuse_sequences("FaceBookDSSM", [*users, *columns])
    feature_columns = [*users, *columns]
    inputs = build_input_layers(feature_columns)
    tables = two_sided_tables(users, columns)

    # User tower.
    user = embedding_lookup(inputs, tables, users)  # (B, C)
    for layer in tower("user"):
        user = layer(user)
    user_vector = joint(user, "user_vector")  # (B, D)

    # Item tower.
    items = ItemSide(
        columns, inputs, tables, tower("item"), item_table=item_table, owner="FaceBookDSSM"
    )
    item_vector = joint(items.positive(), "item_vector")  # (B, D)

    # Random negatives, and hard ones.
    if negatives is None:
        negatives = [InBatch(), InBatch(hardest=2), *([Given()] if items.given else [])]
    loss = "triplet" if loss is None else loss

    # Further tasks, each with a map of both vectors of its own.
    head_types = _further_tasks(num_tasks, task_types)
    heads = {
        task: _head(user_vector, item_vector, task, kind) for task, kind in head_types.items()
    }
    return recall_model(
        inputs, items, user_vector, item_vector, feature_columns=feature_columns,
        seen=seen_items(users, items, items.id_column.embedding_name),
        loss=loss, negatives=negatives,
        temperature=cosine_temperature(temperature, loss), heads=heads, head_types=head_types,
        optimizer=optimizer, metrics=metrics, jit_compile=jit_compile, name=name,
    )


def _further_tasks(num_tasks, task_types):
    """Types of the tasks beside the retrieval, by name."""
    check_whole_numbers("FaceBookDSSM", num_tasks=num_tasks)
    names = [f"task_{k}" for k in range(1, num_tasks)]
    if len(task_types or names) != len(names):
        raise ValueError(
            f"FaceBookDSSM: task_types has {len(task_types)} entries for the {len(names)} tasks "
            f"beside the retrieval (num_tasks={num_tasks})."
        )
    if not names:
        return {}
    if any(isinstance(kind, Integral) for kind in task_types or ()):
        raise ValueError(
            "FaceBookDSSM: a further task is 'binary' or 'regression', as its head is one cosine, "
            f"got task_types={task_types!r}."
        )
    return task_types_of("FaceBookDSSM", names, task_types)


def _head(user_vector, item_vector, task, kind):
    """The cosine of both vectors, mapped for a task, as its logit."""
    mapped = [
        UnitLength(name=f"{task}_{side}_unit")(
            keras.layers.Dense(vector.shape[-1], use_bias=False, name=f"{task}_{side}")(vector)
        )
        for side, vector in (("user", user_vector), ("item", item_vector))
    ]
    logit = CosineLogit(name=f"{task}_logit")(*mapped)  # (B, 1)
    return PredictionLayer(kind, name=task)(logit)
