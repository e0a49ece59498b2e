"""ESMM: Entire Space Multi-Task Model (Ma et al., SIGIR 2018).

Departures from the paper: layers that both towers share may stand between the embeddings and them
(`hidden_units`; none in the paper); the product is taken as a logit, so that its cross-entropy is
stable.
"""

from deeprec_tf.layers.core.mlp import MLP
from deeprec_tf.layers.core.prediction import PredictionLayer
from deeprec_tf.layers.multitask.joint_logit import JointLogit
from deeprec_tf.multitask import multitask_model, side_by_side, task_logit, task_types_of
from deeprec_tf.registry import register_model


@register_model(
    family="multitask",
    year=2018,
    url="https://arxiv.org/abs/1804.07931",
    paper="Entire Space Multi-Task Model: An Effective Approach for Estimating Post-Click "
    "Conversion Rate",
    needs=("fields",),
)
def ESMM(
    feature_columns,
    *,
    task_names=("ctr", "cvr", "ctcvr"),
    hidden_units=(),
    tower_units=(256, 128, 64),
    activation="relu",
    dropout=0.0,
    batch_norm=False,
    loss_weighting="fixed",
    optimizer="adam",
    loss=None,
    metrics=None,
    jit_compile="auto",
    name="esmm",
):
    """Conversion after a click, learned on all impressions: p(ctcvr) = p(ctr) · p(cvr).

    The losses are those of click and of click with conversion, both over all impressions. There is
    none on the conversion rate itself: labels of `cvr` may be given for its metrics and have no
    influence. `deeprec_tf.data.conversion_labels` makes the labels of all three.

    Args:
        feature_columns: the columns; histories are pooled by their combiner.
        task_names: names of click, of conversion given a click, and of both.
        hidden_units: widths of layers that both towers share; none in the paper, where they share
            the embeddings.
        tower_units: widths of each tower.
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
        A compiled `RecModel` with a dict of three outputs (B, 1) by `task_names`.

    Raises:
        ValueError: not three different names, an unknown weighting, or a sequence that is not
            pooled (combiner "none").

    Example:
        >>> model = ESMM([SparseFeat("user", 10), SparseFeat("item", 20)])
        >>> sorted(model.output)
        ['ctcvr', 'ctr', 'cvr']

    References:
        Ma et al., Entire Space Multi-Task Model: An Effective Approach for Estimating Post-Click
        Conversion Rate, SIGIR 2018.
    """
    if len(task_types_of("ESMM", task_names)) != 3 or isinstance(task_names, str):
        raise ValueError(
            "ESMM: task_names must name click, conversion given a click, and both, got "
            f"{task_names!r}."
        )
    click, conversion, both = task_names
    inputs, flat = side_by_side("ESMM", feature_columns)  # flat (B, C)
    tower = {"activation": activation, "dropout": dropout, "batch_norm": batch_norm}

    shared = MLP(hidden_units, **tower, name="bottom")(flat) if hidden_units else flat

    logits = {
        task: task_logit(
            MLP(tower_units, **tower, name=f"{task}_tower")(shared), task, use_bias=True
        )
        for task in (click, conversion)
    }  # (B, 1) each
    logits[both] = JointLogit(name=f"{both}_logit")(logits[click], logits[conversion])
    predictions = {
        task: PredictionLayer(use_bias=False, name=task)(logit) for task, logit in logits.items()
    }
    return multitask_model(
        inputs, predictions, {click: "binary", both: "binary"}, feature_columns=feature_columns,
        shared_layers=["bottom"], loss_weighting=loss_weighting, optimizer=optimizer, loss=loss,
        metrics=metrics, jit_compile=jit_compile, name=name,
    )
