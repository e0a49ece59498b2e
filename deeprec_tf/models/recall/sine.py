"""SINE: Sparse-Interest NEtwork (Tan et al., WSDM 2021).

Departures from the paper, the first three as in its authors' code:
- shares and attention scores are multiplied inside the softmax over the steps, not behind it, and
  cosines take the place of normalized layers;
- the next intention adds the prototypes to the behaviors, and meets the mean of the interests in a
  dense layer, before it weighs them;
- the hidden layers of the attentions are wider than the items;
- the softmax over the interests has no temperature of its own, which that layer's scale gives;
- the penalty on the prototypes' covariance is off by default: `decorrelation`;
- the loss is the softmax over all items by default, which the paper samples: `Sampled(…)`;
- users may have features beside their history, and items beside their id.
"""

import keras

from deeprec_tf.inputs import build_input_layers, embedding_lookup
from deeprec_tf.layers.attention.self_attentive_interests import SelfAttentiveInterests
from deeprec_tf.layers.core.unit_length import UnitLength
from deeprec_tf.layers.retrieval.interests import LabelAwareAttention
from deeprec_tf.layers.sequence.learned_positions import LearnedPositions
from deeprec_tf.layers.sequence.prototype_assignment import PrototypeAssignment
from deeprec_tf.layers.sequence.prototype_selection import PrototypeSelection
from deeprec_tf.layers.sequence.with_context import WithContext
from deeprec_tf.numeric import check_whole_numbers
from deeprec_tf.recall import (
    ItemSide,
    cosine_temperature,
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
    year=2021,
    url="https://arxiv.org/abs/2102.09267",
    paper="Sparse-Interest Network for Sequential Recommendation",
    needs=("behaviors", "target_item"),
    optional=("context",),
)
def SINE(
    user_feature_columns,
    item_feature_columns,
    *,
    num_prototypes=500,
    num_interests=4,
    hidden_size=None,
    attention_units=512,
    assignment_temperature=0.1,
    decorrelation=0.0,
    l2_normalize=False,
    embedding_dim=None,
    negatives="all",
    temperature=None,
    item_table=None,
    optimizer="adam",
    loss=None,
    metrics=None,
    jit_compile="auto",
    name="sine",
):
    """Interests around the few of many prototypes that a user needs, joined by what comes next.

    A row is one moment: the history holds what was before it, the item is what came next.
    `user_vector` is (B, d), one vector, in training as in serving.

    Args:
        user_feature_columns: the history of the item's columns (`hist_item_id` for `item_id`), and
            any other columns of the user.
        item_feature_columns: columns of the positive item, its id first; ids start at 1.
        num_prototypes: L, the prototypes that all users share; at least K.
        num_interests: K, how many of them a user has; at least 2.
        hidden_size: width d of prototypes, interests and the item's vector; that of the item's
            embeddings when None.
        attention_units: width of the hidden layers of the three attentions.
        assignment_temperature: divides the cosines of behaviors and prototypes; the lower, the
            more a behavior belongs to one alone.
        decorrelation: weight of the penalty on the covariance of the prototypes.
        l2_normalize: whether both vectors have length 1, so that the score is a cosine.
        embedding_dim: width of every table; those of the columns when None.
        negatives: "all", "in_batch", or `Sampled(…)`, `InBatch(…)` of `deeprec_tf.candidates`.
        temperature: divides scores in the loss, or "learned"; when None 1, and .05 for cosines.
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
        ValueError: the item's id has no history, less than 2 interests or more than prototypes, an
            unknown loss or set of negatives, or features that `item_table` misses.

    Example:
        >>> SINE(*next_item_columns(100, maxlen=20, embedding_dim=16), num_prototypes=50).name
        'sine'

    References:
        Tan et al., Sparse-Interest Network for Sequential Recommendation, WSDM 2021.
    """
    if num_interests < 2:
        raise ValueError(
            f"SINE: num_interests must be at least 2, got {num_interests!r}. With one interest no "
            "prototype makes a difference; ComiRec(…, num_interests=1) is what is left."
        )
    check_whole_numbers(
        "SINE", num_prototypes=num_prototypes, num_interests=num_interests,
        hidden_size=hidden_size, attention_units=attention_units,
    )  # fmt: skip
    users = with_width(user_feature_columns, embedding_dim)
    columns = with_width(item_feature_columns, embedding_dim)
    inputs = build_input_layers([*users, *columns])
    tables = two_sided_tables(users, columns)
    if temperature is None:
        temperature = cosine_temperature(None, loss) if l2_normalize else 1.0
    items = ItemSide(
        columns, inputs, tables, item_tower(columns, hidden_size), item_table=item_table,
        owner="SINE",
    )
    history = user_sequence(users, items)
    behaviors, mask = history.vectors, history.mask  # (B, T, d), (B, T)
    width = behaviors.shape[-1]

    # Concept activation: the prototypes that the whole history is about.
    summary = SelfAttentiveInterests(1, attention_units, name="summary")(behaviors, behaviors, mask)
    summary = keras.layers.Reshape((width,), name="summary_vector")(summary)  # (B, d)
    prototypes = PrototypeSelection(
        num_prototypes, num_interests, decorrelation=decorrelation, name="prototypes"
    )(summary)  # (B, K, d)

    # Intention assignment: which of them each behavior belongs to.
    shares = PrototypeAssignment(assignment_temperature, name="assignment")(
        behaviors, prototypes, mask
    )  # (B, T, K)

    # Interests: positions say what to attend to, not what comes out.
    keys = LearnedPositions(history.maxlen, name="positions")(behaviors, mask)
    interests = SelfAttentiveInterests(num_interests, attention_units, name="interests")(
        keys, behaviors, mask, shares
    )  # (B, K, d)

    # Interest aggregation: by the intention that comes next.
    intentions = keras.layers.Dot(axes=(2, 1), name="intentions")([shares, prototypes])
    intentions = keras.layers.Add(name="behaviors_and_intentions")([behaviors, intentions])
    intention = SelfAttentiveInterests(1, attention_units, name="next_intention")(
        intentions, intentions, mask
    )
    intention = keras.layers.Reshape((width,), name="intention_vector")(intention)  # (B, d)
    mean = keras.layers.GlobalAveragePooling1D(name="mean_interest")(interests)  # (B, d)
    query = keras.layers.Concatenate(name="interest_and_intention")([mean, intention])
    query = keras.layers.Dense(width, name="aggregation_query")(query)  # (B, d)
    user = LabelAwareAttention(name="aggregation")(interests, query)  # (B, d)
    if history.context:
        user = WithContext(name="context")(user, embedding_lookup(inputs, tables, history.context))

    # One vector a user; of length 1 where the score is a cosine.
    if l2_normalize:
        user = UnitLength(name="user_unit")(user)
        items.tower.append(UnitLength(name="item_unit"))
    user_vector = joint(user, "user_vector")
    item_vector = joint(items.positive(), "item_vector")  # (B, d)
    return recall_model(
        inputs, items, user_vector, item_vector, feature_columns=[*history.columns, *columns],
        seen=history.ids, loss=loss, negatives=negatives, temperature=temperature,
        optimizer=optimizer, metrics=metrics, jit_compile=jit_compile, name=name,
    )
