"""Neural factorization machines (He and Chua, SIGIR 2017).

Departure from the paper: numbers are fields too, value times a learned vector, where the paper has
ids only.
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
from deeprec_tf.layers.core.mlp import MLP
from deeprec_tf.layers.interaction.bi_interaction import BiInteraction
from deeprec_tf.registry import register_model
from deeprec_tf.tasks import compiled, prediction


@register_model(
    family="ranking",
    year=2017,
    url="https://arxiv.org/abs/1708.05027",
    paper="Neural Factorization Machines for Sparse Predictive Analytics",
    needs=("fields",),
)
def NFM(
    linear_feature_columns,
    dnn_feature_columns=None,
    *,
    hidden_units=(256, 128, 64),
    activation="relu",
    interaction_dropout=0.0,
    dropout=0.0,
    batch_norm=False,
    task="binary",
    optimizer="adam",
    loss=None,
    metrics=None,
    jit_compile="auto",
    name="nfm",
):
    """Linear part + a tower over the sum of all pairs' element-wise products.

    Args:
        linear_feature_columns: columns of the linear part; of everything when the second list
            is left out.
        dnn_feature_columns: columns of the pairs; the categorical ones need one embedding_dim.
            Every number is a field too, value times a learned vector.
        hidden_units: widths of the tower; empty for none (the paper's NFM-0).
        activation: "dice", "prelu" or a Keras activation name.
        interaction_dropout: share dropped of the pooled pairs.
        dropout: share dropped in the tower, one number or one a layer.
        batch_norm: batch normalization of the pooled pairs and in the tower.
        task: "binary" or "regression".
        optimizer: Keras optimizer or name.
        loss: the task's own when None.
        metrics: the task's own when None.
        jit_compile: "auto", True or False, as in `keras.Model.compile`.
        name: name of the model.

    Returns:
        A compiled `RecModel` with output (B, 1) named `probability`.

    Raises:
        ValueError: no categorical column, fields of different widths, or a column that stays a
            sequence.

    Example:
        >>> NFM([SparseFeat("user", 10), SparseFeat("item", 20)]).output_shape
        (None, 1)

    References:
        He and Chua, Neural Factorization Machines for Sparse Predictive Analytics, SIGIR 2017.
    """
    linear, columns = interaction_columns(
        linear_feature_columns, dnn_feature_columns, has_linear=True
    )
    feature_columns = merge_columns(linear, columns)
    inputs = build_input_layers(feature_columns)
    tables = build_embedding_layers(columns, linear_feature_columns=linear)
    fields = all_fields(inputs, tables, columns, owner="NFM")  # (B, F, D)

    # Second order: all pairs, pooled to one vector.
    pooled = BiInteraction(name="bi_interaction")(fields)  # (B, D)
    if batch_norm:
        pooled = keras.layers.BatchNormalization(
            momentum=0.9, epsilon=1e-5, name="interaction_norm"
        )(pooled)
    if interaction_dropout:
        pooled = Dropout(interaction_dropout, name="interaction_dropout")(pooled)

    # Higher orders by a tower over it.
    tower = MLP(
        hidden_units, activation=activation, dropout=dropout, batch_norm=batch_norm, name="tower"
    )(pooled)
    logits = [keras.layers.Dense(1, use_bias=False, name="tower_logit", dtype="float32")(tower)]

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
