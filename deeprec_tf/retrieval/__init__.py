"""From vectors to items: an index of the catalogue, exact or by a library, and what serves it."""

from deeprec_tf.retrieval.backend import Backend
from deeprec_tf.retrieval.diversify import diversify
from deeprec_tf.retrieval.faiss_backend import Faiss
from deeprec_tf.retrieval.hard_negatives import mine_hard_negatives
from deeprec_tf.retrieval.item_index import Found, ItemIndex
from deeprec_tf.retrieval.retriever import export_retriever
from deeprec_tf.retrieval.scann_backend import Scann
from deeprec_tf.retrieval.tfrs_backend import Tfrs

__all__ = [
    "Backend",
    "Faiss",
    "Found",
    "ItemIndex",
    "Scann",
    "Tfrs",
    "diversify",
    "export_retriever",
    "mine_hard_negatives",
]
