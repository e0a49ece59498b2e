"""Item identifiers for generative models: from item vectors to codes.

Every builder gives `ItemCodes`, so that any of them serves any model that generates items.
"""

from deeprec_tf.identifiers.hierarchical import hierarchical_kmeans_codes
from deeprec_tf.identifiers.item_codes import ItemCodes, with_collision_digit
from deeprec_tf.identifiers.prefix_tree import PrefixTree
from deeprec_tf.identifiers.random_ids import random_codes
from deeprec_tf.identifiers.residual import residual_kmeans_codes
from deeprec_tf.identifiers.rq_vae import rq_vae_codes

__all__ = [
    "ItemCodes",
    "PrefixTree",
    "hierarchical_kmeans_codes",
    "random_codes",
    "residual_kmeans_codes",
    "rq_vae_codes",
    "with_collision_digit",
]
