"""PNN (Qu et al., ICDM 2016).

Departures from the paper: embeddings and products go to one first layer side by side, as in its
figure; the inner products are taken in full, not factorized (F is small against D of that layer);
numbers enter the tower as they are; a linear part is added where two lists of columns are given.
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
from deeprec_tf.layers.interaction.inner_products import InnerProducts
from deeprec_tf.layers.interaction.kernel_products import KernelProducts
from deeprec_tf.layers.interaction.outer_product import OuterProduct
from deeprec_tf.registry import register_model
from deeprec_tf.tasks import compiled, prediction

_PRODUCTS = {"inner": InnerProducts, "outer": OuterProduct, "kernel": KernelProducts}


@register_model(
    family="ranking",
    year=2016,
    url="https://arxiv.org/abs/1611.00144",
    paper="Product-based Neural Networks for User Response Prediction",
    needs=("fields",),
)
def PNN(
    linear_feature_columns,
    dnn_feature_columns=None,
    *,
    product_type="inner",
    hidden_units=(256, 128, 64),
    activation="relu",
    dropout=0.0,
    batch_norm=False,
    task="binary",
    optimizer="adam",
    loss=None,
    metrics=None,
    jit_compile="auto",
    name="pnn",
):
    """A tower over the embeddings and the products of all pairs of fields.

    Args:
        linear_feature_columns: the columns; those of a linear part, which the paper does not
            have, when the second list is given.
        dnn_feature_columns: columns of the products and the tower when a linear part is wanted;
            the categorical ones need one embedding_dim. Numbers go to the tower only.
        product_type: "inner": <v_i, v_j> a pair; "outer": the outer product of the sum of all
            fields, the paper's cheap form; "kernel": v_iᵀ K_ij v_j a pair, K learned.
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
        ValueError: no categorical column, one field where pairs are wanted, fields of different
            widths, or an unknown product_type.

    Example:
        >>> PNN([SparseFeat("user", 10), SparseFeat("item", 20)]).output_shape
        (None, 1)

    References:
        Qu et al., Product-based Neural Networks for User Response Prediction, ICDM 2016.
    """
    if product_type not in _PRODUCTS:
        raise ValueError(
            f"PNN: product_type must be one of {tuple(_PRODUCTS)}, got {product_type!r}."
        )
    linear, columns = interaction_columns(
        linear_feature_columns, dnn_feature_columns, has_linear=False
    )
    feature_columns = merge_columns(linear, columns)
    inputs = build_input_layers(feature_columns)
    tables = build_embedding_layers(columns, linear_feature_columns=linear)
    groups, dense = field_groups(columns, owner="PNN")
    refuse_sequences("PNN", dense)
    fields = field_lookup(inputs, tables, [c for group in groups.values() for c in group])

    # The product layer: z, the embeddings, and p, the products.
    flat = [
        keras.layers.Flatten(name="flat")(fields),  # (B, F·D)
        _PRODUCTS[product_type](name="products")(fields),  # (B, pairs) or (B, D²)
    ]
    if dense:
        flat.append(embedding_lookup(inputs, tables, dense))
    tower = MLP(
        hidden_units, activation=activation, dropout=dropout, batch_norm=batch_norm, name="tower"
    )(concat(flat))
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
