"""ComiRec: Controllable Multi-Interest framework for Recommendation (Cen et al., KDD 2020).

Departures from the paper:
- the loss is the softmax over all items by default, which the paper samples: `Sampled(…)`;
- dynamic routing has one map for all positions (the paper's `ComiRec-DR` leaves it open, and MIND
  has one), and starts from fixed random logits, see `DynamicRouting`;
- users may have features beside their history, and items beside their id.

The controllable part, which trades accuracy for diversity, is `deeprec_tf.retrieval.diversify`.
"""

from deeprec_tf.inputs import build_input_layers, embedding_lookup
from deeprec_tf.layers.attention.self_attentive_interests import SelfAttentiveInterests
from deeprec_tf.layers.retrieval.interests import LabelAwareAttention
from deeprec_tf.layers.sequence.dynamic_routing import DynamicRouting
from deeprec_tf.layers.sequence.learned_positions import LearnedPositions
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


@register_model(
    family="recall",
    year=2020,
    url="https://arxiv.org/abs/2005.09347",
    paper="Controllable Multi-Interest Framework for Recommendation",
    needs=("behaviors", "target_item"),
    optional=("context",),
)
def ComiRec(
    user_feature_columns,
    item_feature_columns,
    *,
    extraction="SA",
    num_interests=4,
    hidden_size=None,
    attention_units=None,
    routing_iterations=None,
    embedding_dim=None,
    negatives="all",
    temperature=1.0,
    item_table=None,
    optimizer="adam",
    loss=None,
    metrics=None,
    jit_compile="auto",
    name="comirec",
):
    """Several vectors a user, by self-attention or routing; the one nearest to the target trains.

    A row is one moment: the history holds what was before it, the item is what came next.
    `user_vector` is (B, K, d), all interests; an item's score is the best of them.

    Args:
        user_feature_columns: the history of the item's columns (`hist_item_id` for `item_id`), and
            any other columns of the user.
        item_feature_columns: columns of the positive item, its id first; ids start at 1.
        extraction: "SA", self-attention, or "DR", dynamic routing.
        num_interests: K.
        hidden_size: width d of the interests and of the item's vector; that of the item's
            embeddings when None.
        attention_units: width of the hidden layer of "SA"; 4 d when None.
        routing_iterations: rounds of "DR"; 3 when None.
        embedding_dim: width of every table; those of the columns when None.
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
        A compiled `RecModel` whose prediction `score` (B, 1) is max_k <user_vector_k, item_vector>.

    Raises:
        ValueError: another extraction, an argument of the other one, the item's id has no history,
            an unknown loss or set of negatives, or features that `item_table` misses.

    Example:
        >>> ComiRec(*next_item_columns(100, maxlen=20, embedding_dim=16), extraction="DR").name
        'comirec'

    References:
        Cen et al., Controllable Multi-Interest Framework for Recommendation, KDD 2020.
    """
    foreign = {"SA": routing_iterations, "DR": attention_units}
    if extraction not in foreign or foreign[extraction] is not None:
        raise ValueError(
            "ComiRec: extraction must be 'SA', which takes attention_units, or 'DR', which takes "
            f"routing_iterations, got {extraction!r} with attention_units={attention_units!r} and "
            f"routing_iterations={routing_iterations!r}."
        )
    check_whole_numbers("ComiRec", num_interests=num_interests, hidden_size=hidden_size)
    users = with_width(user_feature_columns, embedding_dim)
    columns = with_width(item_feature_columns, embedding_dim)
    inputs = build_input_layers([*users, *columns])
    tables = two_sided_tables(users, columns)
    items = ItemSide(
        columns, inputs, tables, item_tower(columns, hidden_size), item_table=item_table,
        owner="ComiRec",
    )
    history = user_sequence(users, items)
    item_vector = joint(items.positive(), "item_vector")  # (B, d)
    width = item_vector.shape[-1]

    # Behaviors to interests; positions say what to attend to, not what comes out.
    if extraction == "SA":
        keys = LearnedPositions(history.maxlen, name="positions")(history.vectors, history.mask)
        interests = SelfAttentiveInterests(
            num_interests, 4 * width if attention_units is None else attention_units,
            name="interests",
        )(keys, history.vectors, history.mask)  # (B, K, d)
    else:
        interests = DynamicRouting(
            num_interests, width, history.maxlen, adaptive=False, name="interests",
            iterations=3 if routing_iterations is None else routing_iterations,
        )(history.vectors, history.mask)
    if history.context:
        context = embedding_lookup(inputs, tables, history.context)  # (B, C)
        interests = WithContext(name="context")(interests, context)
    user_vector = joint(interests, "user_vector")

    # The interest nearest to the target is trained.
    query = LabelAwareAttention("hard", name="nearest_interest")(user_vector, item_vector)
    return recall_model(
        inputs, items, user_vector, item_vector, feature_columns=[*history.columns, *columns],
        queries=query, seen=history.ids, loss=loss, negatives=negatives, temperature=temperature,
        optimizer=optimizer, metrics=metrics, jit_compile=jit_compile, name=name,
    )
