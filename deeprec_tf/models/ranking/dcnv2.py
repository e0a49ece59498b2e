"""DCN-V2 (Wang et al., WWW 2021).

Departures from the paper: every categorical column has the width that it was declared with; the
first version's cross layers are to be had as `cross_parameterization="vector"`. As in the paper,
and not as in several libraries, every layer of the mixture has a gate of its own.
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
from deeprec_tf.layers.interaction.matrix_cross import MatrixCross
from deeprec_tf.layers.interaction.mixture_cross import MixtureCross
from deeprec_tf.layers.interaction.vector_cross import VectorCross
from deeprec_tf.registry import register_model
from deeprec_tf.tasks import compiled, prediction


@register_model(
    family="ranking",
    year=2021,
    url="https://arxiv.org/abs/2008.13535",
    paper="DCN V2: Improved Deep & Cross Network and Practical Lessons for Web-scale Learning to "
    "Rank Systems",
    needs=("fields",),
)
def DCNv2(
    linear_feature_columns,
    dnn_feature_columns=None,
    *,
    cross_num=3,
    cross_parameterization="matrix",
    low_rank=32,
    num_experts=4,
    gate_activation="softmax",
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
    name="dcnv2",
):
    """Cross network with whole matrices or low-rank experts, and a tower beside it or on it.

    A cross layer is x_{l+1} = x_0 ∘ (W x_l + b) + x_l; in the mixture W x_l is the gated sum of
    U_k tanh(C_k tanh(V_kᵀ x_l)) over experts of low rank.

    Args:
        linear_feature_columns: the columns. The paper has no linear part, so one is added
            only where the second list is given too: of these columns then.
        dnn_feature_columns: columns of the cross network and the tower; the first list when None.
        cross_num: number of cross layers; 0 leaves x_0 as it is.
        cross_parameterization: "matrix", "mix" (low-rank experts), or "vector" (DCN's layer).
        low_rank: rank of an expert; of "mix" alone, like the two that follow.
        num_experts: experts a layer.
        gate_activation: "softmax" over the experts, or "sigmoid".
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
            unknown form.

    Example:
        >>> columns = [SparseFeat("user", 10), SparseFeat("item", 20)]
        >>> DCNv2(columns, cross_num=2, cross_parameterization="mix").output_shape
        (None, 1)

    References:
        Wang et al., DCN V2: Improved Deep & Cross Network and Practical Lessons for Web-scale
        Learning to Rank Systems, WWW 2021.
    """
    makers = {
        "vector": VectorCross,
        "matrix": MatrixCross,
        "mix": lambda name: MixtureCross(
            low_rank, num_experts, gate_activation=gate_activation, name=name
        ),
    }
    if cross_parameterization not in makers:
        raise ValueError(
            f"DCNv2: cross_parameterization must be one of {tuple(makers)}, got "
            f"{cross_parameterization!r}."
        )
    if cross_num < 0:
        raise ValueError(f"DCNv2: cross_num must be 0 or more, got {cross_num!r}.")
    if structure not in ("parallel", "stacked"):
        raise ValueError(
            f"DCNv2: structure must be 'parallel' or 'stacked', got {structure!r}."
        )
    linear, columns = interaction_columns(
        linear_feature_columns, dnn_feature_columns, has_linear=False
    )
    feature_columns = merge_columns(linear, columns)
    inputs = build_input_layers(feature_columns)
    tables = build_embedding_layers(columns, linear_feature_columns=linear)
    refuse_sequences("DCNv2", columns)
    x0 = embedding_lookup(inputs, tables, columns)  # (B, n)

    # Cross network.
    x = x0
    for i in range(cross_num):
        x = makers[cross_parameterization](name=f"cross_{i}")(x0, x)  # (B, n)

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
