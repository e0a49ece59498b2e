"""Logistic regression on ids (Richardson et al., WWW 2007).

Departure from the paper: every id has a weight of its own, where the paper has a few numeric
features of ads and terms; penalties and the optimizer are the caller's.
"""

from deeprec_tf.engine import RecModel
from deeprec_tf.inputs import build_input_layers, linear_logit, merge_columns
from deeprec_tf.interactions import add_logits
from deeprec_tf.registry import register_model
from deeprec_tf.tasks import compiled, prediction


@register_model(
    family="ranking",
    year=2007,
    url="https://dl.acm.org/doi/10.1145/1242572.1242643",
    paper="Predicting Clicks: Estimating the Click-Through Rate for New Ads",
    needs=("fields",),
)
def LR(
    linear_feature_columns,
    dnn_feature_columns=None,
    *,
    task="binary",
    optimizer="adam",
    loss=None,
    metrics=None,
    jit_compile="auto",
    name="lr",
):
    """The linear part alone: a weight for every id and every number.

    Args:
        linear_feature_columns: the columns; their embedding_dim is not used.
        dnn_feature_columns: further columns, treated alike, so that a table's models can all be
            given the same two lists.
        task: "binary" or "regression".
        optimizer: Keras optimizer or name.
        loss: the task's own when None.
        metrics: the task's own when None.
        jit_compile: "auto", True or False, as in `keras.Model.compile`.
        name: name of the model.

    Returns:
        A compiled `RecModel` with output (B, 1) named `probability`.

    Raises:
        ValueError: no columns, or a sequence that is not pooled.

    Example:
        >>> LR([SparseFeat("user", 10), SparseFeat("item", 20)]).output_shape
        (None, 1)

    References:
        Richardson et al., Predicting Clicks: Estimating the Click-Through Rate for New Ads,
        WWW 2007.
    """
    feature_columns = merge_columns(linear_feature_columns, dnn_feature_columns or [])
    inputs = build_input_layers(feature_columns)
    logit = add_logits([linear_logit(inputs, feature_columns)])  # (B, 1)
    model = RecModel(
        inputs, prediction(logit, task, is_logit=True), feature_columns=feature_columns, name=name
    )
    return compiled(
        model, task, optimizer=optimizer, loss=loss, metrics=metrics, jit_compile=jit_compile
    )
