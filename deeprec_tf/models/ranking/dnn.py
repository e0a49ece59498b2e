"""The base line of every table: embeddings and a tower (Covington et al., RecSys 2016).

Departure from the paper: a point-wise probability instead of its weighted regression of watch time;
histories are ordinary multi-valued columns, pooled by their combiner.
"""

import keras

from deeprec_tf.engine import RecModel
from deeprec_tf.inputs import (
    build_embedding_layers,
    build_input_layers,
    embedding_lookup,
    linear_logit,
    merge_columns,
    refuse_sequences,
)
from deeprec_tf.interactions import add_logits, interaction_columns
from deeprec_tf.layers.core.mlp import MLP
from deeprec_tf.registry import register_model
from deeprec_tf.tasks import compiled, prediction


@register_model(
    family="ranking",
    year=2016,
    url="https://dl.acm.org/doi/10.1145/2959100.2959190",
    paper="Deep Neural Networks for YouTube Recommendations",
    needs=("fields",),
)
def DNN(
    linear_feature_columns,
    dnn_feature_columns=None,
    *,
    hidden_units=(256, 128, 64),
    activation="relu",
    dropout=0.0,
    batch_norm=False,
    task="binary",
    optimizer="adam",
    loss=None,
    metrics=None,
    jit_compile="auto",
    name="dnn",
):
    """Embeddings through a tower; histories pooled, so a base line of behavior models too.

    Args:
        linear_feature_columns: the columns; those of a linear part, which the paper does not
            have, when the second list is given.
        dnn_feature_columns: columns of the tower when a linear part is wanted; of any width.
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
        ValueError: no columns, or a sequence that is not pooled (combiner "none").

    Example:
        >>> DNN([SparseFeat("user", 10), SparseFeat("item", 20), DenseFeat("price")]).output_shape
        (None, 1)

    References:
        Covington et al., Deep Neural Networks for YouTube Recommendations, RecSys 2016.
    """
    linear, columns = interaction_columns(
        linear_feature_columns, dnn_feature_columns, has_linear=False
    )
    feature_columns = merge_columns(linear, columns)
    inputs = build_input_layers(feature_columns)
    tables = build_embedding_layers(columns, linear_feature_columns=linear)

    # Everything side by side, through the tower.
    refuse_sequences("DNN", columns)
    flat = embedding_lookup(inputs, tables, columns)  # (B, C)
    tower = MLP(
        hidden_units, activation=activation, dropout=dropout, batch_norm=batch_norm, name="tower"
    )(flat)
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
