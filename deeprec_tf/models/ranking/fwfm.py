"""Field-weighted factorization machines (Pan et al., WWW 2018).

Departures from the paper: the linear part has a weight an id (its FwFMs_LW), not an inner product
with a vector a field; the pairs' weights start at 1, where the model is a factorization machine.
"""

from deeprec_tf.engine import RecModel
from deeprec_tf.inputs import (
    build_embedding_layers,
    build_input_layers,
    linear_logit,
    merge_columns,
)
from deeprec_tf.interactions import add_logits, all_fields, interaction_columns
from deeprec_tf.layers.interaction.field_weighted_fm import FieldWeightedFM
from deeprec_tf.registry import register_model
from deeprec_tf.tasks import compiled, prediction


@register_model(
    family="ranking",
    year=2018,
    url="https://arxiv.org/abs/1806.03514",
    paper=(
        "Field-weighted Factorization Machines for Click-Through Rate Prediction in Display "
        "Advertising"
    ),
    needs=("fields",),
)
def FwFM(
    linear_feature_columns,
    dnn_feature_columns=None,
    *,
    task="binary",
    optimizer="adam",
    loss=None,
    metrics=None,
    jit_compile="auto",
    name="fwfm",
):
    """Linear part + inner products of all pairs of fields, each pair of fields with its own weight.

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
        ValueError: no categorical column, fields of different widths, or one field only.

    Example:
        >>> FwFM([SparseFeat("user", 10), SparseFeat("item", 20)]).output_shape
        (None, 1)

    References:
        Pan et al., Field-weighted Factorization Machines for Click-Through Rate Prediction in
        Display Advertising, WWW 2018.
    """
    linear, columns = interaction_columns(
        linear_feature_columns, dnn_feature_columns, has_linear=True
    )
    feature_columns = merge_columns(linear, columns)
    inputs = build_input_layers(feature_columns)
    tables = build_embedding_layers(columns, linear_feature_columns=linear)
    fields = all_fields(inputs, tables, columns, owner="FwFM")  # (B, F, D)

    # Second order: inner products of all pairs, weighted by the pair's fields.
    logits = [FieldWeightedFM(name="field_weighted_fm", dtype="float32")(fields)]  # (B, 1)

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
