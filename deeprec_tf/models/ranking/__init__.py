"""Ranking models: the probability that a user answers an item."""

from deeprec_tf.models.ranking.afm import AFM
from deeprec_tf.models.ranking.autoint import AutoInt
from deeprec_tf.models.ranking.bst import BST
from deeprec_tf.models.ranking.dcn import DCN
from deeprec_tf.models.ranking.dcnv2 import DCNv2
from deeprec_tf.models.ranking.deepfm import DeepFM
from deeprec_tf.models.ranking.dien import DIEN
from deeprec_tf.models.ranking.din import DIN
from deeprec_tf.models.ranking.dlrm import DLRM
from deeprec_tf.models.ranking.dnn import DNN
from deeprec_tf.models.ranking.dsin import DSIN
from deeprec_tf.models.ranking.edcn import EDCN
from deeprec_tf.models.ranking.fibinet import FiBiNET
from deeprec_tf.models.ranking.finalmlp import FinalMLP
from deeprec_tf.models.ranking.fm import FM
from deeprec_tf.models.ranking.fwfm import FwFM
from deeprec_tf.models.ranking.gdcn import GDCN
from deeprec_tf.models.ranking.lr import LR
from deeprec_tf.models.ranking.masknet import MaskNet
from deeprec_tf.models.ranking.nfm import NFM
from deeprec_tf.models.ranking.pnn import PNN
from deeprec_tf.models.ranking.text_ranker import TextRanker
from deeprec_tf.models.ranking.wide_deep import WideDeep
from deeprec_tf.models.ranking.xdeepfm import xDeepFM

__all__ = [
    "AFM",
    "BST",
    "DCN",
    "DIEN",
    "DIN",
    "DLRM",
    "DNN",
    "DSIN",
    "EDCN",
    "FM",
    "GDCN",
    "LR",
    "NFM",
    "PNN",
    "AutoInt",
    "DCNv2",
    "DeepFM",
    "FiBiNET",
    "FinalMLP",
    "FwFM",
    "MaskNet",
    "TextRanker",
    "WideDeep",
    "xDeepFM",
]
