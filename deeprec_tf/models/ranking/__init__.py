"""Ranking models: the probability that a user answers an item."""

from deeprec_tf.models.ranking.deepfm import DeepFM
from deeprec_tf.models.ranking.dien import DIEN
from deeprec_tf.models.ranking.din import DIN
from deeprec_tf.models.ranking.dlrm import DLRM
from deeprec_tf.models.ranking.masknet import MaskNet
from deeprec_tf.models.ranking.wide_deep import WideDeep
from deeprec_tf.models.ranking.xdeepfm import xDeepFM

__all__ = [
    "DIEN",
    "DIN",
    "DLRM",
    "DeepFM",
    "MaskNet",
    "WideDeep",
    "xDeepFM",
]
