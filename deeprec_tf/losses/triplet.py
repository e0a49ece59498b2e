"""The triplet loss."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from deeprec_tf.losses.ranking_loss import RankingLoss, masked_mean


@keras.saving.register_keras_serializable(package="deeprec_tf")
class Triplet(RankingLoss):
    """Mean over negatives of max(0, margin + s- - s+).

    With cosines it is max(0, margin + D(u, v+) - D(u, v-)), D = 1 - cos. They differ by 2 at most,
    so a margin of 2 or more would be active for every pair and teach nothing of the order.

    Args:
        margin: above 0; .1 to .4 for cosines.

    Raises:
        ValueError: a margin that is not positive.

    Example:
        >>> float(Triplet(0.5)(keras.ops.ones(1), keras.ops.zeros((1, 3)))[0])
        0.0

    References:
        Huang et al., Embedding-based Retrieval in Facebook Search, KDD 2020.
    """

    def __init__(self, margin: float = 0.2) -> None:
        if not margin > 0:
            raise ValueError(f"Triplet: margin must be above 0, got {margin!r}.")
        self.margin = margin

    def call(self, positive: Any, negatives: Any, mask: Any) -> Any:
        """What each row costs."""
        return masked_mean(ops.relu(self.margin + negatives - positive[:, None]), mask)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {"margin": self.margin}
