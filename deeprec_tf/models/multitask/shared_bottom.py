"""SharedBottom: hard parameter sharing (Caruana, Machine Learning 1997).

Departures from the paper: embeddings of categorical fields below, as all later papers compare
with it; any number of layers in the shared bottom and in the tasks' towers.
"""

from deeprec_tf.layers.core.mlp import MLP
from deeprec_tf.multitask import multitask_model, side_by_side, task_head, task_types_of
from deeprec_tf.registry import register_model


@register_model(
    family="multitask",
    year=1997,
    url="https://link.springer.com/article/10.1023/A:1007379606734",
    paper="Multitask Learning",
    needs=("fields",),
)
def SharedBottom(
    feature_columns,
    *,
    task_names=("ctr", "cvr"),
    task_types=None,
    hidden_units=(256, 128),
    task_hidden_units=(64,),
    activation="relu",
    dropout=0.0,
    batch_norm=False,
    loss_weighting="fixed",
    optimizer="adam",
    loss=None,
    metrics=None,
    jit_compile="auto",
    name="shared_bottom",
):
    """One tower for all tasks, and a small one for each on top of it.

    Args:
        feature_columns: the columns; histories are pooled by their combiner.
        task_names: names of the tasks, which outputs and labels go by.
        task_types: "binary", "regression" or the number of classes, one a task; all binary when
            None.
        hidden_units: widths of the shared bottom.
        task_hidden_units: widths of each task's tower.
        activation: "dice", "prelu" or a Keras activation name.
        dropout: share dropped in all layers.
        batch_norm: batch normalization in all layers.
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
        ValueError: tasks and types that do not go together, an unknown weighting, or a sequence
            that is not pooled (combiner "none").

    Example:
        >>> model = SharedBottom([SparseFeat("user", 10), SparseFeat("item", 20)])
        >>> sorted(model.output)
        ['ctr', 'cvr']

    References:
        Caruana, Multitask Learning, Machine Learning 28, 1997.
    """
    tasks = task_types_of("SharedBottom", task_names, task_types)
    inputs, flat = side_by_side("SharedBottom", feature_columns)  # flat (B, C)
    tower = {"activation": activation, "dropout": dropout, "batch_norm": batch_norm}

    shared = MLP(hidden_units, **tower, name="bottom")(flat)

    predictions = {
        task: task_head(MLP(task_hidden_units, **tower, name=f"{task}_tower")(shared), task, kind)
        for task, kind in tasks.items()
    }
    return multitask_model(
        inputs, predictions, tasks, feature_columns=feature_columns, shared_layers=["bottom"],
        loss_weighting=loss_weighting, optimizer=optimizer, loss=loss, metrics=metrics,
        jit_compile=jit_compile, name=name,
    )
