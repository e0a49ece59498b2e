"""Wide & Deep (Cheng et al., DLRS 2016).

Departure from the paper: one optimizer trains both parts (the paper uses FTRL for the wide and
AdaGrad for the deep one); crossed columns are made in the data.
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
    url="https://arxiv.org/abs/1606.07792",
    paper="Wide & Deep Learning for Recommender Systems",
    needs=("fields",),
    aliases=("WDL",),
)
def WideDeep(
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
    name="wide_deep",
):
    """A linear model that memorizes beside a tower that generalizes.

    Args:
        linear_feature_columns: columns of the wide part; of both parts when the second list is
            left out.
        dnn_feature_columns: columns of the deep part.
        hidden_units: widths of the tower.
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
        ValueError: a list without columns, or a sequence that is not pooled.

    Example:
        >>> WideDeep([SparseFeat("user", 10), SparseFeat("item", 20)]).output_shape
        (None, 1)

    References:
        Cheng et al., Wide & Deep Learning for Recommender Systems, DLRS 2016.
    """
    linear, columns = interaction_columns(
        linear_feature_columns, dnn_feature_columns, has_linear=True
    )
    feature_columns = merge_columns(linear, columns)
    inputs = build_input_layers(feature_columns)
    tables = build_embedding_layers(columns, linear_feature_columns=linear)

    # Deep: embeddings through the tower.
    refuse_sequences("WideDeep", columns)
    flat = embedding_lookup(inputs, tables, columns)  # (B, C)
    tower = MLP(
        hidden_units, activation=activation, dropout=dropout, batch_norm=batch_norm, name="tower"
    )(flat)
    deep = keras.layers.Dense(1, use_bias=False, name="tower_logit", dtype="float32")(
        tower
    )  # (B, 1)

    # Wide: one weight an id.
    wide = linear_logit(inputs, linear, tables)  # (B, 1)

    logit = add_logits([wide, deep])
    model = RecModel(
        inputs, prediction(logit, task, is_logit=True), feature_columns=feature_columns, name=name
    )
    return compiled(
        model, task, optimizer=optimizer, loss=loss, metrics=metrics, jit_compile=jit_compile
    )
