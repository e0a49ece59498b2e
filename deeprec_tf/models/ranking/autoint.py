"""AutoInt: Automatic Feature Interaction Learning (Song et al., CIKM 2019).

Departures from the paper: `hidden_units` adds a tower beside the interacting layers in the same
model (AutoInt+, which the paper trains jointly as well). `additions` and `embedding_dropout` are of
its authors' program, not of the paper; there are none by default.
"""

import keras

from deeprec_tf.engine import RecModel
from deeprec_tf.inputs import (
    build_embedding_layers,
    build_input_layers,
    linear_logit,
    merge_columns,
)
from deeprec_tf.interactions import add_logits, all_fields, interaction_columns
from deeprec_tf.layers.core.dropout import Dropout
from deeprec_tf.layers.core.mlp import MLP
from deeprec_tf.layers.interaction.interacting import InteractingLayer
from deeprec_tf.registry import register_model
from deeprec_tf.tasks import compiled, prediction

ADDITIONS = ("layer_norm", "projection_relu", "scaled_scores")


@register_model(
    family="ranking",
    year=2019,
    url="https://arxiv.org/abs/1810.11921",
    paper="AutoInt: Automatic Feature Interaction Learning via Self-Attentive Neural Networks",
    needs=("fields",),
)
def AutoInt(
    linear_feature_columns,
    dnn_feature_columns=None,
    *,
    num_layers=3,
    num_heads=2,
    head_size=16,
    residual=True,
    additions=(),
    attention_dropout=0.0,
    embedding_dropout=0.0,
    hidden_units=(),
    activation="relu",
    dropout=0.0,
    batch_norm=False,
    task="binary",
    optimizer="adam",
    loss=None,
    metrics=None,
    jit_compile="auto",
    name="autoint",
):
    """Self-attention among the fields, a few layers deep: each raises the order.

    Args:
        linear_feature_columns: all columns, if it is the only list; then there is no linear part,
            as in the paper. With a second list, the columns of a linear part, which is added.
        dnn_feature_columns: columns of the interactions; the categorical ones need one
            embedding_dim. A number is a field, its value times a learned vector.
        num_layers: interacting layers, at least one.
        num_heads: heads of each.
        head_size: width of a head.
        residual: whether a layer adds what it reads, through a projection where the widths differ
            (as in the first layer, as a rule); "project" has one in every layer, as the authors'
            program does.
        additions: what the authors' program adds to the paper's layers, some of "layer_norm", the
            result normalized field by field, "projection_relu", a ReLU on every projection, and
            "scaled_scores", divided by the root of a head's width.
        attention_dropout: share of the attention weights that is dropped.
        embedding_dropout: share of the fields' embeddings that is dropped.
        hidden_units: widths of a tower beside the attention (AutoInt+); none by default.
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
        ValueError: no interacting layer, no categorical column, fields of different widths, or an
            unknown residual or addition.

    Example:
        >>> AutoInt([SparseFeat("user", 10), SparseFeat("item", 20)]).output_shape
        (None, 1)

    References:
        Song et al., AutoInt: Automatic Feature Interaction Learning via Self-Attentive Neural
        Networks, CIKM 2019.
    """
    if num_layers < 1:
        raise ValueError(f"AutoInt: num_layers must be at least 1, got {num_layers!r}.")
    if isinstance(additions, str) or not set(additions) <= set(ADDITIONS):
        raise ValueError(f"AutoInt: additions must be some of {ADDITIONS}, got {additions!r}.")
    linear, columns = interaction_columns(
        linear_feature_columns, dnn_feature_columns, has_linear=False
    )
    feature_columns = merge_columns(linear, columns)
    inputs = build_input_layers(feature_columns)
    tables = build_embedding_layers(columns, linear_feature_columns=linear)
    fields = all_fields(inputs, tables, columns, owner="AutoInt")  # (B, F, D)

    if embedding_dropout:
        fields = Dropout(embedding_dropout, name="embedding_dropout")(fields)

    # Interacting layers: each field gathers what bears on it.
    interactions = fields
    for i in range(num_layers):
        interactions = InteractingLayer(
            num_heads, head_size, residual=residual, dropout=attention_dropout,
            projection_relu="projection_relu" in additions,
            scaled_scores="scaled_scores" in additions, name=f"interacting_{i}",
        )(interactions)  # (B, F, H·d')
        if "layer_norm" in additions:
            norm = keras.layers.LayerNormalization(epsilon=1e-6, name=f"norm_{i}")
            interactions = norm(interactions)
    flat = keras.layers.Flatten(name="flat_interactions")(interactions)
    dense_to_one = {"use_bias": False, "dtype": "float32"}
    logits = [keras.layers.Dense(1, name="interaction_logit", **dense_to_one)(flat)]

    # AutoInt+: a tower over the same embeddings.
    if hidden_units:
        tower = MLP(
            hidden_units, activation=activation, dropout=dropout, batch_norm=batch_norm,
            name="tower",
        )(keras.layers.Flatten(name="flat_fields")(fields))
        logits.append(keras.layers.Dense(1, name="tower_logit", **dense_to_one)(tower))

    if linear:
        logits.append(linear_logit(inputs, linear, tables))
    logit = add_logits(logits)  # (B, 1)
    model = RecModel(
        inputs, prediction(logit, task, is_logit=True), feature_columns=feature_columns, name=name
    )
    return compiled(
        model, task, optimizer=optimizer, loss=loss, metrics=metrics, jit_compile=jit_compile
    )
