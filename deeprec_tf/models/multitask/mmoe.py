"""MMoE: Multi-gate Mixture-of-Experts (Ma et al., KDD 2018).

Departures from the paper: experts of any number of layers; gates may have hidden layers, or let
each expert through by itself (`gate_activation="sigmoid"`).
"""

from deeprec_tf.layers.core.mlp import MLP
from deeprec_tf.layers.multitask.expert_gate import ExpertGate
from deeprec_tf.multitask import multitask_model, side_by_side, task_head, task_types_of
from deeprec_tf.registry import register_model


@register_model(
    family="multitask",
    year=2018,
    url="https://dl.acm.org/doi/10.1145/3219819.3220007",
    paper="Modeling Task Relationships in Multi-task Learning with Multi-gate Mixture-of-Experts",
    needs=("fields",),
    aliases=("MMOE",),
)
def MMoE(
    feature_columns,
    *,
    task_names=("ctr", "cvr"),
    task_types=None,
    expert_units=(256, 128),
    num_experts=3,
    task_hidden_units=(64,),
    expert_activation="relu",
    gate_activation="softmax",
    gate_hidden_units=(),
    dropout=0.0,
    batch_norm=False,
    loss_weighting="fixed",
    optimizer="adam",
    loss=None,
    metrics=None,
    jit_compile="auto",
    name="mmoe",
):
    """Experts that all tasks share, mixed by a gate of each task's own.

    Args:
        feature_columns: the columns; histories are pooled by their combiner.
        task_names: names of the tasks, which outputs and labels go by.
        task_types: "binary", "regression" or the number of classes, one a task; all binary when
            None.
        expert_units: widths of an expert.
        num_experts: number of experts E, 3 to 8 as a rule.
        task_hidden_units: widths of each task's tower.
        expert_activation: "dice", "prelu" or a Keras activation name, of experts and towers.
        gate_activation: "softmax" (paper) or "sigmoid".
        gate_hidden_units: widths of hidden layers in the gates; none in the paper.
        dropout: share dropped in experts and towers.
        batch_norm: batch normalization in experts and towers.
        loss_weighting: "fixed", "uncertainty", "gradnorm", "metabalance", "dwa", "pcgrad", weights
            one a task, or a `deeprec_tf.layers.LossBalance`.
        optimizer: Keras optimizer or name.
        loss: losses by task; those of the types when None.
        metrics: metrics by task; those of the types when None.
        jit_compile: "auto", True or False, as in `keras.Model.compile`.
        name: name of the model.

    Returns:
        A compiled `RecModel` with a dict of outputs by task, (B, 1) each, (B, classes) for several
        classes.

    Raises:
        ValueError: tasks and types that do not go together, fewer than one expert, an unknown
            weighting or activation, or a sequence that is not pooled (combiner "none").

    Example:
        >>> model = MMoE([SparseFeat("user", 10), SparseFeat("item", 20)], num_experts=4)
        >>> sorted(model.output)
        ['ctr', 'cvr']

    References:
        Ma et al., Modeling Task Relationships in Multi-task Learning with Multi-gate
        Mixture-of-Experts, KDD 2018.
    """
    if num_experts < 1:
        raise ValueError(f"MMoE: num_experts must be at least 1, got {num_experts!r}.")
    tasks = task_types_of("MMoE", task_names, task_types)
    inputs, flat = side_by_side("MMoE", feature_columns)  # flat (B, C)
    tower = {"activation": expert_activation, "dropout": dropout, "batch_norm": batch_norm}

    names = [f"expert_{e}" for e in range(num_experts)]
    experts = [MLP(expert_units, **tower, name=expert)(flat) for expert in names]  # E of (B, D)

    predictions = {}
    for task, kind in tasks.items():
        gate = ExpertGate(gate_activation, hidden_units=gate_hidden_units, name=f"{task}_gate")
        mixed = gate(flat, experts)  # (B, D)
        hidden = MLP(task_hidden_units, **tower, name=f"{task}_tower")(mixed)
        predictions[task] = task_head(hidden, task, kind)
    return multitask_model(
        inputs, predictions, tasks, feature_columns=feature_columns, shared_layers=names,
        loss_weighting=loss_weighting, optimizer=optimizer, loss=loss, metrics=metrics,
        jit_compile=jit_compile, name=name,
    )
