"""Offline evaluation: exact metrics, streamed or as Keras callbacks; and what a model looks at."""

from deeprec_tf.evaluation.ctr import evaluate_ctr
from deeprec_tf.evaluation.ctr_callback import CTREvaluation
from deeprec_tf.evaluation.ctr_metrics import GroupAUC, exact_auc, gauc, log_loss
from deeprec_tf.evaluation.field_importance import field_importance, plot_importance
from deeprec_tf.evaluation.look_inside import Inside, look_inside
from deeprec_tf.evaluation.zero_shot import zero_shot_cosine

__all__ = [
    "CTREvaluation",
    "GroupAUC",
    "Inside",
    "evaluate_ctr",
    "evaluate_ctr",
    "exact_auc",
    "exact_auc",
    "field_importance",
    "gauc",
    "gauc",
    "log_loss",
    "log_loss",
    "look_inside",
    "plot_importance",
    "zero_shot_cosine",
]
