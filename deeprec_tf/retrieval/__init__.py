"""From vectors to items: an index of the catalogue, exact or by a library."""

from deeprec_tf.retrieval.backend import Backend
from deeprec_tf.retrieval.faiss_backend import Faiss
from deeprec_tf.retrieval.item_index import Found, ItemIndex
from deeprec_tf.retrieval.scann_backend import Scann
from deeprec_tf.retrieval.tfrs_backend import Tfrs

__all__ = ["Backend", "Faiss", "Found", "ItemIndex", "Scann", "Tfrs"]
