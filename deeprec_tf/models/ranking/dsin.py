"""DSIN: Deep Session Interest Network (Feng et al., IJCAI 2019).

Departures from the paper:
- items are projected to `hidden_size` where one is given, so that any width goes with any number
  of heads;
- the states of both directions of the LSTM stand side by side (the paper's sign for joining them
  is not explained; the authors' code averages them).
"""

import keras

from deeprec_tf.engine import RecModel
from deeprec_tf.inputs import (
    build_embedding_layers,
    build_input_layers,
    concat,
    embedding_lookup,
    padding_mask,
    refuse_sequences,
)
from deeprec_tf.layers.attention.bilinear_attention import BilinearAttention
from deeprec_tf.layers.attention.session_interest import SessionInterest
from deeprec_tf.layers.core.mlp import MLP
from deeprec_tf.layers.core.sequence_pooling import SequencePooling
from deeprec_tf.layers.recurrent.bi_lstm import BiLSTM
from deeprec_tf.layers.sequence.session_bias import SessionBias
from deeprec_tf.registry import register_model
from deeprec_tf.roles import leave_out, split_by_role
from deeprec_tf.tasks import compiled, prediction


@register_model(
    family="ranking",
    year=2019,
    url="https://arxiv.org/abs/1905.06482",
    paper="Deep Session Interest Network for Click-Through Rate Prediction",
    needs=("target_item", "sessions"),
    optional=("context",),
)
def DSIN(
    feature_columns,
    behavior_list,
    *,
    num_heads=8,
    hidden_size=None,
    lstm_units=None,
    hidden_units=(200, 80),
    activation="relu",
    dropout=0.0,
    task="binary",
    optimizer="adam",
    loss=None,
    metrics=None,
    jit_compile="auto",
    name="dsin",
):
    """Reads a history as sessions: what each was about, and how that moved from one to the next.

    Items of a session attend to each other and give its interest I_k; a bidirectional LSTM over
    the sessions gives H_k. The target item weighs both:
    U_I = Σ softmax_k(I_k W e) I_k, U_H likewise.

    Args:
        feature_columns: all columns; the history of item column X is `hist_X`, with `maxlen` the
            most sessions and `group` the most items of one, as `data.build_sessions` makes them.
            Negatives (`neg_hist_X`) are left out, and ignored in batches.
        behavior_list: names of the item columns that have a history.
        num_heads: heads of the attention within a session.
        hidden_size: width of the interests, a multiple of `num_heads`; that of an item when None.
        lstm_units: width of the LSTM's state in each direction; that of an interest when None.
        hidden_units: widths of the tower.
        activation: "dice", "prelu" or a Keras activation name, in the tower.
        dropout: share dropped in attention and tower.
        task: "binary" or "regression".
        optimizer: Keras optimizer or name.
        loss: the task's own when None.
        metrics: the task's own when None.
        jit_compile: "auto", True or False, as in `keras.Model.compile`.
        name: name of the model.

    Returns:
        A compiled `RecModel` with output (B, 1) named `probability`.

    Raises:
        ValueError: a behavior without its history or one that does not come as sessions, a width
            that is no multiple of num_heads, or another sequence that is not pooled.

    Example:
        >>> item = SparseFeat("item_id", 100, embedding_dim=8)
        >>> past = SparseFeat("hist_item_id", 100, embedding_dim=8, embedding_name="item_id")
        >>> sessions = VarLenSparseFeat(past, maxlen=5, group=10)
        >>> DSIN([item, sessions], ["item_id"]).output_shape
        (None, 1)

    References:
        Feng et al., Deep Session Interest Network for Click-Through Rate Prediction, IJCAI 2019.
    """
    columns = split_by_role(feature_columns, behavior_list, owner="DSIN", sessions=True)
    refuse_sequences("DSIN", columns.context)
    feature_columns, ignored = leave_out(feature_columns, columns.negative_behaviors)
    inputs = build_input_layers(feature_columns)
    tables = build_embedding_layers(feature_columns)

    target = embedding_lookup(inputs, tables, columns.target)  # (B, D)
    items = embedding_lookup(inputs, tables, columns.behaviors)  # (B, K, S, D)
    items_mask = keras.ops.not_equal(inputs[columns.behaviors[0].name], 0)  # (B, K, S)
    mask = padding_mask(inputs, columns.behaviors)  # (B, K), True = a session with items
    if (hidden_size or items.shape[-1]) % num_heads:
        raise ValueError(
            f"DSIN: the interests are {hidden_size or items.shape[-1]} wide, which num_heads="
            f"{num_heads} does not divide. Set hidden_size to a multiple, or change num_heads."
        )

    # Session interests.
    if hidden_size is not None:
        items = keras.layers.Dense(hidden_size, use_bias=False, name="items")(items)
    items = SessionBias(columns.behaviors[0].maxlen, name="bias_encoding")(items)
    interests = SessionInterest(num_heads, dropout=dropout, name="session_interest")(
        items, items_mask
    )  # (B, K, d)

    # Their interplay.
    states = BiLSTM(lstm_units or interests.shape[-1], name="session_interplay")(
        interests, mask
    )  # (B, K, 2·n)

    # What of both bears on the target.
    activated = []
    for label, sequence in (("interest", interests), ("interplay", states)):
        weights = BilinearAttention(name=f"{label}_relevance")(target, sequence, mask)  # (B, K)
        activated.append(
            SequencePooling("sum", weight_norm=False, name=f"activated_{label}")(
                sequence, mask, weights
            )
        )

    # Prediction.
    known = [target, *activated]
    if columns.context:
        known.insert(0, embedding_lookup(inputs, tables, columns.context))  # (B, C)
    tower = MLP(hidden_units, activation=activation, dropout=dropout, name="tower")(concat(known))
    model = RecModel(
        inputs, prediction(tower, task), feature_columns=feature_columns, ignored_inputs=ignored,
        name=name,
    )
    return compiled(
        model, task, optimizer=optimizer, loss=loss, metrics=metrics, jit_compile=jit_compile
    )
