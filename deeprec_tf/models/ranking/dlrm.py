"""DLRM (Naumov et al., 2019).

Departures from the paper: numbers are optional, and without them there is no bottom tower and no
field of theirs; a linear part is added where two lists of columns are given.
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
from deeprec_tf.interactions import add_logits, interaction_columns
from deeprec_tf.layers.core.mlp import MLP, checked_widths
from deeprec_tf.layers.interaction.inner_products import InnerProducts
from deeprec_tf.registry import register_model
from deeprec_tf.tasks import compiled, prediction


@register_model(
    family="ranking",
    year=2019,
    url="https://arxiv.org/abs/1906.00091",
    paper="Deep Learning Recommendation Model for Personalization and Recommendation Systems",
    needs=("fields",),
)
def DLRM(
    linear_feature_columns,
    dnn_feature_columns=None,
    *,
    bottom_hidden_units=(64,),
    hidden_units=(256, 128, 64),
    activation="relu",
    dropout=0.0,
    batch_norm=False,
    task="binary",
    optimizer="adam",
    loss=None,
    metrics=None,
    jit_compile="auto",
    name="dlrm",
):
    """Dot products of all pairs of fields, the numbers being one field by a tower of their own.

    Args:
        linear_feature_columns: the columns; those of a linear part, which the paper does not
            have, when the second list is given.
        dnn_feature_columns: columns of the dot products when a linear part is wanted; the
            categorical ones need one embedding_dim.
        bottom_hidden_units: widths of the bottom tower before its last layer, whose width is the
            embedding_dim; not used without numbers.
        hidden_units: widths of the top tower; empty for none.
        activation: "dice", "prelu" or a Keras activation name, in both towers.
        dropout: share dropped in the top tower, one number or one a layer.
        batch_norm: batch normalization in the top tower.
        task: "binary" or "regression".
        optimizer: Keras optimizer or name.
        loss: the task's own when None.
        metrics: the task's own when None.
        jit_compile: "auto", True or False, as in `keras.Model.compile`.
        name: name of the model.

    Returns:
        A compiled `RecModel` with output (B, 1) named `probability`.

    Raises:
        ValueError: no categorical column, one field in all, or fields of different widths.

    Example:
        >>> DLRM([SparseFeat("user", 10), SparseFeat("item", 20), DenseFeat("price")]).output_shape
        (None, 1)

    References:
        Naumov et al., Deep Learning Recommendation Model for Personalization and Recommendation
        Systems, 2019.
    """
    linear, columns = interaction_columns(
        linear_feature_columns, dnn_feature_columns, has_linear=False
    )
    feature_columns = merge_columns(linear, columns)
    inputs = build_input_layers(feature_columns)
    tables = build_embedding_layers(columns, linear_feature_columns=linear)
    groups, dense = field_groups(columns, owner="DLRM")
    refuse_sequences("DLRM", dense)
    fields = field_lookup(inputs, tables, [c for group in groups.values() for c in group])

    # The numbers become one more field.
    joined = []
    if dense:
        width = fields.shape[-1]
        widths = checked_widths("DLRM", bottom_hidden_units, argument="bottom_hidden_units")
        bottom = MLP(
            (*widths, width), activation=activation, name="bottom_tower"
        )(embedding_lookup(inputs, tables, dense))  # (B, D)
        number_field = keras.layers.Reshape((1, width), name="number_field")(bottom)
        fields = keras.layers.Concatenate(axis=1)([number_field, fields])  # (B, 1 + F, D)
        joined.append(bottom)

    # Every pair of fields meets in a dot product.
    joined.append(InnerProducts(name="interactions")(fields))  # (B, pairs)
    top = MLP(
        hidden_units, activation=activation, dropout=dropout, batch_norm=batch_norm,
        name="top_tower",
    )(concat(joined))
    logits = [keras.layers.Dense(1, use_bias=False, name="top_logit", dtype="float32")(top)]
    if linear:
        logits.append(linear_logit(inputs, linear, tables))  # (B, 1)
    logit = add_logits(logits)  # (B, 1)
    model = RecModel(
        inputs, prediction(logit, task, is_logit=True), feature_columns=feature_columns, name=name
    )
    return compiled(
        model, task, optimizer=optimizer, loss=loss, metrics=metrics, jit_compile=jit_compile
    )
