"""STAMP: Short-Term Attention/Memory Priority (Liu et al., KDD 2018).

Departures from the paper:
- the mean of the session is added to what the attention gives, as in the authors' code, which the
  published numbers come from; `add_mean=False` gives the paper's equation;
- tables start as the columns say, not from N(0, 0.002);
- items may have features beside their id, and users features beside their history.

A row is one prefix of a session and the item that came next: `deeprec_tf.data` makes them.
"""

import keras

from deeprec_tf.inputs import build_input_layers, embedding_lookup
from deeprec_tf.layers.attention.additive_pooling import AdditivePooling
from deeprec_tf.layers.core.sequence_pooling import SequencePooling
from deeprec_tf.layers.retrieval.next_step import LastStep
from deeprec_tf.layers.sequence.with_context import WithContext
from deeprec_tf.recall import (
    ItemSide,
    item_tower,
    joint,
    recall_model,
    two_sided_tables,
    user_sequence,
    with_width,
)
from deeprec_tf.registry import register_model


@register_model(
    family="recall",
    year=2018,
    url="https://dl.acm.org/doi/10.1145/3219819.3219950",
    paper="STAMP: Short-Term Attention/Memory Priority Model for Session-based Recommendation",
    needs=("behaviors", "target_item"),
    optional=("context",),
)
def STAMP(
    user_feature_columns,
    item_feature_columns,
    *,
    attention_size=None,
    add_mean=True,
    embedding_dim=None,
    negatives="all",
    temperature=1.0,
    item_table=None,
    optimizer="adam",
    loss=None,
    metrics=None,
    jit_compile="auto",
    name="stamp",
):
    """The last click and an attention over the session, joined in a trilinear score.

    Args:
        user_feature_columns: the history of the item's columns (`hist_item_id` for `item_id`), and
            any other columns of the user.
        item_feature_columns: columns of the positive item, its id first; ids start at 1.
        attention_size: inner width of the attention; that of the items' vectors when None.
        add_mean: whether the mean of the session is added to the attention's result; not so in
            the paper.
        embedding_dim: width of every table; those of the columns when None, 100 in the paper.
        negatives: "all", "in_batch", or `Sampled(…)`, `InBatch(…)` of `deeprec_tf.candidates`.
        temperature: divides scores in the loss, or "learned".
        item_table: `{column: array}` of the features of all items, where they have some beside
            the id.
        optimizer: Keras optimizer or name; the paper uses Adam with 0.003 to 0.005.
        loss: a `deeprec_tf.losses.RankingLoss` or its name; the softmax when None.
        metrics: none; `RetrievalEvaluation` measures during training.
        jit_compile: "auto", True or False, as in `keras.Model.compile`.
        name: name of the model.

    Returns:
        A compiled `RecModel` whose prediction `score` (B, 1) is <user_vector, item_vector>.

    Raises:
        ValueError: the item's id has no history, an unknown loss or set of negatives, or features
            that `item_table` misses.

    Example:
        >>> STAMP(*next_item_columns(100, maxlen=20, embedding_dim=16)).name
        'stamp'

    References:
        Liu et al., STAMP: Short-Term Attention/Memory Priority Model for Session-based
        Recommendation, KDD 2018.
    """
    users = with_width(user_feature_columns, embedding_dim)
    columns = with_width(item_feature_columns, embedding_dim)
    inputs = build_input_layers([*users, *columns])
    tables = two_sided_tables(users, columns)
    items = ItemSide(
        columns, inputs, tables, item_tower(columns, None), item_table=item_table, owner="STAMP"
    )
    history = user_sequence(users, items)

    # What the session is about in general, m_s, and at last, m_t.
    mean = SequencePooling("mean", name="mean")(history.vectors, history.mask)  # (B, D)
    last = LastStep(name="last_click")(history.vectors, history.mask)  # (B, D)

    # Attention over the session by both; the sum is not normalized.
    general = AdditivePooling(
        attention_size, use_bias=True, kernel_initializer=_normal(), name="attention"
    )(
        keras.layers.Concatenate(name="mean_and_last")([mean, last]), history.vectors,
        sequence_mask=history.mask,
    )  # (B, D)
    if add_mean:
        general = keras.layers.Add(name="attention_and_mean")([general, mean])

    # The trilinear score <h_s ∘ h_t, x>.
    width = history.vectors.shape[-1]
    of_general, of_last = (
        keras.layers.Dense(
            width, activation="tanh", kernel_initializer=_normal(), name=f"{part}_tower"
        )(vector)
        for part, vector in (("general", general), ("last", last))
    )
    user = keras.layers.Multiply(name="trilinear")([of_general, of_last])
    if history.context:
        context = embedding_lookup(inputs, tables, history.context)  # (B, C)
        user = WithContext(name="context")(user, context)
    user_vector = joint(user, "user_vector")  # (B, D)
    item_vector = joint(items.positive(), "item_vector")  # (B, D)
    return recall_model(
        inputs, items, user_vector, item_vector, feature_columns=[*history.columns, *columns],
        seen=history.ids, loss=loss, negatives=negatives, temperature=temperature,
        optimizer=optimizer, metrics=metrics, jit_compile=jit_compile, name=name,
    )


def _normal():
    return keras.initializers.RandomNormal(stddev=0.05)
