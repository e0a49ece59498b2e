"""Recall models: a vector for the user and one for the item, so that an index finds items."""

from deeprec_tf.models.recall.dssm import DSSM
from deeprec_tf.models.recall.sasrec import SASRec

__all__ = [
    "DSSM",
    "SASRec",
]
