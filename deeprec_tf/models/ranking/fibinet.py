"""FiBiNET (Huang et al., RecSys 2019).

Departures from the paper: numbers enter the linear part and the tower as they are, not as fields of
the interactions. The two bilinear interactions have weights of their own, as in the paper's figure.
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
from deeprec_tf.layers.core.mlp import MLP
from deeprec_tf.layers.interaction.bilinear_pairs import BilinearPairs
from deeprec_tf.layers.interaction.senet import SENET
from deeprec_tf.registry import register_model
from deeprec_tf.tasks import compiled, prediction


@register_model(
    family="ranking",
    year=2019,
    url="https://arxiv.org/abs/1905.09433",
    paper=(
        "FiBiNET: Combining Feature Importance and Bilinear feature Interaction for Click-Through "
        "Rate Prediction"
    ),
    needs=("fields",),
    aliases=("FiBiNet",),
)
def FiBiNET(
    linear_feature_columns,
    dnn_feature_columns=None,
    *,
    bilinear_type="field_interaction",
    reduction_ratio=3,
    hidden_units=(256, 128, 64),
    activation="relu",
    dropout=0.0,
    batch_norm=False,
    task="binary",
    optimizer="adam",
    loss=None,
    metrics=None,
    jit_compile="auto",
    name="fibinet",
):
    """Linear part + a tower over bilinear pairs of the fields, as they are and re-weighted.

    Args:
        linear_feature_columns: columns of the linear part; of everything when the second list
            is left out.
        dnn_feature_columns: columns of the pairs and the tower; the categorical ones need one
            embedding_dim. Numbers go to the tower only.
        bilinear_type: matrices of the pairs: "field_all" has one, "field_each" one a left field,
            "field_interaction" one a pair; "all", "each" and "interaction" for short.
        reduction_ratio: how much narrower the re-weighting's bottleneck is than the number of
            fields.
        hidden_units: widths of the tower; empty for none.
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
        ValueError: no categorical column, one field only, fields of different widths, or an
            unknown bilinear_type.

    Example:
        >>> FiBiNET([SparseFeat("user", 10), SparseFeat("item", 20)]).output_shape
        (None, 1)

    References:
        Huang et al., FiBiNET: Combining Feature Importance and Bilinear feature Interaction for
        Click-Through Rate Prediction, RecSys 2019.
    """
    linear, columns = interaction_columns(
        linear_feature_columns, dnn_feature_columns, has_linear=True
    )
    feature_columns = merge_columns(linear, columns)
    inputs = build_input_layers(feature_columns)
    tables = build_embedding_layers(columns, linear_feature_columns=linear)
    groups, dense = field_groups(columns, owner="FiBiNET")
    refuse_sequences("FiBiNET", dense)
    fields = field_lookup(inputs, tables, [c for group in groups.values() for c in group])

    # The fields by their importance in this row.
    weighted = SENET(reduction_ratio, name="senet")(fields)  # (B, F, D)

    # Pairs of both, by matrices of their own.
    pairs = BilinearPairs(bilinear_type, name="bilinear")(fields)  # (B, P, D)
    weighted_pairs = BilinearPairs(bilinear_type, name="bilinear_senet")(weighted)

    # Combined, through the tower.
    flat = [
        keras.layers.Flatten(name="flat")(pairs),
        keras.layers.Flatten(name="flat_senet")(weighted_pairs),
    ]
    if dense:
        flat.append(embedding_lookup(inputs, tables, dense))
    tower = MLP(
        hidden_units, activation=activation, dropout=dropout, batch_norm=batch_norm, name="tower"
    )(concat(flat))
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
