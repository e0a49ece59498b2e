"""BST: Behavior Sequence Transformer (Chen et al., DLP-KDD 2019).

Departures from the paper:
- elements, item features beside their position, are projected to `hidden_size`, so that any widths
  go with any number of heads;
- where only the target's output is read, the last block computes only that one: the same numbers
  for a fraction of the cost;
- times are put into buckets of doubling width.
"""

import keras

from deeprec_tf.engine import RecModel
from deeprec_tf.inputs import (
    build_embedding_layers,
    build_input_layers,
    concat,
    embedding_lookup,
    padding_mask,
    refuse_sequences,
)
from deeprec_tf.layers.attention.transformer_block import TransformerBlock
from deeprec_tf.layers.core.mlp import MLP
from deeprec_tf.layers.core.sequence_pooling import SequencePooling
from deeprec_tf.layers.sequence.flat_steps import FlatSteps
from deeprec_tf.layers.sequence.target_distance import TargetDistance
from deeprec_tf.registry import register_model
from deeprec_tf.roles import leave_out, split_by_role, split_off_time
from deeprec_tf.tasks import compiled, prediction

READOUTS = ("target", "flatten", "mean")
TIME_BUCKETS = 16  # the last one begins after 2^15 - 1 units: 90 years of days


@register_model(
    family="ranking",
    year=2019,
    url="https://arxiv.org/abs/1905.06874",
    paper="Behavior Sequence Transformer for E-commerce Recommendation in Alibaba",
    needs=("target_item", "behaviors"),
    optional=("context",),
)
def BST(
    feature_columns,
    behavior_list,
    *,
    num_heads=8,
    num_layers=1,
    hidden_size=64,
    dropout=0.2,
    readout="target",
    time_column=None,
    time_unit=86400,
    position_width=8,
    hidden_units=(1024, 512, 256),
    activation="leaky_relu",
    task="binary",
    optimizer="adam",
    loss=None,
    metrics=None,
    jit_compile="auto",
    name="bst",
):
    """A Transformer over the behaviors and the target item, which is the last element.

    Each element is the item's features beside a learned vector of its distance to the target, in
    time or in steps. Every element attends to all of them, so the target's output holds what the
    history says about it.

    Args:
        feature_columns: all columns; the history of item column X is `hist_X`. Negatives
            (`neg_hist_X`) are left out, and ignored in batches.
        behavior_list: names of the item columns that have a history.
        num_heads: heads of the attention.
        num_layers: blocks; one was best in the paper.
        hidden_size: width of the blocks, a multiple of `num_heads`.
        dropout: share dropped in blocks and tower.
        readout: what of the last block the tower reads: the output at the "target" (the paper's
            text), all of them side by side ("flatten", its figure), or their "mean".
        time_column: name of the `DenseFeat` that says when the target is shown; the times of the
            behaviors are the `VarLenDenseFeat` of that name with "hist_" before it, in the same
            dtype. int64 for seconds. Positions are distances in steps when None.
        time_unit: what the times count of the finest distance told apart, such as 86400 seconds.
        position_width: width of the position vectors.
        hidden_units: widths of the tower.
        activation: activation of blocks and tower, "prelu" or a Keras activation name.
        task: "binary" or "regression".
        optimizer: Keras optimizer or name.
        loss: the task's own when None.
        metrics: the task's own when None.
        jit_compile: "auto", True or False, as in `keras.Model.compile`.
        name: name of the model.

    Returns:
        A compiled `RecModel` with output (B, 1) named `probability`.

    Raises:
        ValueError: an unknown readout, no block, a hidden_size that is no multiple of num_heads,
            a behavior without its history, another sequence that is not pooled, or a time column
            without its history.

    Example:
        >>> item = SparseFeat("item_id", 100, embedding_dim=8)
        >>> past = SparseFeat("hist_item_id", 100, embedding_dim=8, embedding_name="item_id")
        >>> BST([item, VarLenSparseFeat(past, maxlen=20)], ["item_id"]).output_shape
        (None, 1)

    References:
        Chen et al., Behavior Sequence Transformer for E-commerce Recommendation in Alibaba,
        DLP-KDD 2019.
    """
    if readout not in READOUTS:
        raise ValueError(f"BST: readout must be one of {READOUTS}, got {readout!r}.")
    if num_layers < 1 or hidden_size % num_heads:
        raise ValueError(
            "BST: num_layers must be at least 1 and hidden_size a multiple of num_heads, got "
            f"{num_layers}, {hidden_size} and {num_heads}."
        )
    columns = split_by_role(feature_columns, behavior_list, owner="BST")
    times, context = split_off_time(columns.context, time_column, owner="BST")
    refuse_sequences("BST", context)
    feature_columns, ignored = leave_out(feature_columns, columns.negative_behaviors)
    inputs = build_input_layers(feature_columns)
    tables = build_embedding_layers(feature_columns)

    target = embedding_lookup(inputs, tables, columns.target)  # (B, D)
    behaviors = embedding_lookup(inputs, tables, columns.behaviors)  # (B, T, D)
    mask = padding_mask(inputs, columns.behaviors)  # (B, T), True = real

    # The sequence: history and target, each beside its position.
    maxlen = columns.behaviors[0].maxlen
    target = keras.ops.expand_dims(target, 1)  # (B, 1, D)
    items = keras.layers.Concatenate(axis=1, name="items")([behaviors, target])  # (B, T+1, D)
    padding = keras.ops.cast(keras.ops.logical_not(mask), "float32")
    real = keras.ops.equal(keras.ops.pad(padding, ((0, 0), (0, 1))), 0)  # (B, T+1)
    positions = TargetDistance(
        TIME_BUCKETS if times else maxlen + 1, position_width, time_unit=time_unit, name="positions"
    )(mask, **{word: inputs[column.name] for word, column in times.items()})  # (B, T+1, P)
    sequence = keras.layers.Dense(hidden_size, name="elements")(
        concat([items, positions])
    )  # (B, T+1, d)

    # Blocks; the last one gives only what is read.
    for layer in range(num_layers):
        is_read = layer == num_layers - 1 and readout == "target"
        queries = {"queries": keras.ops.expand_dims(sequence[:, -1], 1)} if is_read else {}
        sequence = TransformerBlock(
            num_heads, activation=activation, dropout=dropout, name=f"block_{layer}"
        )(sequence, sequence_mask=real, **queries)  # (B, T+1, d), or (B, 1, d)

    # Readout.
    if readout == "target":
        interest = keras.ops.squeeze(sequence, axis=1)  # (B, d)
    elif readout == "mean":
        interest = SequencePooling("mean", name="interest")(sequence, real)  # (B, d)
    else:
        history = FlatSteps(maxlen, name="history")(sequence[:, :-1], mask)  # (B, maxlen·d)
        interest = concat([history, sequence[:, -1]])

    # Prediction.
    known = [interest]
    if context:
        known.insert(0, embedding_lookup(inputs, tables, context))  # (B, C)
    tower = MLP(hidden_units, activation=activation, dropout=dropout, name="tower")(concat(known))
    model = RecModel(
        inputs, prediction(tower, task), feature_columns=feature_columns, ignored_inputs=ignored,
        name=name,
    )
    return compiled(
        model, task, optimizer=optimizer, loss=loss, metrics=metrics, jit_compile=jit_compile
    )
