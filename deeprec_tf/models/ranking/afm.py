"""Attentional factorization machines (Xiao et al., IJCAI 2017).

Departures from the paper: numbers are fields too, value times a learned vector; dropout of the
attention weights is an option besides the paper's dropout of the pooled pairs.
"""

import keras

from deeprec_tf.engine import RecModel
from deeprec_tf.inputs import (
    build_embedding_layers,
    build_input_layers,
    linear_logit,
    merge_columns,
)
from deeprec_tf.interactions import add_logits, all_fields, interaction_columns
from deeprec_tf.layers.core.dropout import Dropout
from deeprec_tf.layers.interaction.pair_attention import PairAttention
from deeprec_tf.registry import register_model
from deeprec_tf.tasks import compiled, prediction


@register_model(
    family="ranking",
    year=2017,
    url="https://arxiv.org/abs/1708.04617",
    paper=(
        "Attentional Factorization Machines: Learning the Weight of Feature Interactions via "
        "Attention Networks"
    ),
    needs=("fields",),
)
def AFM(
    linear_feature_columns,
    dnn_feature_columns=None,
    *,
    attention_units=16,
    dropout=0.0,
    attention_dropout=0.0,
    l2=0.0,
    task="binary",
    optimizer="adam",
    loss=None,
    metrics=None,
    jit_compile="auto",
    name="afm",
):
    """Linear part + element-wise products of all pairs of fields, weighted by attention.

    Args:
        linear_feature_columns: columns of the linear part; of everything when the second list
            is left out.
        dnn_feature_columns: columns of the pairs; the categorical ones need one embedding_dim.
            Every number is a field too, value times a learned vector.
        attention_units: width of the attention network.
        dropout: share dropped of the pooled pairs.
        attention_dropout: share of the attention weights dropped.
        l2: weight of the L2 penalty on the attention network's matrix.
        task: "binary" or "regression".
        optimizer: Keras optimizer or name.
        loss: the task's own when None.
        metrics: the task's own when None.
        jit_compile: "auto", True or False, as in `keras.Model.compile`.
        name: name of the model.

    Returns:
        A compiled `RecModel` with output (B, 1) named `probability`.

    Raises:
        ValueError: no categorical column, fields of different widths, or one field only.

    Example:
        >>> AFM([SparseFeat("user", 10), SparseFeat("item", 20)]).output_shape
        (None, 1)

    References:
        Xiao et al., Attentional Factorization Machines: Learning the Weight of Feature
        Interactions via Attention Networks, IJCAI 2017.
    """
    linear, columns = interaction_columns(
        linear_feature_columns, dnn_feature_columns, has_linear=True
    )
    feature_columns = merge_columns(linear, columns)
    inputs = build_input_layers(feature_columns)
    tables = build_embedding_layers(columns, linear_feature_columns=linear)
    fields = all_fields(inputs, tables, columns, owner="AFM")  # (B, F, D)

    # Second order: all pairs, pooled by attention.
    pooled = PairAttention(
        attention_units, dropout=attention_dropout, l2=l2, name="pair_attention"
    )(fields)  # (B, D)
    if dropout:
        pooled = Dropout(dropout, name="pooled_dropout")(pooled)
    logits = [keras.layers.Dense(1, use_bias=False, name="pair_logit", dtype="float32")(pooled)]

    # First order.
    if linear:
        logits.append(linear_logit(inputs, linear, tables))  # (B, 1)
    logit = add_logits(logits)  # (B, 1)
    model = RecModel(
        inputs, prediction(logit, task, is_logit=True), feature_columns=feature_columns, name=name
    )
    return compiled(
        model, task, optimizer=optimizer, loss=loss, metrics=metrics, jit_compile=jit_compile
    )
