"""YouTube's sampling-bias-corrected two-tower model (Yi et al., RecSys 2019).

Departures from the paper: towers over embeddings of any features instead of YouTube's; the first
gap of an item starts its estimate, see `StreamingFrequency`; negatives may come from a queue of
earlier batches too.
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
    year=2019,
    url="https://research.google/pubs/sampling-bias-corrected-neural-modeling-for-large-corpus-item-recommendations/",
    paper="Sampling-Bias-Corrected Neural Modeling for Large Corpus Item Recommendations",
    needs=("context", "target_item"),
    optional=("behaviors",),
)
def YoutubeSBC(
    user_feature_columns,
    item_feature_columns,
    *,
    hidden_units=(256, 128, 64),
    activation="relu",
    dropout=0.0,
    embedding_dim=None,
    l2_normalize=True,
    temperature=None,
    negatives=CORRECTED_IN_BATCH,
    item_table=None,
    optimizer="adam",
    loss=None,
    metrics=None,
    jit_compile="auto",
    name="youtube_sbc",
):
    """Two towers against the whole batch, corrected for how often its items come in batches.

    A row's loss is r · -log softmax of s / temperature - log p over the items of the batch, where
    the labels `y` of `fit` are the rewards r (all 1 without) and p is estimated while training
    goes on. Serving ranks by the uncorrected score.

    Args:
        user_feature_columns: columns of the user; histories are pooled by their combiner.
        item_feature_columns: columns of the positive item, its id first; ids start at 1.
        hidden_units: widths of both towers; the last one is that of the vectors, a linear map.
        activation: "dice", "prelu" or a Keras activation name.
        dropout: share dropped behind all but the last layer, one number or one a layer.
        embedding_dim: width of every table; those of the columns when None.
        l2_normalize: whether both vectors have length 1, so that the score is a cosine.
        temperature: divides the score, before log p is taken off, or "learned"; when None .05 for
            cosines, 1 else.
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
        A compiled `RecModel` whose prediction `score` (B, 1) is <user_vector, item_vector>.

    Raises:
        ValueError: no user column, the first item column is no id, an unknown loss or set of
            negatives, or features that `item_table` misses.

    Example:
        >>> item = SparseFeat("item_id", 20)
        >>> YoutubeSBC([SparseFeat("user", 10)], [item], hidden_units=(8, 4)).name
        'youtube_sbc'

    References:
        Yi et al., Sampling-Bias-Corrected Neural Modeling for Large Corpus Item Recommendations,
        RecSys 2019.
    """
    tower = functools.partial(
        tower_layers, hidden_units=hidden_units, activation=activation, dropout=dropout,
        unit_length=l2_normalize
    )
    users = with_width(user_feature_columns, embedding_dim)
    columns = with_width(item_feature_columns, embedding_dim)
    refuse_sequences("YoutubeSBC", [*users, *columns])
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
        columns, inputs, tables, tower("item"), item_table=item_table, owner="YoutubeSBC"
    )
    item_vector = joint(items.positive(), "item_vector")  # (B, D)

    if temperature is None:
        temperature = cosine_temperature(None, loss) if l2_normalize else 1.0
    return recall_model(
        inputs, items, user_vector, item_vector, feature_columns=feature_columns,
        seen=seen_items(users, items, items.id_column.embedding_name),
        loss=loss, negatives=negatives, temperature=temperature, optimizer=optimizer,
        metrics=metrics, jit_compile=jit_compile, name=name,
    )
