"""Offline evaluation: exact metrics, streamed over a data set, and as Keras callbacks."""

from deeprec_tf.evaluation.ctr import evaluate_ctr
from deeprec_tf.evaluation.ctr_callback import CTREvaluation
from deeprec_tf.evaluation.ctr_metrics import GroupAUC, exact_auc, gauc, log_loss

__all__ = ["CTREvaluation", "GroupAUC", "evaluate_ctr", "exact_auc", "gauc", "log_loss"]
