"""AITM: Adaptive Information Transfer Multi-task (Xi et al., KDD 2021).

Departures from the paper: none in the model. What a task hands on comes from its transferred state
z, not from its own q, as the paper's equation 2 has it and some implementations do not.
"""

from deeprec_tf.layers.core.mlp import MLP
from deeprec_tf.layers.multitask.information_transfer import InformationTransfer
from deeprec_tf.layers.multitask.order_penalty import OrderPenalty
from deeprec_tf.multitask import multitask_model, side_by_side, task_head, task_types_of
from deeprec_tf.registry import register_model


@register_model(
    family="multitask",
    year=2021,
    url="https://arxiv.org/abs/2105.08489",
    paper="Modeling the Sequential Dependence among Audience Multi-step Conversions with "
    "Multi-task Learning in Targeted Display Advertising",
    needs=("fields",),
)
def AITM(
    feature_columns,
    *,
    task_names=("ctr", "ctcvr"),
    hidden_units=(128, 64),
    task_hidden_units=(),
    activation="relu",
    dropout=0.0,
    batch_norm=False,
    order_weight=0.6,
    loss_weighting="fixed",
    optimizer="adam",
    loss=None,
    metrics=None,
    jit_compile="auto",
    name="aitm",
):
    """Steps of a funnel, each of which implies the one before; what is learned is handed on.

    Args:
        feature_columns: the columns; histories are pooled by their combiner.
        task_names: names of the steps, the first first; at least two.
        hidden_units: widths of each step's own tower on the shared embeddings.
        task_hidden_units: widths of layers between a step's state and its logit; none in the
            paper.
        activation: "dice", "prelu" or a Keras activation name.
        dropout: share dropped in all layers.
        batch_norm: batch normalization in all layers.
        order_weight: weight of the calibrator, which punishes a later step that is likelier than
            the one before; .6 in the paper.
        loss_weighting: "fixed", "uncertainty", "gradnorm", "metabalance", "dwa", "pcgrad", weights
            one a task, or a `deeprec_tf.layers.LossBalance`.
        optimizer: Keras optimizer or name.
        loss: losses by task; those of the types when None.
        metrics: metrics by task; those of the types when None.
        jit_compile: "auto", True or False, as in `keras.Model.compile`.
        name: name of the model.

    Returns:
        A compiled `RecModel` with a dict of outputs (B, 1) by task.

    Raises:
        ValueError: fewer than two tasks, no hidden units, a negative weight, an unknown weighting,
            or a sequence that is not pooled (combiner "none").

    Example:
        >>> model = AITM([SparseFeat("user", 10), SparseFeat("item", 20)], hidden_units=(8,))
        >>> sorted(model.output)
        ['ctcvr', 'ctr']

    References:
        Xi et al., Modeling the Sequential Dependence among Audience Multi-step Conversions with
        Multi-task Learning in Targeted Display Advertising, KDD 2021.
    """
    tasks = task_types_of("AITM", task_names)
    if len(tasks) < 2 or not hidden_units:
        raise ValueError(
            "AITM: there must be two steps or more, and hidden units, got "
            f"task_names={task_names!r}, hidden_units={hidden_units!r}."
        )
    inputs, flat = side_by_side("AITM", feature_columns)  # flat (B, C)
    tower = {"activation": activation, "dropout": dropout, "batch_norm": batch_norm}

    states, previous = {}, None
    for task in tasks:
        state = MLP(hidden_units, **tower, name=f"{task}_bottom")(flat)  # (B, d), q
        if previous is not None:
            handed_on = MLP(hidden_units[-1:], **tower, name=f"{task}_transferred")(previous)  # p
            state = InformationTransfer(name=f"{task}_transfer")(handed_on, state)  # (B, d), z
        states[task] = previous = state

    predictions = {
        task: task_head(MLP(task_hidden_units, **tower, name=f"{task}_tower")(state), task)
        for task, state in states.items()
    }
    predictions = OrderPenalty(list(tasks), order_weight, name="order_penalty")(predictions)
    return multitask_model(
        inputs, predictions, tasks, feature_columns=feature_columns,
        loss_weighting=loss_weighting, optimizer=optimizer, loss=loss, metrics=metrics,
        jit_compile=jit_compile, name=name,
    )
