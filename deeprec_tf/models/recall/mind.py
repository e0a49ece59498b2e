"""MIND: Multi-Interest Network with Dynamic routing (Li et al., CIKM 2019).

Departures from the paper:
- a linear map to the width of the item vectors follows on the ReLU layers of an interest: without
  negative numbers interests could not tell some items apart;
- the label-aware attention multiplies scores by the power, as a power of a negative score is not
  defined;
- gradients pass through the last round of the routing alone, of which the paper says nothing;
- the loss is the softmax over all items by default, which the paper samples: `Sampled(…)`;
- an item is a linear map of its id's and its features' embeddings side by side, not their mean.
"""

import keras

from deeprec_tf.inputs import build_input_layers, embedding_lookup
from deeprec_tf.layers.core.mlp import MLP
from deeprec_tf.layers.retrieval.interests import LabelAwareAttention, UsedInterests
from deeprec_tf.layers.sequence.dynamic_routing import DynamicRouting
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
    year=2019,
    url="https://arxiv.org/abs/1904.08030",
    paper="Multi-Interest Network with Dynamic Routing for Recommendation at Tmall",
    needs=("behaviors", "target_item"),
    optional=("context",),
)
def MIND(
    user_feature_columns,
    item_feature_columns,
    *,
    num_interests=4,
    routing_iterations=3,
    hidden_size=None,
    adaptive=True,
    hidden_units=(128,),
    dropout=0.0,
    power=1.0,
    embedding_dim=None,
    negatives="all",
    temperature=1.0,
    item_table=None,
    optimizer="adam",
    loss=None,
    metrics=None,
    jit_compile="auto",
    name="mind",
):
    """Several vectors a user, clustered from the history; an item's score is the best of them.

    A row is one moment: the history holds what was before it, the item is what came next.
    `user_vector` is (B, K, d), all interests, zeros where a short history has fewer;
    `deeprec_tf.retrieval.ItemIndex` searches with them as they are.

    Args:
        user_feature_columns: the history of the item's columns (`hist_item_id` for `item_id`), and
            any other columns of the user, which every interest is joined with.
        item_feature_columns: columns of the positive item, its id first; ids start at 1.
        num_interests: K, at most.
        routing_iterations: rounds of the routing.
        hidden_size: width d of the interests and of the item's vector; that of the item's
            embeddings when None.
        adaptive: whether a user with n behaviors has max(1, min(K, ⌊log2 n⌋)) interests.
        hidden_units: widths of the ReLU layers on an interest and the user's other features; a
            linear map to d follows.
        dropout: share dropped behind each of them, one number or one a layer.
        power: how much the interests nearest to the target count in training; "hard" takes the
            nearest alone.
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
        ValueError: the item's id has no history, a number below 1, an unknown loss or set of
            negatives, or features that `item_table` misses.

    Example:
        >>> MIND(*next_item_columns(100, maxlen=20, embedding_dim=16), num_interests=3).name
        'mind'

    References:
        Li et al., Multi-Interest Network with Dynamic Routing for Recommendation at Tmall,
        CIKM 2019.
    """
    check_whole_numbers(
        "MIND", num_interests=num_interests, routing_iterations=routing_iterations,
        hidden_size=hidden_size,
    )  # fmt: skip
    users = with_width(user_feature_columns, embedding_dim)
    columns = with_width(item_feature_columns, embedding_dim)
    inputs = build_input_layers([*users, *columns])
    tables = two_sided_tables(users, columns)
    items = ItemSide(
        columns, inputs, tables, item_tower(columns, hidden_size), item_table=item_table,
        owner="MIND",
    )
    history = user_sequence(users, items)
    item_vector = joint(items.positive(), "item_vector")  # (B, d)
    width = item_vector.shape[-1]

    # Behaviors to interests.
    interests = DynamicRouting(
        num_interests, width, history.maxlen, iterations=routing_iterations, adaptive=adaptive,
        name="routing",
    )(history.vectors, history.mask)  # (B, K, d)

    # Each interest with the user's profile.
    known = interests
    if history.context:
        profile = embedding_lookup(inputs, tables, history.context)  # (B, C)
        profile = keras.layers.RepeatVector(num_interests, name="profile")(profile)
        known = keras.layers.Concatenate(name="interests_and_profile")([interests, profile])
    known = MLP(hidden_units, dropout=dropout, name="interest_tower")(known)
    known = keras.layers.Dense(width, use_bias=False, name="interest_projection")(known)
    user_vector = joint(UsedInterests(name="used_interests")(known, interests), "user_vector")

    # In training the user is what the target makes of the interests.
    query = LabelAwareAttention(power, name="label_aware_attention")(user_vector, item_vector)
    return recall_model(
        inputs, items, user_vector, item_vector, feature_columns=[*history.columns, *columns],
        queries=query, seen=history.ids, loss=loss, negatives=negatives, temperature=temperature,
        optimizer=optimizer, metrics=metrics, jit_compile=jit_compile, name=name,
    )
