"""YouTube's candidate generator (Covington et al., RecSys 2016).

Departures from the paper:
- a linear map follows on the ReLU tower, to the width of the item vectors: a user vector without
  negative numbers could not tell some items apart;
- the loss is the softmax over all items by default, which the sampled softmax approximates. Above
  some 100,000 items it is `negatives=Sampled(…)`;
- the item's table is that of the history by default; `tied=False` gives the paper's separate
  softmax weights. There is no bias an item, as an index of inner products knows none;
- items may have features beside their id.
"""

import dataclasses

import keras

from deeprec_tf.features import VarLenSparseFeat
from deeprec_tf.inputs import build_input_layers, embedding_lookup, refuse_sequences
from deeprec_tf.item_side import item_id_column
from deeprec_tf.layers.core.mlp import MLP
from deeprec_tf.layers.core.unit_length import UnitLength
from deeprec_tf.recall import (
    ItemSide,
    cosine_temperature,
    item_tower,
    joint,
    recall_model,
    seen_items,
    two_sided_tables,
    with_width,
)
from deeprec_tf.registry import register_model


@register_model(
    family="recall",
    year=2016,
    url="https://research.google/pubs/deep-neural-networks-for-youtube-recommendations/",
    paper="Deep Neural Networks for YouTube Recommendations",
    needs=("behaviors", "target_item"),
    optional=("context",),
    aliases=("YouTubeDNN",),
)
def YoutubeDNN(
    user_feature_columns,
    item_feature_columns,
    *,
    hidden_units=(256, 128),
    activation="relu",
    dropout=0.0,
    embedding_dim=None,
    tied=True,
    l2_normalize=False,
    temperature=None,
    negatives="all",
    item_table=None,
    optimizer="adam",
    loss=None,
    metrics=None,
    jit_compile="auto",
    name="youtube_dnn",
):
    """A tower over the mean of what was watched and the user's other features: the next item.

    A row is one moment: histories hold what was before it, the item is what came next; the same
    number of rows from every user keeps the busiest from ruling the loss. The paper's example age,
    the time from the moment to the end of the training data, is a `DenseFeat` of the user;
    serve with 0.

    Args:
        user_feature_columns: columns of the user; histories are pooled by their combiner, the mean
            unless it says otherwise.
        item_feature_columns: columns of the positive item, its id first; ids start at 1.
        hidden_units: widths of the tower; a linear map to the item's width follows.
        activation: "dice", "prelu" or a Keras activation name.
        dropout: share dropped behind each layer of the tower, one number or one a layer.
        embedding_dim: width of every table; those of the columns when None.
        tied: whether the item's vector comes from the table that its history reads; otherwise from
            softmax weights of its own, the table "softmax_" + that name.
        l2_normalize: whether both vectors have length 1, so that the score is a cosine.
        temperature: divides scores in the loss, or "learned"; when None 1, and .05 for cosines,
            which lie too close together without.
        negatives: "all", "in_batch", or `Sampled(…)`, `InBatch(…)` of `deeprec_tf.candidates`. The
            paper's log-uniform draws, `Sampled(…, "log_uniform")`, are right only where ids run in
            the order of falling frequency.
        item_table: `{column: array}` of the features of all items, where they have some beside
            the id.
        optimizer: Keras optimizer or name.
        loss: a `deeprec_tf.losses.RankingLoss` or its name; the softmax when None.
        metrics: none; `RetrievalEvaluation` measures during training.
        jit_compile: "auto", True or False, as in `keras.Model.compile`.
        name: name of the model.

    Returns:
        A compiled `RecModel` whose prediction `score` (B, 1) is <user_vector, item_vector>.

    Raises:
        ValueError: no user column, the first item column is no id, an unknown loss or set of
            negatives, or features that `item_table` misses.

    Example:
        >>> YoutubeDNN(*next_item_columns(100, maxlen=20, embedding_dim=16)).name
        'youtube_dnn'

    References:
        Covington et al., Deep Neural Networks for YouTube Recommendations, RecSys 2016.
    """
    users = with_width(user_feature_columns, embedding_dim)
    columns = with_width(item_feature_columns, embedding_dim)
    own = item_id_column(columns, owner="YoutubeDNN")
    table = own.embedding_name
    if not tied:
        columns = [_of_softmax(column, table) for column in columns]
    refuse_sequences("YoutubeDNN", [*users, *columns])
    feature_columns = [*users, *columns]
    inputs = build_input_layers(feature_columns)
    tables = two_sided_tables(users, columns)
    if temperature is None:
        temperature = cosine_temperature(None, loss) if l2_normalize else 1.0

    # The user: pooled histories and all other features through the tower.
    user = embedding_lookup(inputs, tables, users)  # (B, C)
    user = MLP(hidden_units, activation=activation, dropout=dropout, name="user_tower")(user)
    user = keras.layers.Dense(own.embedding_dim, use_bias=False, name="user_projection")(user)
    if l2_normalize:
        user = UnitLength(name="user_unit")(user)
    user_vector = joint(user, "user_vector")  # (B, D)

    # The item: its row of the softmax weights.
    tower = item_tower(columns, own.embedding_dim)
    if l2_normalize:
        tower.append(UnitLength(name="item_unit"))
    items = ItemSide(
        columns, inputs, tables, tower, item_table=item_table, owner="YoutubeDNN"
    )
    item_vector = joint(items.positive(), "item_vector")  # (B, D)

    return recall_model(
        inputs, items, user_vector, item_vector, feature_columns=feature_columns,
        seen=seen_items(users, items, table),
        loss=loss, negatives=negatives, temperature=temperature, optimizer=optimizer,
        metrics=metrics, jit_compile=jit_compile, name=name,
    )


def _of_softmax(column, table):
    """A column that would have the history's table, with that of the softmax weights."""
    if getattr(column, "embedding_name", None) != table:
        return column
    if isinstance(column, VarLenSparseFeat):
        return dataclasses.replace(column, sparsefeat=_of_softmax(column.sparsefeat, table))
    return dataclasses.replace(column, embedding_name=f"softmax_{table}")
