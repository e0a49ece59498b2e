"""Offline evaluation: exact metrics, streamed or as Keras callbacks; and what a model looks at."""

from deeprec_tf.evaluation.baselines import (
    count_items,
    fit_ease,
    fit_item_knn,
    fit_markov_chain,
    fit_popularity,
)
from deeprec_tf.evaluation.beam_recall import beam_recall
from deeprec_tf.evaluation.ctr import evaluate_ctr
from deeprec_tf.evaluation.ctr_callback import CTREvaluation
from deeprec_tf.evaluation.ctr_metrics import GroupAUC, exact_auc, gauc, log_loss
from deeprec_tf.evaluation.field_importance import field_importance, plot_importance
from deeprec_tf.evaluation.gate_usage import gate_usage, plot_gate_usage
from deeprec_tf.evaluation.generation_callback import GenerationEvaluation
from deeprec_tf.evaluation.leaks import label_leaks
from deeprec_tf.evaluation.list_ranks import rank_in_lists
from deeprec_tf.evaluation.look_inside import Inside, look_inside
from deeprec_tf.evaluation.retrieval import evaluate_retrieval
from deeprec_tf.evaluation.retrieval_callback import RetrievalEvaluation
from deeprec_tf.evaluation.retrieval_metrics import retrieval_metrics
from deeprec_tf.evaluation.target_ranks import TargetRanks, rank_targets
from deeprec_tf.evaluation.zero_shot import zero_shot_cosine

__all__ = [
    "CTREvaluation",
    "GenerationEvaluation",
    "GroupAUC",
    "Inside",
    "RetrievalEvaluation",
    "TargetRanks",
    "beam_recall",
    "count_items",
    "evaluate_ctr",
    "evaluate_retrieval",
    "exact_auc",
    "field_importance",
    "fit_ease",
    "fit_item_knn",
    "fit_markov_chain",
    "fit_popularity",
    "gate_usage",
    "gauc",
    "label_leaks",
    "log_loss",
    "look_inside",
    "plot_gate_usage",
    "plot_importance",
    "rank_in_lists",
    "rank_targets",
    "retrieval_metrics",
    "zero_shot_cosine",
]
