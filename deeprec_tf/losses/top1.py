"""TOP1 and TOP1-max."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from deeprec_tf.losses.ranking_loss import RankingLoss, masked_mean, share_of_negatives


@keras.saving.register_keras_serializable(package="deeprec_tf")
class TOP1(RankingLoss):
    """Mean over negatives of sigmoid(s- - s+) + sigmoid(s-²).

    Its gradient vanishes with many negatives; `TOP1Max` does not.

    Example:
        >>> float(TOP1()(keras.ops.zeros(1), keras.ops.zeros((1, 3)))[0])
        1.0

    References:
        Hidasi et al., Session-based Recommendations with Recurrent Neural Networks, ICLR 2016.
    """

    def call(self, positive: Any, negatives: Any, mask: Any) -> Any:
        """What each row costs."""
        return masked_mean(_terms(positive, negatives), mask)


@keras.saving.register_keras_serializable(package="deeprec_tf")
class TOP1Max(RankingLoss):
    """Σ_j w_j (sigmoid(s_j - s+) + sigmoid(s_j²)), w the softmax over the negatives' scores.

    References:
        Hidasi and Karatzoglou, Recurrent Neural Networks with Top-k Gains for Session-based
        Recommendations, CIKM 2018.
    """

    def call(self, positive: Any, negatives: Any, mask: Any) -> Any:
        """What each row costs."""
        share = share_of_negatives(negatives, mask)
        return ops.sum(share * _terms(positive, negatives), axis=-1)


def _terms(positive: Any, negatives: Any) -> Any:
    return ops.sigmoid(negatives - positive[:, None]) + ops.sigmoid(ops.square(negatives))
