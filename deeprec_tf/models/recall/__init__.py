"""Recall models: a vector for the user and one for the item, so that an index finds items."""

from deeprec_tf.models.recall.bert4rec import BERT4Rec
from deeprec_tf.models.recall.comirec import ComiRec
from deeprec_tf.models.recall.dssm import DSSM
from deeprec_tf.models.recall.facebook_dssm import FaceBookDSSM
from deeprec_tf.models.recall.gru4rec import GRU4Rec
from deeprec_tf.models.recall.lightgcn import LightGCN
from deeprec_tf.models.recall.mind import MIND
from deeprec_tf.models.recall.narm import NARM
from deeprec_tf.models.recall.sasrec import SASRec
from deeprec_tf.models.recall.sine import SINE
from deeprec_tf.models.recall.stamp import STAMP
from deeprec_tf.models.recall.youtube_dnn import YoutubeDNN
from deeprec_tf.models.recall.youtube_sbc import YoutubeSBC

__all__ = [
    "DSSM",
    "MIND",
    "NARM",
    "SINE",
    "STAMP",
    "BERT4Rec",
    "ComiRec",
    "FaceBookDSSM",
    "GRU4Rec",
    "LightGCN",
    "SASRec",
    "YoutubeDNN",
    "YoutubeSBC",
]
