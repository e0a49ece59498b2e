"""PLE: Progressive Layered Extraction (Tang et al., RecSys 2020).

Departures from the paper: a gate is one matrix, as in its equations; experts of any number of
layers a level. `num_layers=1` is the paper's CGC.
"""

from deeprec_tf.layers.core.mlp import MLP
from deeprec_tf.layers.multitask.expert_gate import ExpertGate
from deeprec_tf.multitask import multitask_model, side_by_side, task_head, task_types_of
from deeprec_tf.registry import register_model


@register_model(
    family="multitask",
    year=2020,
    url="https://dl.acm.org/doi/10.1145/3383313.3412236",
    paper="Progressive Layered Extraction (PLE): A Novel Multi-Task Learning (MTL) Model for "
    "Personalized Recommendations",
    needs=("fields",),
)
def PLE(
    feature_columns,
    *,
    task_names=("ctr", "cvr"),
    task_types=None,
    expert_units=(256,),
    num_experts=1,
    num_shared_experts=1,
    num_layers=2,
    task_hidden_units=(64,),
    activation="relu",
    dropout=0.0,
    batch_norm=False,
    loss_weighting="fixed",
    optimizer="adam",
    loss=None,
    metrics=None,
    jit_compile="auto",
    name="ple",
):
    """Experts of each task beside shared ones, in levels.

    A task's gate mixes its own and the shared experts, selected by what the task's gate of the
    level below gave; the shared gate mixes all experts. The last level has no shared gate.

    Args:
        feature_columns: the columns; histories are pooled by their combiner.
        task_names: names of the tasks, which outputs and labels go by.
        task_types: "binary", "regression" or the number of classes, one a task; all binary when
            None.
        expert_units: widths of an expert, at each level.
        num_experts: experts of each task's own, a level; 0 leaves the shared ones alone.
        num_shared_experts: experts shared by all tasks, a level; 0 for none.
        num_layers: number of levels; 1 is the paper's CGC.
        task_hidden_units: widths of each task's tower.
        activation: "dice", "prelu" or a Keras activation name, of experts and towers.
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
        ValueError: tasks and types that do not go together, no experts, no level, an unknown
            weighting, or a sequence that is not pooled (combiner "none").

    Example:
        >>> model = PLE([SparseFeat("user", 10), SparseFeat("item", 20)], num_shared_experts=2)
        >>> sorted(model.output)
        ['ctr', 'cvr']

    References:
        Tang et al., Progressive Layered Extraction (PLE): A Novel Multi-Task Learning (MTL) Model
        for Personalized Recommendations, RecSys 2020.
    """
    counts = {"num_experts": num_experts, "num_shared_experts": num_shared_experts}
    if min(counts.values()) < 0 or not any(counts.values()) or num_layers < 1:
        raise ValueError(
            f"PLE: there must be an expert and a level, got {counts}, num_layers={num_layers!r}."
        )
    tasks = task_types_of("PLE", task_names, task_types)
    inputs, flat = side_by_side("PLE", feature_columns)  # flat (B, C)
    tower = {"activation": activation, "dropout": dropout, "batch_norm": batch_norm}

    def experts(owner, count, x):
        return [MLP(expert_units, **tower, name=f"{owner}_expert_{e}")(x) for e in range(count)]

    states, shared_state = dict.fromkeys(tasks, flat), flat
    for level in range(num_layers):
        at = f"level_{level}"
        own = {task: experts(f"{at}_{task}", num_experts, x) for task, x in states.items()}
        shared = experts(f"{at}_shared", num_shared_experts, shared_state)

        # Each task chooses among its own and the shared experts, the shared state among all.
        states = {
            task: ExpertGate(name=f"{at}_{task}_gate")(x, [*own[task], *shared])
            for task, x in states.items()
        }  # (B, D) each
        if shared and level < num_layers - 1:
            everything = [expert for experts_of_task in own.values() for expert in experts_of_task]
            gate = ExpertGate(name=f"{at}_shared_gate")
            shared_state = gate(shared_state, [*everything, *shared])  # (B, D)

    predictions = {
        task: task_head(MLP(task_hidden_units, **tower, name=f"{task}_tower")(x), task, tasks[task])
        for task, x in states.items()
    }
    last_shared = [f"level_{num_layers - 1}_shared_expert_{e}" for e in range(num_shared_experts)]
    return multitask_model(
        inputs, predictions, tasks, feature_columns=feature_columns, shared_layers=last_shared,
        loss_weighting=loss_weighting, optimizer=optimizer, loss=loss, metrics=metrics,
        jit_compile=jit_compile, name=name,
    )
