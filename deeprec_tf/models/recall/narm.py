"""NARM: Neural Attentive Session-based Recommendation (Li et al., CIKM 2017).

Departures from the paper:
- the attention's weights become a softmax over the real steps, as in the authors' code, which the
  published numbers come from; `normalize=False` gives the paper's equation;
- items may have features beside their id, and users features beside their history.

A row is one prefix of a session and the item that came next: `deeprec_tf.data` makes them.
"""

import keras

from deeprec_tf.inputs import build_input_layers, embedding_lookup
from deeprec_tf.layers.attention.additive_pooling import AdditivePooling
from deeprec_tf.layers.core.dropout import Dropout
from deeprec_tf.layers.recurrent.dynamic_gru import DynamicGRU
from deeprec_tf.layers.retrieval.next_step import LastStep
from deeprec_tf.layers.sequence.with_context import WithContext
from deeprec_tf.numeric import check_whole_numbers
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
from deeprec_tf.sequence_recall import two_dropouts


@register_model(
    family="recall",
    year=2017,
    url="https://arxiv.org/abs/1711.04725",
    paper="Neural Attentive Session-based Recommendation",
    needs=("behaviors", "target_item"),
    optional=("context",),
)
def NARM(
    user_feature_columns,
    item_feature_columns,
    *,
    hidden_size=100,
    attention_size=None,
    normalize=True,
    dropout=(0.25, 0.5),
    embedding_dim=None,
    negatives="all",
    temperature=1.0,
    item_table=None,
    optimizer="adam",
    loss=None,
    metrics=None,
    jit_compile="auto",
    name="narm",
):
    """The last state of a GRU over the session, and what attention by it finds in all states.

    Args:
        user_feature_columns: the history of the item's columns (`hist_item_id` for `item_id`), and
            any other columns of the user.
        item_feature_columns: columns of the positive item, its id first; ids start at 1.
        hidden_size: width of the GRU's states.
        attention_size: inner width of the attention; `hidden_size` when None.
        normalize: softmax over the attention's weights; off in the paper.
        dropout: share dropped of the items' vectors and of the session's, one number or a pair.
        embedding_dim: width of every table; those of the columns when None, 50 in the paper.
        negatives: "all", "in_batch", or `Sampled(…)`, `InBatch(…)` of `deeprec_tf.candidates`.
        temperature: divides scores in the loss, or "learned".
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
        ValueError: the item's id has no history, an unknown loss or set of negatives, or features
            that `item_table` misses.

    Example:
        >>> NARM(*next_item_columns(100, maxlen=20, embedding_dim=16), hidden_size=32).name
        'narm'

    References:
        Li et al., Neural Attentive Session-based Recommendation, CIKM 2017.
    """
    embedding_dropout, session_dropout = two_dropouts(dropout, owner="NARM")
    check_whole_numbers("NARM", hidden_size=hidden_size)
    users = with_width(user_feature_columns, embedding_dim)
    columns = with_width(item_feature_columns, embedding_dim)
    inputs = build_input_layers([*users, *columns])
    tables = two_sided_tables(users, columns)
    items = ItemSide(
        columns, inputs, tables, item_tower(columns, None), item_table=item_table, owner="NARM"
    )
    history = user_sequence(users, items)

    # States of the session.
    states = Dropout(embedding_dropout, name="embedding_dropout")(history.vectors)
    states = DynamicGRU(hidden_size, return_sequences=True, name="gru")(
        states, sequence_mask=history.mask
    )  # (B, T, h)

    # What the user did as a whole, and what the user meant by it.
    whole = LastStep(name="global_state")(states, history.mask)  # (B, h)
    purpose = AdditivePooling(attention_size, normalize=normalize, name="attention")(
        whole, states, sequence_mask=history.mask
    )  # (B, h)
    session = keras.layers.Concatenate(name="session")([whole, purpose])
    session = Dropout(session_dropout, name="session_dropout")(session)
    if history.context:
        context = embedding_lookup(inputs, tables, history.context)  # (B, C)
        session = WithContext(name="context")(session, context)

    # The bilinear map to the items' vectors.
    width = history.vectors.shape[-1]
    user = keras.layers.Dense(width, use_bias=False, name="bilinear")(session)
    user_vector = joint(user, "user_vector")  # (B, D)
    item_vector = joint(items.positive(), "item_vector")  # (B, D)
    return recall_model(
        inputs, items, user_vector, item_vector, feature_columns=[*history.columns, *columns],
        seen=history.ids, loss=loss, negatives=negatives, temperature=temperature,
        optimizer=optimizer, metrics=metrics, jit_compile=jit_compile, name=name,
    )
