"""Factorization machines (Rendle, ICDM 2010).

Departures from the paper: columns are categorical or numeric fields, not one sparse vector, so the
ids of a multi-valued column are pooled and do not meet each other.
"""

from deeprec_tf.engine import RecModel
from deeprec_tf.inputs import (
    build_embedding_layers,
    build_input_layers,
    linear_logit,
    merge_columns,
)
from deeprec_tf.interactions import add_logits, all_fields, interaction_columns
from deeprec_tf.layers.interaction.fm import FM as PairwiseTerm
from deeprec_tf.registry import register_model
from deeprec_tf.tasks import compiled, prediction


@register_model(
    family="ranking",
    year=2010,
    url="https://doi.org/10.1109/ICDM.2010.127",
    paper="Factorization Machines",
    needs=("fields",),
)
def FM(
    linear_feature_columns,
    dnn_feature_columns=None,
    *,
    task="binary",
    optimizer="adam",
    loss=None,
    metrics=None,
    jit_compile="auto",
    name="fm",
):
    """Linear part + inner products of all pairs of fields.

    Args:
        linear_feature_columns: columns of the linear part; of everything when the second list
            is left out.
        dnn_feature_columns: columns of the pairs; the categorical ones need one embedding_dim.
            Every number is a field too, value times a learned vector.
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
        >>> FM([SparseFeat("user", 10), SparseFeat("item", 20)]).output_shape
        (None, 1)

    References:
        Rendle, Factorization Machines, ICDM 2010.
    """
    linear, columns = interaction_columns(
        linear_feature_columns, dnn_feature_columns, has_linear=True
    )
    feature_columns = merge_columns(linear, columns)
    inputs = build_input_layers(feature_columns)
    tables = build_embedding_layers(columns, linear_feature_columns=linear)
    fields = all_fields(inputs, tables, columns, owner="FM")  # (B, F, D)

    # Second order: inner products of all pairs.
    logits = [PairwiseTerm(name="fm", dtype="float32")(fields)]  # (B, 1)

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
