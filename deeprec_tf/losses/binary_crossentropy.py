"""Binary cross-entropy of a positive and its negatives."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from deeprec_tf.losses.ranking_loss import RankingLoss, weights_of


@keras.saving.register_keras_serializable(package="deeprec_tf")
class BCE(RankingLoss):
    """(softplus(-s+) + Σ_j softplus(s_j)) / (1 + K): mean cross-entropy of the K + 1 logits.

    With one negative it is SASRec's loss (half of it: the paper adds where this averages). Scores
    are taken for logits, so cosines need a scale.

    Example:
        >>> round(float(BCE()(keras.ops.zeros(1), keras.ops.zeros((1, 3)))[0]), 4)  # log 2
        0.6931

    References:
        Kang and McAuley, Self-Attentive Sequential Recommendation, ICDM 2018.
    """

    reads_logits = True

    def call(self, positive: Any, negatives: Any, mask: Any) -> Any:
        """What each row costs."""
        return binary_crossentropy(positive, negatives, mask)


def binary_crossentropy(positive: Any, negatives: Any, mask: Any, beta: float = 1.0) -> Any:
    """Mean cross-entropy of a row's logits, that of the positive times beta; (N,)."""
    weights = weights_of(mask)
    total = beta * ops.softplus(-positive) + ops.sum(ops.softplus(negatives) * weights, axis=-1)
    return total / (1.0 + ops.sum(weights, axis=-1))
