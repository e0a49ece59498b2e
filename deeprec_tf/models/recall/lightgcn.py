"""LightGCN (He et al., SIGIR 2020).

Departures from the paper:
- negatives are drawn from all items, those that the user has among them, which are few;
- losses of several negatives, in-batch and full softmax, and cosines in place of inner products,
  besides the BPR of one;
- items may have features beside their id: e⁰ of an item is the row of its id and a linear map of
  its features.

Every step propagates the whole graph, so its cost grows with the number of interactions, and the
gradients of both tables are dense.
"""

from deeprec_tf.candidates import Sampled, candidate_sets
from deeprec_tf.features import SparseFeat
from deeprec_tf.graph_recall import (
    GraphItems,
    featured_items,
    interaction_graph,
    propagated_sides,
)
from deeprec_tf.inputs import build_input_layers
from deeprec_tf.layers.core.unit_length import UnitLength
from deeprec_tf.numeric import check_whole_numbers
from deeprec_tf.recall import cosine_temperature, joint, recall_model
from deeprec_tf.registry import register_model


@register_model(
    family="recall",
    year=2020,
    url="https://arxiv.org/abs/2002.02126",
    paper="LightGCN: Simplifying and Powering Graph Convolution Network for Recommendation",
    needs=("interactions",),
)
def LightGCN(
    interactions,
    *,
    num_users=None,
    num_items=None,
    item_feature_columns=(),
    item_table=None,
    embedding_dim=64,
    num_layers=3,
    l2=1e-4,
    l2_normalize=False,
    negatives=None,
    temperature=None,
    optimizer="adam",
    loss=None,
    metrics=None,
    jit_compile="auto",
    name="lightgcn",
):
    """Users and items as the mean of what reaches them over 0 to K steps of their graph.

    A row is one interaction: a user and an item, usually those of `interactions` again. Features
    of items are a part of the model, as the graph is. Vectors are propagated once after training,
    for all ids, and looked up then: encoders and exports know of neither.

    Args:
        interactions: pairs of user and item that the graph has as edges, (N, 2) integers or a
            DataFrame whose two columns name the inputs ("user_id" and "item_id" otherwise); users
            from 0, items from 1. Training ones alone: what is to be predicted must not be in it.
        num_users: highest id of a user; that of the interactions when None.
        num_items: highest id of an item, likewise. Ids without interactions keep the vectors they
            start with, but for what the loss teaches.
        item_feature_columns: features of an item beside its id; histories are pooled by their
            combiner.
        item_table: `{column: array}` of these features, row i that of item i. An item without
            interactions is known by them.
        embedding_dim: width D of both tables.
        num_layers: K, steps over the graph; 0 is matrix factorization.
        l2: weight of the penalty on the rows of a batch before the propagation, ‖e⁰‖²/2 of its
            users, items and negatives, divided by the batch size.
        l2_normalize: whether both vectors have length 1, so that the score is a cosine.
        negatives: "all", "in_batch", or `Sampled(…)`, `InBatch(…)` of `deeprec_tf.candidates`; one
            item a row, drawn uniformly, when None.
        temperature: divides scores in the loss, or "learned"; when None 1, and .05 for cosines
            under the softmax.
        optimizer: Keras optimizer or name.
        loss: a `deeprec_tf.losses.RankingLoss` or its name; when None the BPR for drawn
            negatives, and the softmax for all items and those of the batch.
        metrics: none; `RetrievalEvaluation` measures during training.
        jit_compile: "auto", True or False, as in `keras.Model.compile`.
        name: name of the model.

    Returns:
        A compiled `RecModel` whose prediction `score` (B, 1) is <user_vector, item_vector>.

    Raises:
        TypeError: ids are no integers.
        ValueError: interactions are no pairs, an id is out of range, a negative number, features
            that `item_table` misses, or an unknown loss or set of negatives.

    Example:
        >>> LightGCN([[1, 1], [1, 2], [2, 1]], num_items=4, embedding_dim=8).name
        'lightgcn'

    References:
        He et al., LightGCN: Simplifying and Powering Graph Convolution Network for Recommendation,
        SIGIR 2020.
    """
    check_whole_numbers("LightGCN", embedding_dim=embedding_dim)
    graph = interaction_graph(interactions, num_users, num_items, owner="LightGCN")
    columns = [
        SparseFeat(column, size, embedding_dim=embedding_dim)
        for column, size in zip(graph.names, graph.sizes, strict=True)
    ]
    inputs = build_input_layers(columns)
    user_ids, item_ids = (inputs[column] for column in graph.names)  # (B,), (B,)
    negatives = candidate_sets(
        Sampled(1, each=True) if negatives is None else negatives, owner="LightGCN"
    )
    is_drawn = all(isinstance(one, Sampled) for one in negatives)
    loss = loss or ("bpr" if is_drawn else "softmax")
    if temperature is None:
        temperature = cosine_temperature(None, loss) if l2_normalize else 1.0

    # Light graph convolution and layer combination: E = mean of Ã^k E0 over k = 0..K.
    features = featured_items(
        inputs, columns[1], item_feature_columns, item_table, owner="LightGCN"
    )  # (V, D)
    users, items = propagated_sides(
        inputs, columns, graph, num_layers=num_layers, l2=l2, features=features
    )

    # When it serves: rows of tables that were propagated before.
    tower = [UnitLength(name="unit")] if l2_normalize else []
    user, item = users.table(user_ids), items.table(item_ids)  # (B, D), (B, D)
    for layer in tower:
        user, item = layer(user), layer(item)
    user_vector, item_vector = joint(user, "user_vector"), joint(item, "item_vector")

    # When it trains: rows of tables that this step propagates.
    item_side = GraphItems(
        columns[1:], inputs, {graph.names[1]: items}, tower, owner="LightGCN"
    )
    query = items.penalized(users(user_ids), item_ids)  # (B, D)
    for layer in tower:
        query = layer(query)
    return recall_model(
        inputs, item_side, user_vector, item_vector, feature_columns=columns, queries=query,
        positives=item_side.positive(), loss=loss, negatives=negatives, temperature=temperature,
        optimizer=optimizer, metrics=metrics, jit_compile=jit_compile, name=name,
    )
