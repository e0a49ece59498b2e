"""MaskNet (Wang et al., DLP-KDD 2021).

Departures from the paper: numbers join the flat vector as they are and are not normalized, since
the layer normalization of a number times a vector would leave its sign only; the tower may follow
the last block of the serial form too (`hidden_units=()` is the paper's); a linear part is added
where two lists of columns are given.
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
from deeprec_tf.layers.interaction.field_normalization import FieldNormalization
from deeprec_tf.layers.interaction.mask_block import MaskBlock
from deeprec_tf.registry import register_model
from deeprec_tf.tasks import compiled, prediction


@register_model(
    family="ranking",
    year=2021,
    url="https://arxiv.org/abs/2102.07619",
    paper="MaskNet: Introducing Feature-Wise Multiplication to CTR Ranking Models by "
    "Instance-Guided Mask",
    needs=("fields",),
)
def MaskNet(
    linear_feature_columns,
    dnn_feature_columns=None,
    *,
    structure="parallel",
    block_units=(64, 64, 64),
    reduction_ratio=2.0,
    embedding_norm=True,
    block_dropout=0.0,
    hidden_units=(256, 128, 64),
    activation="relu",
    dropout=0.0,
    batch_norm=False,
    task="binary",
    optimizer="adam",
    loss=None,
    metrics=None,
    jit_compile="auto",
    name="masknet",
):
    """Blocks whose input is multiplied by a mask made from the row itself.

    Args:
        linear_feature_columns: the columns; those of a linear part, which the paper does not
            have, when the second list is given.
        dnn_feature_columns: columns of the blocks when a linear part is wanted; the categorical
            ones need one embedding_dim of 2 or more.
        structure: "parallel", every block reads the embeddings and their outputs are joined, or
            "serial", every block reads the one before.
        block_units: width of each block.
        reduction_ratio: width of a mask's hidden layer over that of the mask.
        embedding_norm: whether the embeddings are normalized, field by field, before they are
            masked, as in the paper.
        block_dropout: share of a block's output dropped.
        hidden_units: widths of the tower behind the blocks; empty for none.
        activation: "dice", "prelu" or a Keras activation name, in the tower.
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
        ValueError: the structure is unknown, no block, no categorical column, or fields of
            different widths or of width 1.

    Example:
        >>> columns = [SparseFeat("user", 10), SparseFeat("item", 20)]
        >>> MaskNet(columns, structure="serial").output_shape
        (None, 1)

    References:
        Wang et al., MaskNet: Introducing Feature-Wise Multiplication to CTR Ranking Models by
        Instance-Guided Mask, DLP-KDD 2021.
    """
    if structure not in ("parallel", "serial"):
        raise ValueError(f"MaskNet: structure must be 'parallel' or 'serial', got {structure!r}.")
    if not block_units:
        raise ValueError("MaskNet: block_units must name at least one block.")
    linear, columns = interaction_columns(
        linear_feature_columns, dnn_feature_columns, has_linear=False
    )
    feature_columns = merge_columns(linear, columns)
    inputs = build_input_layers(feature_columns)
    tables = build_embedding_layers(columns, linear_feature_columns=linear)
    groups, dense = field_groups(columns, owner="MaskNet")
    refuse_sequences("MaskNet", dense)
    fields = field_lookup(inputs, tables, [c for group in groups.values() for c in group])
    numbers = [embedding_lookup(inputs, tables, dense)] if dense else []

    # The embeddings as they are guide the masks; normalized, field by field, they are masked.
    flat = concat([keras.layers.Flatten(name="flat")(fields), *numbers])  # (B, n)
    start = flat
    if embedding_norm:
        normalized = FieldNormalization(name="field_norm")(fields)  # (B, F, D)
        start = concat([keras.layers.Flatten(name="normalized")(normalized), *numbers])  # (B, n)

    outputs = []
    for i, units in enumerate(block_units):
        hidden = outputs[-1] if outputs and structure == "serial" else start
        block = MaskBlock(
            units, reduction_ratio=reduction_ratio, dropout=block_dropout, name=f"block_{i}"
        )
        outputs.append(block(hidden, flat))
    tower = MLP(
        hidden_units, activation=activation, dropout=dropout, batch_norm=batch_norm, name="tower"
    )(outputs[-1] if structure == "serial" else concat(outputs))
    logits = [keras.layers.Dense(1, use_bias=False, name="tower_logit", dtype="float32")(tower)]
    if linear:
        logits.append(linear_logit(inputs, linear, tables))  # (B, 1)
    logit = add_logits(logits)  # (B, 1)
    model = RecModel(
        inputs, prediction(logit, task, is_logit=True), feature_columns=feature_columns, name=name
    )
    return compiled(
        model, task, optimizer=optimizer, loss=loss, metrics=metrics, jit_compile=jit_compile
    )
