"""BPR, and its form for many negatives."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from deeprec_tf.losses.ranking_loss import RankingLoss, masked_mean, share_of_negatives, weights_of


@keras.saving.register_keras_serializable(package="deeprec_tf")
class BPR(RankingLoss):
    """Mean over negatives of softplus(-(s+ - s-)): each pair in the right order.

    Example:
        >>> round(float(BPR()(keras.ops.zeros(1), keras.ops.zeros((1, 3)))[0]), 4)  # log 2
        0.6931

    References:
        Rendle et al., BPR: Bayesian Personalized Ranking from Implicit Feedback, UAI 2009.
    """

    def call(self, positive: Any, negatives: Any, mask: Any) -> Any:
        """What each row costs."""
        return masked_mean(ops.softplus(negatives - positive[:, None]), mask)


@keras.saving.register_keras_serializable(package="deeprec_tf")
class BPRMax(RankingLoss):
    """-log(Σ_j w_j sigmoid(s+ - s_j) + 1e-24) + regularization · Σ_j w_j s_j².

    w is the softmax over the negatives' scores, so gradients do not vanish with their number.

    Args:
        regularization: factor of the score penalty, at least 0.

    Raises:
        ValueError: a negative factor.

    References:
        Hidasi and Karatzoglou, Recurrent Neural Networks with Top-k Gains for Session-based
        Recommendations, CIKM 2018.
    """

    def __init__(self, regularization: float = 0.0) -> None:
        if not 0 <= regularization < math.inf:
            raise ValueError(
                f"BPRMax: regularization must be finite and at least 0, got {regularization!r}."
            )
        self.regularization = float(regularization)

    def call(self, positive: Any, negatives: Any, mask: Any) -> Any:
        """What each row costs."""
        share = share_of_negatives(negatives, mask)
        above = ops.sum(share * ops.sigmoid(positive[:, None] - negatives), axis=-1)
        loss = -ops.log(above + 1e-24)
        loss = loss + self.regularization * ops.sum(share * ops.square(negatives), axis=-1)
        return loss * ops.max(weights_of(mask), axis=-1)  # a row without negatives costs nothing

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {"regularization": self.regularization}
