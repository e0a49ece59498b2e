"""Field-weighted factorization machines (Pan et al., WWW 2018).

Departures from the paper: the linear part has a weight an id (its FwFMs_LW) by default, not an
inner product with a vector a field (its FwFMs_FiLV); the pairs' weights start at 1, where the model
is a factorization machine; with `linear_form="id_vectors"` a number has a weight.
"""

import dataclasses

import keras

from deeprec_tf.engine import RecModel
from deeprec_tf.features import DenseFeat, VarLenSparseFeat
from deeprec_tf.inputs import (
    build_embedding_layers,
    build_input_layers,
    field_lookup,
    linear_logit,
    merge_columns,
)
from deeprec_tf.interactions import add_logits, all_fields, interaction_columns
from deeprec_tf.layers.interaction.field_weighted_fm import FieldWeightedFM
from deeprec_tf.registry import register_model
from deeprec_tf.tasks import compiled, prediction

LINEAR_FORMS = ("weights", "id_vectors", "field_vectors")


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
    linear_form="weights",
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
        linear_form: first order of a field with the vector v: "weights", a weight an id (the
            paper's LW); "id_vectors", <v, w> with a second vector w of the id (FeLV);
            "field_vectors", <v, w> with a vector w of the field (FiLV). The last two take the
            vectors of the pairs, so both lists must be alike.
        task: "binary" or "regression".
        optimizer: Keras optimizer or name.
        loss: the task's own when None.
        metrics: the task's own when None.
        jit_compile: "auto", True or False, as in `keras.Model.compile`.
        name: name of the model.

    Returns:
        A compiled `RecModel` with output (B, 1) named `probability`.

    Raises:
        ValueError: no categorical column, fields of different widths, one field only, an unknown
            `linear_form`, or one with vectors and two lists that are not alike.

    Example:
        >>> FwFM([SparseFeat("user", 10), SparseFeat("item", 20)]).output_shape
        (None, 1)

    References:
        Pan et al., Field-weighted Factorization Machines for Click-Through Rate Prediction in
        Display Advertising, WWW 2018.
    """
    if linear_form not in LINEAR_FORMS:
        raise ValueError(f"FwFM: linear_form must be one of {LINEAR_FORMS}, got {linear_form!r}.")
    linear, columns = interaction_columns(
        linear_feature_columns, dnn_feature_columns, has_linear=True
    )
    vectors = linear_form != "weights"
    if vectors and linear != columns:
        raise ValueError(
            f"FwFM: linear_form={linear_form!r} takes the vectors of the pairs, so the columns of "
            "both lists must be the same. Give one list."
        )
    feature_columns = merge_columns(linear, columns)
    inputs = build_input_layers(feature_columns)
    tables = build_embedding_layers(columns, linear_feature_columns=() if vectors else linear)
    fields = all_fields(inputs, tables, columns, owner="FwFM")  # (B, F, D)

    # Second order: inner products of all pairs, weighted by the pair's fields.
    logits = [FieldWeightedFM(name="field_weighted_fm", dtype="float32")(fields)]  # (B, 1)

    # First order.
    if linear_form == "field_vectors":
        logits.append(
            keras.layers.Dense(1, use_bias=False, name="field_vectors", dtype="float32")(
                keras.layers.Flatten()(fields)
            )
        )
    elif linear_form == "id_vectors":
        numbers = [column for column in columns if isinstance(column, DenseFeat)]
        sparse = [column for column in columns if column not in numbers]
        own = build_embedding_layers([_without_start(c) for c in sparse], prefix="linear_")
        seconds = keras.layers.Flatten()(field_lookup(inputs, own, sparse))  # (B, F * D)
        firsts = keras.layers.Flatten()(field_lookup(inputs, tables, sparse))
        logits.append(keras.layers.Dot(1, name="id_vectors", dtype="float32")([firsts, seconds]))
        linear = numbers
    if linear and linear_form != "field_vectors":
        logits.append(linear_logit(inputs, linear, tables))  # (B, 1)
    logit = add_logits(logits)  # (B, 1)
    model = RecModel(
        inputs, prediction(logit, task, is_logit=True), feature_columns=feature_columns, name=name
    )
    return compiled(
        model, task, optimizer=optimizer, loss=loss, metrics=metrics, jit_compile=jit_compile
    )


def _without_start(column):
    """The column with a second table that is trained, whatever the first one starts from."""
    if isinstance(column, VarLenSparseFeat):
        return dataclasses.replace(column, sparsefeat=_without_start(column.sparsefeat))
    return dataclasses.replace(column, pretrained=None, embeddings_initializer=None, trainable=True)
