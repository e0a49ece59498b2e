"""Deep & Cross Network (Wang et al., ADKDD 2017).

Departures from the paper: every categorical column has the width that it was declared with instead
of 6 V^(1/4) for all (`embedding_dim="auto"` gives that); gradient clipping and batch normalization
are options.
"""

import keras

from deeprec_tf.engine import RecModel
from deeprec_tf.inputs import (
    build_embedding_layers,
    build_input_layers,
    concat,
    embedding_lookup,
    linear_logit,
    merge_columns,
    refuse_sequences,
)
from deeprec_tf.interactions import add_logits, interaction_columns
from deeprec_tf.layers.core.mlp import MLP
from deeprec_tf.layers.interaction.vector_cross import VectorCross
from deeprec_tf.registry import register_model
from deeprec_tf.tasks import compiled, prediction


@register_model(
    family="ranking",
    year=2017,
    url="https://arxiv.org/abs/1708.05123",
    paper="Deep & Cross Network for Ad Click Predictions",
    needs=("fields",),
)
def DCN(
    linear_feature_columns,
    dnn_feature_columns=None,
    *,
    cross_num=3,
    hidden_units=(256, 128, 64),
    activation="relu",
    dropout=0.0,
    batch_norm=False,
    task="binary",
    optimizer="adam",
    loss=None,
    metrics=None,
    jit_compile="auto",
    name="dcn",
):
    """Cross network and tower, side by side on one flat vector.

    A cross layer is x_{l+1} = x_0 (x_lᵀ w) + b + x_l, so L layers make products of up to L + 1
    elements with 2n weights a layer.

    Args:
        linear_feature_columns: the columns. The paper has no linear part, so one is added
            only where the second list is given too: of these columns then.
        dnn_feature_columns: columns of the cross network and the tower; the first list when None.
        cross_num: L, number of cross layers; 0 leaves x_0 as it is.
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
        ValueError: no column, a column that stays a sequence, or a negative `cross_num`.

    Example:
        >>> DCN([SparseFeat("user", 10), SparseFeat("item", 20)], cross_num=2).output_shape
        (None, 1)

    References:
        Wang et al., Deep & Cross Network for Ad Click Predictions, ADKDD 2017.
    """
    if cross_num < 0:
        raise ValueError(f"DCN: cross_num must be 0 or more, got {cross_num!r}.")
    linear, columns = interaction_columns(
        linear_feature_columns, dnn_feature_columns, has_linear=False
    )
    feature_columns = merge_columns(linear, columns)
    inputs = build_input_layers(feature_columns)
    tables = build_embedding_layers(columns, linear_feature_columns=linear)
    refuse_sequences("DCN", columns)
    x0 = embedding_lookup(inputs, tables, columns)  # (B, n)

    # Cross network.
    x = x0
    for i in range(cross_num):
        x = VectorCross(name=f"cross_{i}")(x0, x)  # (B, n)

    # Tower, beside it.
    branches = [x]
    if hidden_units:
        branches.append(
            MLP(
                hidden_units, activation=activation, dropout=dropout, batch_norm=batch_norm,
                name="tower",
            )(x0)
        )

    # Combination layer.
    logits = [
        keras.layers.Dense(1, use_bias=False, name="branches_logit", dtype="float32")(
            concat(branches)
        )
    ]
    if linear:
        logits.append(linear_logit(inputs, linear, tables))
    logit = add_logits(logits)  # (B, 1)
    model = RecModel(
        inputs, prediction(logit, task, is_logit=True), feature_columns=feature_columns, name=name
    )
    return compiled(
        model, task, optimizer=optimizer, loss=loss, metrics=metrics, jit_compile=jit_compile
    )
