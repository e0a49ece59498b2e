"""DeepFM (Guo et al., IJCAI 2017).

Departures from the paper: fields of different `group_name` do not interact in the factorization
machine (by default all are of one group); numbers enter the linear part and the tower as they are.
"""

import keras

from deeprec_tf.engine import RecModel
from deeprec_tf.inputs import (
    build_embedding_layers,
    build_input_layers,
    concat,
    embedding_lookup,
    field_groups,
    field_lookup,
    linear_logit,
    merge_columns,
    refuse_sequences,
)
from deeprec_tf.interactions import add_logits, interaction_columns, refuse_unread
from deeprec_tf.layers.core.mlp import MLP
from deeprec_tf.layers.interaction.fm import FM
from deeprec_tf.registry import register_model
from deeprec_tf.tasks import compiled, prediction


@register_model(
    family="ranking",
    year=2017,
    url="https://arxiv.org/abs/1703.04247",
    paper="DeepFM: A Factorization-Machine based Neural Network for CTR Prediction",
    needs=("fields",),
)
def DeepFM(
    linear_feature_columns,
    dnn_feature_columns=None,
    *,
    hidden_units=(256, 128, 64),
    activation="relu",
    dropout=0.0,
    batch_norm=False,
    task="binary",
    optimizer="adam",
    loss=None,
    metrics=None,
    jit_compile="auto",
    name="deepfm",
):
    """Linear part + factorization machine + tower over the same embeddings.

    Args:
        linear_feature_columns: columns of the linear part, none for none; of everything when
            the second list is left out.
        dnn_feature_columns: columns of the factorization machine and the tower; the categorical
            ones need one embedding_dim.
        hidden_units: widths of the tower; empty for a plain factorization machine.
        activation: "dice", "prelu" or a Keras activation name.
        dropout: share dropped in the tower, one number or one a layer.
        batch_norm: batch normalization in the tower.
        task: "binary" or "regression".
        optimizer: Keras optimizer or name.
        loss: the task's own when None.
        metrics: the task's own when None.
        jit_compile: "auto", True or False, as in `keras.Model.compile`.
        name: name of the model.

    Returns:
        A compiled `RecModel` with output (B, 1) named `probability`.

    Raises:
        ValueError: no categorical column, fields of different widths in one group, a column that
            stays a sequence, or a number that only the tower would read where there is none.

    Example:
        >>> DeepFM([SparseFeat("user", 10), SparseFeat("item", 20)]).output_shape
        (None, 1)

    References:
        Guo et al., DeepFM: A Factorization-Machine based Neural Network for CTR Prediction,
        IJCAI 2017.
    """
    linear, columns = interaction_columns(
        linear_feature_columns, dnn_feature_columns, has_linear=True
    )
    feature_columns = merge_columns(linear, columns)
    inputs = build_input_layers(feature_columns)
    tables = build_embedding_layers(columns, linear_feature_columns=linear)
    groups, dense = field_groups(columns, owner="DeepFM")
    refuse_sequences("DeepFM", dense)
    if not hidden_units:
        refuse_unread("DeepFM", linear, dense)

    # Second order by the factorization machine.
    logits, flat = [], []
    for group, members in groups.items():
        fields = field_lookup(inputs, tables, members)  # (B, F, D)
        logits.append(FM(name=f"fm_{group}", dtype="float32")(fields))  # (B, 1)
        flat.append(keras.layers.Flatten(name=f"flat_{group}")(fields))  # (B, F·D)

    # First order.
    if linear:
        logits.append(linear_logit(inputs, linear, tables))  # (B, 1)

    # Higher orders by the tower.
    if hidden_units:
        if dense:
            flat.append(embedding_lookup(inputs, tables, dense))
        tower = MLP(
            hidden_units, activation=activation, dropout=dropout, batch_norm=batch_norm,
            name="tower",
        )(concat(flat))
        logits.append(
            keras.layers.Dense(1, use_bias=False, name="tower_logit", dtype="float32")(tower)
        )
    logit = add_logits(logits)  # (B, 1)
    model = RecModel(
        inputs, prediction(logit, task, is_logit=True), feature_columns=feature_columns, name=name
    )
    return compiled(
        model, task, optimizer=optimizer, loss=loss, metrics=metrics, jit_compile=jit_compile
    )
