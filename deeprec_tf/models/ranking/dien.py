"""DIEN: Deep Interest Evolution Network (Zhou et al., AAAI 2019).

Departures from the paper:
- attention that scales AUGRU's update gate is the paper's; the authors' code scales the keep
  gate instead, to be had with `update_gate="released"`;
- the auxiliary loss is the mean over real steps (the paper sums over a row's steps and averages
  over rows), so its weight does not depend on the length of the histories;
- the tower also sees the sum of the behaviors and its product with the target, as in the
  authors' code.
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
from deeprec_tf.layers.attention.bilinear_attention import BilinearAttention
from deeprec_tf.layers.attention.local_activation_unit import LocalActivationUnit
from deeprec_tf.layers.core.mlp import MLP
from deeprec_tf.layers.core.sequence_pooling import SequencePooling
from deeprec_tf.layers.recurrent.cells import UPDATE_GATES
from deeprec_tf.layers.recurrent.dynamic_gru import DynamicGRU
from deeprec_tf.layers.sequence.next_behavior_loss import NextBehaviorLoss
from deeprec_tf.registry import register_model
from deeprec_tf.roles import leave_out, split_by_role
from deeprec_tf.tasks import compiled, prediction

GRU_TYPES = ("GRU", "AIGRU", "AGRU", "AUGRU")


@register_model(
    family="ranking",
    year=2019,
    url="https://arxiv.org/abs/1809.03672",
    paper="Deep Interest Evolution Network for Click-Through Rate Prediction",
    needs=("target_item", "behaviors"),
    optional=("context", "negative_behaviors"),
)
def DIEN(
    feature_columns,
    behavior_list,
    *,
    gru_type="AUGRU",
    use_negsampling=None,
    interest_units=None,
    attention="bilinear",
    attention_units=(80, 40),
    aux_type="inner",
    auxiliary_weight=1.0,
    update_gate="paper",
    hidden_units=(200, 80),
    activation="dice",
    dropout=0.0,
    task="binary",
    optimizer="adam",
    loss=None,
    metrics=None,
    jit_compile="auto",
    name="dien",
):
    """Models how a user's interests evolve towards the target item.

    A GRU reads the behaviors (interest extraction), attention weighs its states by the target,
    and a second recurrence whose update gate the attention scales follows the interest that
    bears on the target (interest evolution).

    Args:
        feature_columns: all columns; the history of item column X is `hist_X`, its sampled
            negatives `neg_hist_X`; steps without one are no part of the auxiliary loss.
        behavior_list: names of the item columns that have a history.
        gru_type: the second recurrence: "AUGRU", "AGRU", "AIGRU" (a GRU over a_t·h_t), or "GRU"
            (states of a plain GRU, pooled by attention).
        use_negsampling: whether the auxiliary loss is trained; None where `neg_hist_` columns
            are given, True without them is an error, False leaves those columns out (batches may
            still hold them).
        interest_units: width of the interest states; that of a behavior when None, as the inner
            product of the auxiliary loss has it.
        attention: "bilinear" (paper: h_t W e) or "mlp" (released code: local activation unit).
        attention_units: hidden widths of the "mlp" attention.
        aux_type: score of the auxiliary loss, "inner" (paper) or "mlp" (released code).
        auxiliary_weight: factor of the auxiliary loss.
        update_gate: "paper" or "released", see `DynamicGRU`.
        hidden_units: widths of the tower.
        activation: "dice", "prelu" or a Keras activation name, in tower and "mlp" attention.
        dropout: share dropped in the tower, one number or one a layer.
        task: "binary" or "regression".
        optimizer: Keras optimizer or name.
        loss: the task's own when None.
        metrics: the task's own when None.
        jit_compile: "auto", True or False, as in `keras.Model.compile`.
        name: name of the model.

    Returns:
        A compiled `RecModel` with output (B, 1) named `probability`.

    Raises:
        ValueError: an unknown choice, a behavior without its history, another sequence that is
            not pooled, or `use_negsampling=True` without negatives.

    Example:
        >>> item = SparseFeat("item_id", 100, embedding_dim=8)
        >>> past = SparseFeat("hist_item_id", 100, embedding_dim=8, embedding_name="item_id")
        >>> DIEN([item, VarLenSparseFeat(past, maxlen=20)], ["item_id"]).output_shape
        (None, 1)

    References:
        Zhou et al., Deep Interest Evolution Network for Click-Through Rate Prediction, AAAI 2019.
    """
    for label, value, known in (
        ("gru_type", gru_type, GRU_TYPES),
        ("attention", attention, ("bilinear", "mlp")),
        ("aux_type", aux_type, ("inner", "mlp")),
        ("update_gate", update_gate, UPDATE_GATES),
    ):
        if value not in known:
            raise ValueError(f"DIEN: {label} must be one of {known}, got {value!r}.")
    columns = split_by_role(feature_columns, behavior_list, owner="DIEN")
    refuse_sequences("DIEN", columns.context)
    if use_negsampling and not columns.negative_behaviors:
        raise ValueError(
            "DIEN: use_negsampling=True, but no 'neg_hist_' columns were given. Add "
            f"'neg_hist_{behavior_list[0]}' or leave use_negsampling out."
        )
    unused = columns.negative_behaviors if use_negsampling is False else ()
    feature_columns, ignored = leave_out(feature_columns, unused)
    inputs = build_input_layers(feature_columns)
    tables = build_embedding_layers(feature_columns)

    target = embedding_lookup(inputs, tables, columns.target)  # (B, D)
    behaviors = embedding_lookup(inputs, tables, columns.behaviors)  # (B, T, D)
    mask = padding_mask(inputs, columns.behaviors)  # (B, T), True = real

    # Interest extraction: what the user wanted at each step.
    states = DynamicGRU(interest_units, return_sequences=True, name="interest_extractor")(
        behaviors, sequence_mask=mask
    )  # (B, T, n)

    # Interest evolution: how the wants that bear on the target moved.
    if attention == "bilinear":
        relevance = BilinearAttention(name="relevance")(target, states, mask)  # (B, T)
    else:
        query = target
        if states.shape[-1] != target.shape[-1]:
            query = keras.layers.Dense(states.shape[-1], use_bias=False, name="query")(target)
        relevance = LocalActivationUnit(
            attention_units, activation=activation, normalize=True, name="relevance"
        )(query, states, behaviors_mask=mask)  # (B, T)
    if gru_type == "GRU":
        evolved = DynamicGRU(return_sequences=True, name="interest_evolution")(
            states, sequence_mask=mask
        )  # (B, T, n)
        interest = SequencePooling("sum", weight_norm=False, name="interest")(
            evolved, mask, relevance
        )  # (B, n)
    elif gru_type == "AIGRU":
        weighted = keras.layers.Multiply(name="weighted_states")(
            [states, keras.ops.expand_dims(relevance, -1)]
        )  # (B, T, n)
        interest = DynamicGRU(name="interest_evolution")(weighted, sequence_mask=mask)  # (B, n)
    else:
        interest = DynamicGRU(
            gru_type=gru_type, update_gate=update_gate, name="interest_evolution"
        )(states, relevance, sequence_mask=mask)  # (B, n)

    # Prediction from the interest, the target and everything else that is known.
    pooled = SequencePooling("sum", name="behavior_sum")(behaviors, mask)  # (B, D)
    product = keras.layers.Multiply(name="target_product")([target, pooled])  # (B, D)
    known = [target, interest, pooled, product]
    if columns.context:
        known.insert(0, embedding_lookup(inputs, tables, columns.context))  # (B, C)
    tower = MLP(hidden_units, activation=activation, dropout=dropout, name="tower")(concat(known))
    output = prediction(tower, task)  # (B, 1)

    if columns.negative_behaviors and use_negsampling is not False:
        negatives = embedding_lookup(inputs, tables, columns.negative_behaviors)  # (B, T, D)
        ids = inputs[columns.negative_behaviors[0].name]  # (B, T), or (B, T, K) of several a step
        negatives_mask = keras.ops.not_equal(ids, 0)  # no item stands at padding
        output = NextBehaviorLoss(auxiliary_weight, aux_type=aux_type, name="auxiliary_loss")(
            output, states, behaviors, negatives, mask, negatives_mask
        )
    model = RecModel(
        inputs, output, feature_columns=feature_columns, ignored_inputs=ignored, name=name
    )
    return compiled(
        model, task, optimizer=optimizer, loss=loss, metrics=metrics, jit_compile=jit_compile
    )
