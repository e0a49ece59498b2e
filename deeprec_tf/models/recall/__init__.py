"""Recall models: a vector for the user and one for the item, so that an index finds items."""

from deeprec_tf.models.recall.dssm import DSSM
from deeprec_tf.models.recall.gru4rec import GRU4Rec
from deeprec_tf.models.recall.narm import NARM
from deeprec_tf.models.recall.sasrec import SASRec
from deeprec_tf.models.recall.stamp import STAMP

__all__ = [
    "DSSM",
    "NARM",
    "STAMP",
    "GRU4Rec",
    "SASRec",
]
