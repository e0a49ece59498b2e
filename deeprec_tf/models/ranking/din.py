"""DIN: Deep Interest Network (Zhou et al., KDD 2018).

Departures from the paper: the activation unit takes difference and product instead of an outer
product, as every public implementation does; Dice uses moving averages at inference; the penalty of
the rows in a batch by how often they occur (its mini-batch aware regularization) is left out, and
`benchmark_recipe` has one on the whole tables.
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
from deeprec_tf.layers.attention.attention_pooling import AttentionPoolingLayer
from deeprec_tf.layers.core.mlp import MLP
from deeprec_tf.registry import register_model
from deeprec_tf.roles import leave_out, split_by_role
from deeprec_tf.tasks import compiled, prediction


@register_model(
    family="ranking",
    year=2018,
    url="https://arxiv.org/abs/1706.06978",
    paper="Deep Interest Network for Click-Through Rate Prediction",
    needs=("target_item", "behaviors"),
    optional=("context",),
)
def DIN(
    feature_columns,
    behavior_list,
    *,
    attention_units=(80, 40),
    normalize=False,
    hidden_units=(200, 80),
    activation="dice",
    dropout=0.0,
    task="binary",
    optimizer="adam",
    loss=None,
    metrics=None,
    jit_compile="auto",
    name="din",
):
    """Weighs each behavior by what it says about the target item.

    v = Σ_t w_t e_t with w_t from the local activation unit; the tower reads the context, the
    target, v and v∘target.

    Args:
        feature_columns: all columns; the history of item column X is `hist_X`. Negatives
            (`neg_hist_X`, or one `neg_…` that shares X's table) are left out, and ignored in
            batches.
        behavior_list: names of the item columns that have a history.
        attention_units: hidden widths of the local activation unit.
        normalize: softmax over the real steps; off in the paper, so that the sum keeps the
            intensity of the interest.
        hidden_units: widths of the tower.
        activation: "dice", "prelu" or a Keras activation name, in unit and tower.
        dropout: share dropped in the tower, one number or one a layer.
        task: "binary" or "regression".
        optimizer: Keras optimizer or name.
        loss: the task's own when None.
        metrics: the task's own when None.
        jit_compile: "auto", True or False, as in `keras.Model.compile`.
        name: name of the model.

    Returns:
        A compiled `RecModel` with output (B, 1) named `probability`.

    Raises:
        ValueError: a behavior without its history, or another sequence that is not pooled.

    Example:
        >>> item = SparseFeat("item_id", 100, embedding_dim=8)
        >>> past = SparseFeat("hist_item_id", 100, embedding_dim=8, embedding_name="item_id")
        >>> DIN([item, VarLenSparseFeat(past, maxlen=20)], ["item_id"]).output_shape
        (None, 1)

    References:
        Zhou et al., Deep Interest Network for Click-Through Rate Prediction, KDD 2018.
    """
    columns = split_by_role(feature_columns, behavior_list, owner="DIN")
    refuse_sequences("DIN", columns.context)
    feature_columns, ignored = leave_out(feature_columns, columns.negative_behaviors)
    inputs = build_input_layers(feature_columns)
    tables = build_embedding_layers(feature_columns)

    target = embedding_lookup(inputs, tables, columns.target)  # (B, D)
    behaviors = embedding_lookup(inputs, tables, columns.behaviors)  # (B, T, D)
    mask = padding_mask(inputs, columns.behaviors)  # (B, T), True = real

    # Local activation: the user's interest in this target.
    interest = AttentionPoolingLayer(
        attention_units, activation=activation, normalize=normalize, name="interest"
    )(target, behaviors, behaviors_mask=mask)  # (B, D)

    # Prediction.
    product = keras.layers.Multiply(name="target_product")([target, interest])  # (B, D)
    known = [target, interest, product]
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
