"""DSSM: Deep Structured Semantic Model (Huang et al., CIKM 2013), as a two-tower recall model.

Departures from the paper: towers over embeddings of any features instead of hashed words; by
default the softmax runs over the items of the batch, corrected for how often they come (logQ),
instead of four sampled documents; the smoothing factor is a temperature.
"""

import functools

from deeprec_tf.candidates import CORRECTED_IN_BATCH
from deeprec_tf.inputs import build_input_layers, embedding_lookup, refuse_sequences
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
    year=2013,
    url="https://www.microsoft.com/en-us/research/publication/learning-deep-structured-semantic-models-for-web-search-using-clickthrough-data/",
    paper="Learning Deep Structured Semantic Models for Web Search using Clickthrough Data",
    needs=("context", "target_item"),
    optional=("behaviors",),
)
def DSSM(
    user_feature_columns,
    item_feature_columns,
    *,
    hidden_units=(256, 128, 64),
    activation="relu",
    dropout=0.0,
    embedding_dim=None,
    temperature=None,
    negatives=CORRECTED_IN_BATCH,
    item_table=None,
    optimizer="adam",
    loss=None,
    metrics=None,
    jit_compile="auto",
    name="dssm",
):
    """A tower for the user, one for the item, and the cosine of what they give.

    Args:
        user_feature_columns: columns of the user; histories are pooled by their combiner.
        item_feature_columns: columns of the positive item, its id first; ids start at 1.
        hidden_units: widths of both towers; the last one is that of the vectors, a linear map.
        activation: "dice", "prelu" or a Keras activation name.
        dropout: share dropped behind all but the last layer, one number or one a layer.
        embedding_dim: width of every table; those of the columns when None.
        temperature: divides the cosine in the loss, or "learned", a scale and for losses of
            logits a bias; when None .05 for the softmax, "learned" for losses of logits, 1 else.
        negatives: `InBatch(frequency="streaming")`, or `InBatch(counts=…)` where the whole data
            are known before; also "in_batch" (no correction), "all", `Sampled(…)` of
            `deeprec_tf.candidates`.
        item_table: `{column: array}` of the features of all items, for negatives that are not in
            the batch.
        optimizer: Keras optimizer or name.
        loss: a `deeprec_tf.losses.RankingLoss` or its name; the softmax when None.
        metrics: none; `RetrievalEvaluation` measures during training.
        jit_compile: "auto", True or False, as in `keras.Model.compile`.
        name: name of the model.

    Returns:
        A compiled `RecModel` whose prediction `score` (B, 1) is the cosine.

    Raises:
        ValueError: no user column, the first item column is no id, an unknown loss or set of
            negatives, or features that `item_table` misses.

    Example:
        >>> item = SparseFeat("item_id", 20)
        >>> DSSM([SparseFeat("user", 10)], [item], hidden_units=(8, 4)).name
        'dssm'

    References:
        Huang et al., Learning Deep Structured Semantic Models for Web Search using Clickthrough
        Data, CIKM 2013.
        Yi et al., Sampling-Bias-Corrected Neural Modeling for Large Corpus Item Recommendations,
        RecSys 2019.
    """
    tower = functools.partial(
        tower_layers, hidden_units=hidden_units, activation=activation, dropout=dropout
    )
    users = with_width(user_feature_columns, embedding_dim)
    columns = with_width(item_feature_columns, embedding_dim)
    refuse_sequences("DSSM", [*users, *columns])
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
        columns, inputs, tables, tower("item"), item_table=item_table, owner="DSSM"
    )
    item_vector = joint(items.positive(), "item_vector")  # (B, D)

    return recall_model(
        inputs, items, user_vector, item_vector, feature_columns=feature_columns,
        seen=seen_items(users, items, items.id_column.embedding_name),
        loss=loss, negatives=negatives, temperature=cosine_temperature(temperature, loss),
        optimizer=optimizer, metrics=metrics, jit_compile=jit_compile, name=name,
    )
