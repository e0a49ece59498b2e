"""EDCN (Chen et al., DLP-KDD 2021).

Departures from the paper: the bit-wise gating unit (BGU) and `gate_scale` are additions; numbers
are embedded as a value times a learned vector instead of being cut into intervals; the temperature
stays as given instead of being annealed; a tower on the last three vectors is an option, and so is
batch normalization, which comes behind the gates too, as in the public benchmarks of this model:
without it L Hadamard bridges multiply 2^L small factors, and nothing is left of the inputs.
"""

import keras

from deeprec_tf.engine import RecModel
from deeprec_tf.inputs import (
    build_embedding_layers,
    build_input_layers,
    concat,
    linear_logit,
    merge_columns,
)
from deeprec_tf.interactions import add_logits, all_fields, interaction_columns
from deeprec_tf.layers.core.mlp import MLP
from deeprec_tf.layers.interaction.bridge import Bridge
from deeprec_tf.layers.interaction.regulation_gate import RegulationGate
from deeprec_tf.layers.interaction.vector_cross import VectorCross
from deeprec_tf.registry import register_model
from deeprec_tf.tasks import compiled, prediction


@register_model(
    family="ranking",
    year=2021,
    url="https://dlp-kdd.github.io/assets/pdf/DLP-KDD_2021_paper_12.pdf",
    paper="Enhancing Explicit and Implicit Feature Interactions via Information Sharing for "
    "Parallel Deep CTR Models",
    needs=("fields",),
)
def EDCN(
    linear_feature_columns,
    dnn_feature_columns=None,
    *,
    cross_num=3,
    gate_type="FGU",
    bridge_type="concatenation",
    temperature=1.0,
    gate_scale=False,
    hidden_units=(),
    activation="relu",
    dropout=0.0,
    batch_norm=False,
    task="binary",
    optimizer="adam",
    loss=None,
    metrics=None,
    jit_compile="auto",
    name="edcn",
):
    """DCN's two branches, which share what they found after every layer.

    A layer regulates its input for each branch, c = g^c ∘ y and d = g^d ∘ y, crosses
    x = x_0 (cᵀ w) + b + c beside h = ReLU(W d + b), and bridges them to the next y.

    Args:
        linear_feature_columns: the columns. The paper has no linear part, so one is added
            only where the second list is given too: of these columns then.
        dnn_feature_columns: columns of the two branches, at least one categorical; all
            of one embedding_dim; the first list when None.
        cross_num: number of layers, 1 or more.
        gate_type: "FGU", a gate a field, "BGU", a gate an element, or None for no regulation.
        bridge_type: "concatenation", "pointwise_addition", "hadamard_product" or
            "attention_pooling".
        temperature: of the gates' softmax; large ones make the gates equal.
        gate_scale: gates of 1 on average instead of 1 in sum.
        hidden_units: widths of a tower on the last cross, deep and bridge vector; empty for none.
        activation: of the deep branch and the tower; "dice", "prelu" or a Keras activation name.
        dropout: share dropped after each deep layer and in the tower.
        batch_norm: batch normalization behind the gates, in the deep branch and the tower; wanted
            with "hadamard_product", whose products of products otherwise vanish.
        task: "binary" or "regression".
        optimizer: Keras optimizer or name.
        loss: the task's own when None.
        metrics: the task's own when None.
        jit_compile: "auto", True or False, as in `keras.Model.compile`.
        name: name of the model.

    Returns:
        A compiled `RecModel` with output (B, 1) named `probability`.

    Raises:
        ValueError: no categorical column, fields of different widths, a column that stays a
            sequence, fewer than one layer, or an unknown gate or bridge.

    Example:
        >>> columns = [SparseFeat("user", 10), SparseFeat("item", 20), DenseFeat("price")]
        >>> EDCN(columns, cross_num=2, bridge_type="hadamard_product").output_shape
        (None, 1)

    References:
        Chen et al., Enhancing Explicit and Implicit Feature Interactions via Information Sharing
        for Parallel Deep CTR Models, DLP-KDD 2021.
    """
    if cross_num < 1:
        raise ValueError(f"EDCN: cross_num must be 1 or more, got {cross_num!r}.")
    linear, columns = interaction_columns(
        linear_feature_columns, dnn_feature_columns, has_linear=False
    )
    feature_columns = merge_columns(linear, columns)
    inputs = build_input_layers(feature_columns)
    tables = build_embedding_layers(columns, linear_feature_columns=linear)
    fields = all_fields(inputs, tables, columns, owner="EDCN")  # (B, F, D)
    num_fields, width = fields.shape[1], fields.shape[1] * fields.shape[2]
    block = {"activation": activation, "dropout": dropout, "batch_norm": batch_norm}

    def regulated(vector, name):
        if gate_type is None:
            return vector
        vector = RegulationGate(
            num_fields, gate_type, temperature=temperature, scale=gate_scale, name=name
        )(vector)
        if not batch_norm:
            return vector
        return keras.layers.BatchNormalization(
            momentum=0.9, epsilon=1e-5, name=f"{name}_norm"
        )(vector)

    shared = keras.layers.Flatten(name="flat")(fields)  # (B, n), n = F·D
    x0 = None
    for i in range(cross_num):
        # Regulation: which fields each branch is to look at.
        c = regulated(shared, f"cross_gate_{i}")
        d = regulated(shared, f"deep_gate_{i}")

        # Both branches.
        x0 = c if x0 is None else x0
        cross = VectorCross(name=f"cross_{i}")(x0, c)
        deep = MLP((width,), **block, name=f"deep_{i}")(d)

        # Bridge: what they found is the next layer's input.
        shared = Bridge(bridge_type, name=f"bridge_{i}")(cross, deep)

    output = concat([cross, deep, shared])  # (B, 3n)
    if hidden_units:
        output = MLP(hidden_units, **block, name="tower")(output)
    logits = [keras.layers.Dense(1, use_bias=False, name="branches_logit", dtype="float32")(output)]
    if linear:
        logits.append(linear_logit(inputs, linear, tables))
    logit = add_logits(logits)  # (B, 1)
    model = RecModel(
        inputs, prediction(logit, task, is_logit=True), feature_columns=feature_columns, name=name
    )
    return compiled(
        model, task, optimizer=optimizer, loss=loss, metrics=metrics, jit_compile=jit_compile
    )
