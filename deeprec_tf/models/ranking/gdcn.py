"""Gated Deep Cross Network (Wang et al., CIKM 2023).

Departure from the paper: its field-level dimension optimization, which gives every table a width
from a trained model's singular values, is left to the columns' `embedding_dim`.
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
from deeprec_tf.layers.interaction.gated_cross import GatedCross
from deeprec_tf.registry import register_model
from deeprec_tf.tasks import compiled, prediction


@register_model(
    family="ranking",
    year=2023,
    url="https://arxiv.org/abs/2311.04635",
    paper="Towards Deeper, Lighter and Interpretable Cross Network for CTR Prediction",
    needs=("fields",),
)
def GDCN(
    linear_feature_columns,
    dnn_feature_columns=None,
    *,
    cross_num=3,
    structure="parallel",
    hidden_units=(256, 128, 64),
    activation="relu",
    dropout=0.0,
    batch_norm=False,
    task="binary",
    optimizer="adam",
    loss=None,
    metrics=None,
    jit_compile="auto",
    name="gdcn",
):
    """Cross network whose information gates let crosses of every order through or not.

    A layer is c_{l+1} = c_0 ∘ (W c_l + b) ∘ σ(W_g c_l) + c_l; the tower stands beside the cross
    network (GDCN-P) or on it (GDCN-S).

    Args:
        linear_feature_columns: the columns. The paper has no linear part, so one is added
            only where the second list is given too: of these columns then.
        dnn_feature_columns: columns of the cross network and the tower; the first list when None.
        cross_num: number of gated cross layers; 0 leaves c_0 as it is.
        structure: "parallel", the tower beside the crosses, or "stacked", on them.
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
        ValueError: no column, a column that stays a sequence, a negative `cross_num`, or an
            unknown structure.

    Example:
        >>> GDCN([SparseFeat("user", 10), SparseFeat("item", 20)], cross_num=2).output_shape
        (None, 1)

    References:
        Wang et al., Towards Deeper, Lighter and Interpretable Cross Network for CTR Prediction,
        CIKM 2023.
    """
    if cross_num < 0:
        raise ValueError(f"GDCN: cross_num must be 0 or more, got {cross_num!r}.")
    if structure not in ("parallel", "stacked"):
        raise ValueError(
            f"GDCN: structure must be 'parallel' or 'stacked', got {structure!r}."
        )
    linear, columns = interaction_columns(
        linear_feature_columns, dnn_feature_columns, has_linear=False
    )
    feature_columns = merge_columns(linear, columns)
    inputs = build_input_layers(feature_columns)
    tables = build_embedding_layers(columns, linear_feature_columns=linear)
    refuse_sequences("GDCN", columns)
    x0 = embedding_lookup(inputs, tables, columns)  # (B, n)

    # Gated cross network.
    x = x0
    for i in range(cross_num):
        x = GatedCross(name=f"cross_{i}")(x0, x)  # (B, n)

    # Tower: on the crosses, or beside them.
    branches = [x]
    if hidden_units:
        tower = MLP(
            hidden_units, activation=activation, dropout=dropout, batch_norm=batch_norm,
            name="tower",
        )
        branches = [tower(x)] if structure == "stacked" else [x, tower(x0)]
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
