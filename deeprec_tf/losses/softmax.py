"""Softmax cross-entropy over a positive and its negatives."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from deeprec_tf.losses.ranking_loss import LOWEST, RankingLoss


@keras.saving.register_keras_serializable(package="deeprec_tf")
class Softmax(RankingLoss):
    """-log of the positive's share in exp of all scores: logsumexp(s+, s-) - s+.

    Over all items it is the full softmax, over sampled ones with corrected scores the sampled
    softmax, over the batch's items the in-batch softmax.

    It is InfoNCE, and also has the name "infonce": -log(f(u, v+) / Σ_j f(u, v_j)), the positive
    among the v_j, with f(u, v) = exp(<u, v> / temperature), usually of vectors of length 1.

    Example:
        >>> round(float(Softmax()(keras.ops.zeros(1), keras.ops.zeros((1, 3)))[0]), 4)  # log 4
        1.3863

    References:
        Jean et al., On Using Very Large Target Vocabulary for Neural Machine Translation, ACL 2015.
        van den Oord et al., Representation Learning with Contrastive Predictive Coding, 2018.
    """

    hidden = LOWEST

    def call(self, positive: Any, negatives: Any, mask: Any) -> Any:
        """What each row costs."""
        return _surprise(positive, negatives)


@ops.custom_gradient
def _surprise(positive: Any, negatives: Any) -> Any:
    """-log of the positive's share, (N,); the backward pass takes the forward pass's powers."""
    highest = ops.maximum(positive, ops.max(negatives, axis=-1))
    powers, own = ops.exp(negatives - highest[:, None]), ops.exp(positive - highest)
    total = ops.sum(powers, axis=-1) + own

    def gradient(upstream: Any) -> tuple[Any, Any]:
        share = upstream / total
        return share * own - upstream, powers * share[:, None]

    return ops.log(total) + (highest - positive), gradient
