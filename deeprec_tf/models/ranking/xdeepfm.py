"""xDeepFM (Lian et al., KDD 2018).

Departures from the paper: numbers enter the linear part and the tower as they are, not as fields
of the interaction network; `split_half`, from the authors' code, is an option.
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
from deeprec_tf.interactions import add_logits, interaction_columns, refuse_unread
from deeprec_tf.layers.core.mlp import MLP
from deeprec_tf.layers.interaction.cin import CIN
from deeprec_tf.registry import register_model
from deeprec_tf.tasks import compiled, prediction


@register_model(
    family="ranking",
    year=2018,
    url="https://arxiv.org/abs/1803.05170",
    paper="xDeepFM: Combining Explicit and Implicit Feature Interactions for Recommender Systems",
    needs=("fields",),
)
def xDeepFM(
    linear_feature_columns,
    dnn_feature_columns=None,
    *,
    cin_sizes=(128, 128),
    cin_activation="linear",
    split_half=False,
    hidden_units=(256, 128, 64),
    activation="relu",
    dropout=0.0,
    batch_norm=False,
    task="binary",
    optimizer="adam",
    loss=None,
    metrics=None,
    jit_compile="auto",
    name="xdeepfm",
):
    """Linear part + compressed interaction network + tower over the same embeddings.

    Args:
        linear_feature_columns: columns of the linear part; of everything when the second list
            is left out.
        dnn_feature_columns: columns of the interaction network and the tower; the categorical
            ones need one embedding_dim. Numbers go to the tower only.
        cin_sizes: feature maps of each layer of the interaction network.
        cin_activation: "linear", which the paper found best, "relu" or another name.
        split_half: half of a layer's maps go on, the other half to the output; off, all to both.
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
        ValueError: no categorical column, fields of different widths, sizes that cannot be
            split, or a number that only the tower would read where there is none.

    Example:
        >>> xDeepFM([SparseFeat("user", 10), SparseFeat("item", 20)], cin_sizes=(8, 8)).output_shape
        (None, 1)

    References:
        Lian et al., xDeepFM: Combining Explicit and Implicit Feature Interactions for Recommender
        Systems, KDD 2018.
    """
    linear, columns = interaction_columns(
        linear_feature_columns, dnn_feature_columns, has_linear=True
    )
    feature_columns = merge_columns(linear, columns)
    inputs = build_input_layers(feature_columns)
    tables = build_embedding_layers(columns, linear_feature_columns=linear)
    groups, dense = field_groups(columns, owner="xDeepFM")
    refuse_sequences("xDeepFM", dense)
    if not hidden_units:
        refuse_unread("xDeepFM", linear, dense)
    fields = field_lookup(inputs, tables, [c for group in groups.values() for c in group])

    # Explicit interactions of bounded order, vector by vector.
    maps = CIN(cin_sizes, activation=cin_activation, split_half=split_half, name="cin")(fields)
    logits = [keras.layers.Dense(1, use_bias=False, name="cin_logit", dtype="float32")(maps)]

    # First order.
    if linear:
        logits.append(linear_logit(inputs, linear, tables))  # (B, 1)

    # Implicit interactions of any order, element by element.
    if hidden_units:
        flat = [keras.layers.Flatten(name="flat")(fields)]  # (B, F·D)
        if dense:
            flat.append(embedding_lookup(inputs, tables, dense))
        tower = MLP(
            hidden_units, activation=activation, dropout=dropout, batch_norm=batch_norm,
            name="tower",
        )(concat(flat))
        logits.append(
            keras.layers.Dense(1, use_bias=False, name="tower_logit", dtype="float32")(tower)
        )
    logit = add_logits(logits)  # (B, 1)
    model = RecModel(
        inputs, prediction(logit, task, is_logit=True), feature_columns=feature_columns, name=name
    )
    return compiled(
        model, task, optimizer=optimizer, loss=loss, metrics=metrics, jit_compile=jit_compile
    )
