"""Losses of recall models: a positive score against those of negatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from deeprec_tf.losses.binary_crossentropy import BCE
from deeprec_tf.losses.bpr import BPR, BPRMax
from deeprec_tf.losses.gbce import GBCE
from deeprec_tf.losses.ranking_loss import RankingLoss
from deeprec_tf.losses.softmax import Softmax
from deeprec_tf.losses.top1 import TOP1, TOP1Max
from deeprec_tf.losses.triplet import Triplet

_BY_NAME: dict[str, Callable[[], RankingLoss]] = {
    "softmax": Softmax,
    "infonce": Softmax,
    "bce": BCE,
    "bpr": BPR,
    "bpr_max": BPRMax,
    "top1": TOP1,
    "top1_max": TOP1Max,
    "triplet": Triplet,
}


def get(loss: Any, *, owner: str = "losses.get", items: int | None = None) -> RankingLoss:
    """The loss of a name, or the loss itself.

    Args:
        loss: a `RankingLoss`, or "softmax", "infonce" (the same), "bce", "bpr", "bpr_max", "top1",
            "top1_max", "triplet" or "gbce".
        owner: the model's name, for messages.
        items: number of items, which "gbce" needs.

    Raises:
        ValueError: there is no such loss, or "gbce" without the number of items.

    Example:
        >>> get("triplet")
        Triplet(margin=0.2)
    """
    if isinstance(loss, RankingLoss):
        return loss
    name = loss if isinstance(loss, str) else ""
    if name == "gbce":
        if items is None:
            raise ValueError(
                f"{owner}: 'gbce' needs the number of items. Give items=..., or GBCE(items)."
            )
        return GBCE(items)
    if name not in _BY_NAME:
        raise ValueError(
            f"{owner}: loss must be a deeprec_tf.losses.RankingLoss or one of "
            f"{(*_BY_NAME, 'gbce')}, got {loss!r}. Losses of labels and probabilities, such as "
            "'binary_crossentropy', belong to ranking models."
        )
    return _BY_NAME[name]()


__all__ = [
    "BCE",
    "BPR",
    "GBCE",
    "TOP1",
    "BPRMax",
    "RankingLoss",
    "Softmax",
    "TOP1Max",
    "Triplet",
    "get",
]
