"""FinalMLP (Mao et al., AAAI 2023).

Departures from the paper: numbers join the flat vector as they are; a linear part is added where
two lists of columns are given.
"""

from deeprec_tf.engine import RecModel
from deeprec_tf.features import DenseFeat
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
from deeprec_tf.layers.core.row_numbers import RowPart
from deeprec_tf.layers.interaction.bilinear_fusion import BilinearFusion
from deeprec_tf.layers.interaction.feature_gate import FeatureGate
from deeprec_tf.registry import register_model
from deeprec_tf.tasks import compiled, prediction


@register_model(
    family="ranking",
    year=2023,
    url="https://arxiv.org/abs/2304.00902",
    paper="FinalMLP: An Enhanced Two-Stream MLP Model for CTR Prediction",
    needs=("fields",),
)
def FinalMLP(
    linear_feature_columns,
    dnn_feature_columns=None,
    *,
    hidden_units=(256, 128, 64),
    second_hidden_units=None,
    activation="relu",
    dropout=0.0,
    second_dropout=None,
    batch_norm=False,
    second_batch_norm=None,
    num_heads=2,
    first_context=(),
    second_context=(),
    gate_hidden_units=(64,),
    task="binary",
    optimizer="adam",
    loss=None,
    metrics=None,
    jit_compile="auto",
    name="finalmlp",
):
    """Two towers over differently gated copies of the features, fused by a bilinear form.

    Args:
        linear_feature_columns: the columns; those of a linear part, which the paper does not
            have, when the second list is given.
        dnn_feature_columns: columns of the towers when a linear part is wanted.
        hidden_units: widths of the first tower.
        second_hidden_units: widths of the second tower, those of the first when None.
        activation: "dice", "prelu" or a Keras activation name, in both towers.
        dropout: share dropped in the first tower, one number or one a layer.
        second_dropout: the same in the second tower, that of the first when None.
        batch_norm: batch normalization in the first tower.
        second_batch_norm: the same in the second tower, as in the first when None.
        num_heads: heads of the bilinear form; divides the last width of both towers.
        first_context: names of the columns whose embeddings make the first tower's gates, such as
            the user's; empty for a learned vector.
        second_context: the same for the second tower, such as the item's.
        gate_hidden_units: widths of the gate nets' hidden layers; None for no gates (no feature
            selection).
        task: "binary" or "regression".
        optimizer: Keras optimizer or name.
        loss: the task's own when None.
        metrics: the task's own when None.
        jit_compile: "auto", True or False, as in `keras.Model.compile`.
        name: name of the model.

    Returns:
        A compiled `RecModel` with output (B, 1) named `probability`.

    Raises:
        ValueError: no column, a column that stays a sequence, a context that names no column or
            is given without gates, or widths that the heads do not divide.

    Example:
        >>> columns = [SparseFeat("user", 10), SparseFeat("item", 20), SparseFeat("city", 5)]
        >>> FinalMLP(columns, first_context=["user"], second_context=["item"]).output_shape
        (None, 1)

    References:
        Mao et al., FinalMLP: An Enhanced Two-Stream MLP Model for CTR Prediction, AAAI 2023.
    """
    linear, columns = interaction_columns(
        linear_feature_columns, dnn_feature_columns, has_linear=False
    )
    feature_columns = merge_columns(linear, columns)
    refuse_sequences("FinalMLP", columns)
    inputs = build_input_layers(feature_columns)
    tables = build_embedding_layers(columns, linear_feature_columns=linear)
    flat = embedding_lookup(inputs, tables, columns)  # (B, n)

    # Each stream sees the features through gates of its own.
    streams = [flat, flat]
    if gate_hidden_units is not None:
        for i, names in enumerate((first_context, second_context)):
            context = (_context(flat, columns, names),) if names else ()  # (B, c)
            gate = FeatureGate(gate_hidden_units, name=f"gate_{i}")
            streams[i] = gate(flat, *context)  # (B, n)
    elif first_context or second_context:
        raise ValueError(
            "FinalMLP: first_context and second_context are the gates'. Drop them, or "
            "give gate_hidden_units."
        )

    # Two towers.
    first = MLP(
        hidden_units, activation=activation, dropout=dropout, batch_norm=batch_norm,
        name="first_tower",
    )(streams[0])
    second = MLP(
        hidden_units if second_hidden_units is None else second_hidden_units,
        activation=activation,
        dropout=dropout if second_dropout is None else second_dropout,
        batch_norm=batch_norm if second_batch_norm is None else second_batch_norm,
        name="second_tower",
    )(streams[1])

    # Fusion of the streams.
    logits = [BilinearFusion(num_heads, name="fusion", dtype="float32")(first, second)]  # (B, 1)
    if linear:
        logits.append(linear_logit(inputs, linear, tables))  # (B, 1)
    logit = add_logits(logits)  # (B, 1)
    model = RecModel(
        inputs, prediction(logit, task, is_logit=True), feature_columns=feature_columns, name=name
    )
    return compiled(
        model, task, optimizer=optimizer, loss=loss, metrics=metrics, jit_compile=jit_compile
    )


def _context(flat, columns, names):
    """The named columns' part of the flat vector."""
    parts, start = {}, 0
    for column in columns:
        width = column.dimension if isinstance(column, DenseFeat) else column.embedding_dim
        parts[column.name] = start, start + width
        start += width
    unknown = [name for name in names if name not in parts]
    if isinstance(names, str) or unknown:
        raise ValueError(
            f"FinalMLP: a context must be a list of column names out of {list(parts)}, got "
            f"{names!r}."
        )
    return concat([RowPart(*parts[name])(flat) for name in names])
