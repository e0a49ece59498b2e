"""GRU4Rec: recurrent networks for session-based recommendation (Hidasi et al., ICLR 2016 and 2018).

Departures from the papers:
- rows hold whole sessions, each with a state of its own that starts at zero, instead of parallel
  sessions of one step each; every step is trained, as there;
- the items' vectors of input and output are one table (`constrained` in the authors' code, where
  it does best); its score function has no activation of its own (`final_act`), so that it stays an
  inner product;
- the loss is the softmax over all items by default. The authors' is one of "softmax", "bpr_max" and
  "top1_max" (the gradients of plain "bpr" and "top1" vanish with many negatives), with
  `negatives=[InBatch(…), Sampled(2048, "popularity", counts=counts)]`, and `counts` for `InBatch`
  too where the softmax corrects for how likely items are drawn (logQ);
- items may have features beside their id, and users features beside their history.
"""

import keras

from deeprec_tf.inputs import build_input_layers, embedding_lookup
from deeprec_tf.layers.core.dropout import Dropout
from deeprec_tf.layers.recurrent.dynamic_gru import DynamicGRU
from deeprec_tf.layers.retrieval.append_one import AppendOne
from deeprec_tf.layers.retrieval.next_step import LastStep, NextStep
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
from deeprec_tf.sequence_recall import BiasedItems, two_dropouts


@register_model(
    family="recall",
    year=2016,
    url="https://arxiv.org/abs/1511.06939",
    paper="Session-based Recommendations with Recurrent Neural Networks",
    needs=("behaviors", "target_item"),
    optional=("context",),
)
def GRU4Rec(
    user_feature_columns,
    item_feature_columns,
    *,
    hidden_size=None,
    num_layers=1,
    dropout=0.2,
    embedding_dim=None,
    item_bias=True,
    negatives="all",
    temperature=1.0,
    item_table=None,
    optimizer="adam",
    loss=None,
    metrics=None,
    jit_compile="auto",
    name="gru4rec",
):
    """GRUs over the session, trained to foretell the next item at every step.

    Args:
        user_feature_columns: the history of the item's columns (`hist_item_id` for `item_id`), and
            any other columns of the user.
        item_feature_columns: columns of the positive item, its id first; ids start at 1.
        hidden_size: width of the GRUs' states; that of the item's vector when None, else a linear
            map leads there.
        num_layers: number of GRUs.
        dropout: share dropped of the items' vectors and of each GRU's states, one number or a
            pair.
        embedding_dim: width of every table; those of the columns when None.
        item_bias: whether an item has a learned bias, the last number of its vector.
        negatives: "all", "in_batch", or `Sampled(…)`, `InBatch(…)` of `deeprec_tf.candidates`, or
            a list of these.
        temperature: divides scores in the loss, or "learned".
        item_table: `{column: array}` of the features of all items, where they have some beside
            the id.
        optimizer: Keras optimizer or name; the authors use Adagrad with 0.05 to 0.1.
        loss: a `deeprec_tf.losses.RankingLoss` or its name; the softmax when None.
        metrics: none; `RetrievalEvaluation` measures during training.
        jit_compile: "auto", True or False, as in `keras.Model.compile`.
        name: name of the model.

    Returns:
        A compiled `RecModel` whose prediction `score` (B, 1) is <user_vector, item_vector>.

    Raises:
        ValueError: the item's id has no history, no layer, an unknown loss or set of negatives, or
            features that `item_table` misses.

    Example:
        >>> GRU4Rec(*next_item_columns(100, maxlen=20, embedding_dim=16), hidden_size=32).name
        'gru4rec'

    References:
        Hidasi et al., Session-based Recommendations with Recurrent Neural Networks, ICLR 2016.
        Hidasi and Karatzoglou, Recurrent Neural Networks with Top-k Gains for Session-based
        Recommendations, CIKM 2018.
        Hidasi and Czapp, The Effect of Third Party Implementations on Reproducibility, RecSys 2023.
    """
    check_whole_numbers("GRU4Rec", num_layers=num_layers, hidden_size=hidden_size)
    embedding_dropout, state_dropout = two_dropouts(dropout, owner="GRU4Rec")
    users = with_width(user_feature_columns, embedding_dim)
    columns = with_width(item_feature_columns, embedding_dim)
    inputs = build_input_layers([*users, *columns])
    tables = two_sided_tables(users, columns)
    items = (BiasedItems if item_bias else ItemSide)(
        columns, inputs, tables, item_tower(columns, None), item_table=item_table, owner="GRU4Rec"
    )
    history = user_sequence(users, items)

    # A state for each step, from zeros at the start of the row.
    width = history.vectors.shape[-1]
    states = Dropout(embedding_dropout, name="embedding_dropout")(history.vectors)
    units = width if hidden_size is None else hidden_size
    for i in range(num_layers):
        states = DynamicGRU(units, return_sequences=True, name=f"gru_{i}")(
            states, sequence_mask=history.mask
        )  # (B, T, h)
        states = Dropout(state_dropout, name=f"state_dropout_{i}")(states)
    last = LastStep(name="last_state")(states, history.mask)  # (B, h)
    if history.context:
        join = WithContext(name="context")
        context = embedding_lookup(inputs, tables, history.context)  # (B, C)
        states, last = join(states, context), join(last, context)
    if states.shape[-1] != width:
        project = keras.layers.Dense(width, use_bias=False, name="output_projection")
        states, last = project(states), project(last)

    # The user is the last state; each state is to score the next item highest.
    vectors = history.vectors
    if item_bias:
        meets_bias = AppendOne(name="meets_bias")
        states, last = meets_bias(states), meets_bias(last)
        vectors = items.with_bias(vectors, history.ids)
    user_vector = joint(last, "user_vector")
    item_vector = joint(items.positive(), "item_vector")  # (B, D), one more with a bias
    return recall_model(
        inputs, items, user_vector, item_vector, feature_columns=[*history.columns, *columns],
        queries=states,
        labels=NextStep(name="labels")(history.ids, items.ids, history.mask),
        positives=NextStep(name="positives")(vectors, item_vector, history.mask),
        seen=history.ids, loss=loss, negatives=negatives, temperature=temperature,
        optimizer=optimizer, metrics=metrics, jit_compile=jit_compile, name=name,
    )
