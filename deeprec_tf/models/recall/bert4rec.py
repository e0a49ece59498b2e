"""BERT4Rec: Bidirectional Encoder Representations from Transformer (Sun et al., CIKM 2019).

Departures from the paper:
- steps are hidden anew in every batch, inside the graph, instead of ten times beforehand; the rows
  that hide their last step alone are a share of each batch (`last_only`);
- a row's sequence is its history and behind it the positive item, `maxlen` + 1 places: so [MASK]
  has a place of its own behind a full history. What may be seen in training, such as no item that
  validation asks for, is up to the rows;
- the sum of items and places is normalized before the first block, as in the authors' code; the
  output has the paper's form, without that code's further normalization;
- tables start as the columns say and kernels as Glorot's rule has it, where the paper has a normal
  of .02: on MovieLens-1M it learned no faster from that;
- the paper's Adam has 1e-4, warm-up and 400,000 steps of 256 rows: far shorter training is the
  usual cause of poor results;
- items may have features beside their id, and users features beside their history.
"""

import keras

from deeprec_tf.inputs import build_input_layers, embedding_lookup
from deeprec_tf.layers.attention.transformer_block import TransformerBlock
from deeprec_tf.layers.core.dropout import Dropout
from deeprec_tf.layers.core.gelu import exact_gelu
from deeprec_tf.layers.retrieval.append_one import AppendOne
from deeprec_tf.layers.retrieval.masked_items import (
    HiddenSteps,
    MaskToken,
    OneMoreMask,
    OneMoreStep,
)
from deeprec_tf.layers.retrieval.next_step import LastStep
from deeprec_tf.layers.sequence.learned_positions import LearnedPositions
from deeprec_tf.layers.sequence.with_context import WithContext
from deeprec_tf.numeric import check_whole_numbers
from deeprec_tf.recall import (
    item_tower,
    joint,
    recall_model,
    two_sided_tables,
    user_sequence,
    with_width,
)
from deeprec_tf.registry import register_model
from deeprec_tf.sequence_recall import BiasedItems


@register_model(
    family="recall",
    year=2019,
    url="https://arxiv.org/abs/1904.06690",
    paper="BERT4Rec: Sequential Recommendation with Bidirectional Encoder Representations from "
    "Transformer",
    needs=("behaviors", "target_item"),
    optional=("context",),
)
def BERT4Rec(
    user_feature_columns,
    item_feature_columns,
    *,
    hidden_size=None,
    num_layers=2,
    num_heads=2,
    dropout=0.1,
    embedding_dim=None,
    mask_share=0.2,
    last_only=0.1,
    negatives="all",
    temperature=1.0,
    item_table=None,
    optimizer="adam",
    loss=None,
    metrics=None,
    jit_compile="auto",
    name="bert4rec",
):
    """Self-attention in both directions, trained to tell hidden items of the sequence.

    Args:
        user_feature_columns: the history of the item's columns (`hist_item_id` for `item_id`), and
            any other columns of the user.
        item_feature_columns: columns of the positive item, its id first; ids start at 1.
        hidden_size: width d of the blocks; that of the item's embeddings when None.
        num_layers: number of blocks.
        num_heads: heads of a block; d must be a multiple.
        dropout: share dropped of embeddings, attention weights and in the blocks.
        embedding_dim: width of every table; those of the columns when None, 64 in the paper.
        mask_share: probability that a step is hidden in training, 0.2 for dense data to 0.6 for
            sparse.
        last_only: share of the rows that hide the last step alone, as when the model is asked.
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
        A compiled `RecModel` whose prediction `score` (B, 1) is <user_vector, item_vector>; the
        last number of an item's vector is its bias. Evaluation hides the positive item alone.

    Raises:
        ValueError: the item's id has no history, d is no multiple of the heads, a share outside
            its range, an unknown loss or set of negatives, or features that `item_table` misses.

    Example:
        >>> BERT4Rec(*next_item_columns(100, maxlen=20, embedding_dim=16)).name
        'bert4rec'

    References:
        Sun et al., BERT4Rec: Sequential Recommendation with Bidirectional Encoder Representations
        from Transformer, CIKM 2019.
        Petrov and Macdonald, A Systematic Review and Replicability Study of BERT4Rec for Sequential
        Recommendation, RecSys 2022.
    """
    check_whole_numbers(
        "BERT4Rec", num_layers=num_layers, num_heads=num_heads, hidden_size=hidden_size
    )
    users = with_width(user_feature_columns, embedding_dim)
    columns = with_width(item_feature_columns, embedding_dim)
    inputs = build_input_layers([*users, *columns])
    tables = two_sided_tables(users, columns)
    items = BiasedItems(
        columns, inputs, tables, item_tower(columns, hidden_size), item_table=item_table,
        owner="BERT4Rec",
    )
    history = user_sequence(users, items)
    real, is_last = OneMoreMask(name="one_more")(history.mask)  # (B, T + 1)

    # The encoder and the output, for a sequence some of whose steps are [MASK].
    width = history.vectors.shape[-1]
    mask_token = MaskToken(name="mask_token")
    positions = LearnedPositions(history.maxlen + 1, name="positions")
    norm = keras.layers.LayerNormalization(epsilon=1e-6, name="embedding_norm")
    drop = Dropout(dropout, name="embedding_dropout")
    blocks = [
        TransformerBlock(num_heads, activation="gelu", dropout=dropout, name=f"block_{i}")
        for i in range(num_layers)
    ]
    join = WithContext(name="context")
    output = keras.layers.Dense(width, activation=exact_gelu, name="output")
    meets_bias = AppendOne(name="meets_bias")

    def encoded(vectors, hidden):
        states = drop(norm(positions(mask_token(vectors, hidden), real)))
        for block in blocks:
            states = block(states, real)
        return states  # (B, T + 1, d)

    def queries_of(states):
        if history.context:
            states = join(states, embedding_lookup(inputs, tables, history.context))
        return meets_bias(output(states))

    # The user: [MASK] behind the history.
    asked = keras.layers.ZeroPadding1D((0, 1), name="place_of_mask")(history.vectors)
    state = LastStep(name="state_of_mask")(encoded(asked, is_last), real)  # (B, d)
    user_vector = joint(queries_of(state), "user_vector")  # (B, d + 1)
    item = items.encode(inputs)  # (B, d)
    item_vector = joint(items.with_bias(item, items.ids), "item_vector")  # (B, d + 1)

    # Training: the positive item stands there, and some steps are hidden.
    ids = OneMoreStep(name="ids")(history.ids, items.ids, is_last)  # (B, T + 1)
    vectors = OneMoreStep(name="vectors")(history.vectors, item, is_last)
    hidden, labels = HiddenSteps(
        mask_share, last_only, history.maxlen + 1, name="hidden"
    )(ids, real, is_last)
    return recall_model(
        inputs, items, user_vector, item_vector, feature_columns=[*history.columns, *columns],
        queries=queries_of(encoded(vectors, hidden)), labels=labels,
        positives=items.with_bias(vectors, ids), seen=history.ids, loss=loss,
        negatives=negatives, temperature=temperature, optimizer=optimizer, metrics=metrics,
        jit_compile=jit_compile, name=name,
    )
