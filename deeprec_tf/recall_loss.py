"""The loss of each row of a recall model against candidates that are drawn."""

from __future__ import annotations

from typing import Any

from keras import ops

from deeprec_tf import losses
from deeprec_tf.candidates import Given, InBatch, Sampled
from deeprec_tf.engine import ROW_LOSS
from deeprec_tf.layers.retrieval.all_items import BatchItems
from deeprec_tf.layers.retrieval.item_probability import ItemProbability
from deeprec_tf.layers.retrieval.retrieval_loss import RetrievalLoss
from deeprec_tf.layers.retrieval.sampled_items import SampledItems
from deeprec_tf.layers.retrieval.streaming_frequency import StreamingFrequency
from deeprec_tf.layers.retrieval.vector_memory import VectorMemory

STEPS_IN_BATCH = 1024


def loss_against(
    sets: list[Any], items: Any, loss: Any, temperature: Any, queries: Any,
    labels: Any, positives: Any, seen: Any,
) -> Any:
    """The loss of each row against candidates that are drawn.

    Raises:
        ValueError: sets that don't go with each other, with the loss, or with the model.
    """
    candidates, positive_log_q = [], None
    corrects_positive = all(getattr(one, "correct_positive", True) for one in sets)
    for place, one in enumerate(sets):
        if isinstance(one, InBatch):
            ids, vectors = _of_batch(one, labels, positives, f"memory_{place}")
        elif isinstance(one, Given):
            candidates.append(items.given_negatives(labels))  # their correction is below
            continue
        else:
            ids = SampledItems(
                items.size, one.number, one.distribution, counts=one.counts, alpha=one.alpha,
                each=one.each, name=f"sampled_{place}",
            )(labels)
            vectors = items.vectors_of(ids)
        log_q = _log_q(one, items.size, loss, labels, ids, f"log_q_{place}")
        if log_q is None:
            candidates.append((ids, vectors))
            continue
        of_labels, of_candidates = log_q
        candidates.append((ids, vectors, of_candidates))
        if positive_log_q is None and corrects_positive:
            positive_log_q = of_labels
    drawn = [c for c, one in zip(candidates, sets, strict=True) if not isinstance(one, Given)]
    if len({len(one) for one in drawn}) > 1:
        raise ValueError(
            f"{items.owner}: some of the negatives are corrected for how they are drawn and some "
            "not, so their scores do not compare. Give InBatch counts, or Sampled correct=False."
        )
    if positive_log_q is not None:  # given ones against the positive as if neither were corrected
        candidates = [
            _corrected(c, positive_log_q) if isinstance(one, Given) else c
            for c, one in zip(candidates, sets, strict=True)
        ]
    is_uniform = all(isinstance(one, Sampled) and one.distribution == "uniform" for one in sets)
    if isinstance(loss, losses.GBCE) and not is_uniform:
        raise ValueError(
            f"{items.owner}: loss='gbce' is calibrated for items drawn uniformly, got {sets}. Use "
            "Sampled(n)."
        )
    if isinstance(loss, losses.GBCE) and any(one.hardest is not None for one in sets):
        raise ValueError(
            f"{items.owner}: loss='gbce' is calibrated for all items that are drawn, so hardest= "
            "does not go with it. Leave it out, or use loss='bce'."
        )
    hidden = {one.hide_seen for one in sets}
    if hidden == {True, False} or (True in hidden and seen is None):
        raise ValueError(
            f"{items.owner}: hide_seen needs a history, and holds for all negatives or none."
        )
    return RetrievalLoss(
        loss, temperature, hardest=[one.hardest for one in sets],
        similar=[getattr(one, "hide_similar", None) for one in sets], has_bias=items.has_bias,
        name=ROW_LOSS,
    )(
        queries, positives, labels, candidates, positive_log_q=positive_log_q,
        seen=seen if True in hidden else None,
    )


def _corrected(given: tuple[Any, Any], positive_log_q: Any) -> tuple[Any, Any, Any]:
    """Ids (B, N) and vectors of given negatives, each with the correction (B,) of the positive.

    They are chosen, not drawn, so nothing is known of how often they come. With none the positive
    alone would be lifted, a rare one above all that is given, and nothing be learned from them.
    """
    ids, vectors = given
    return ids, vectors, ops.zeros_like(ops.cast(ids, "float32")) + positive_log_q[:, None]


def _of_batch(one: InBatch, labels: Any, positives: Any, memory: str) -> tuple[Any, Any]:
    """The batch's positives, and what is remembered of earlier ones."""
    ids, vectors = labels, positives
    if len(labels.shape) == 2 or one.number is not None:
        ids, vectors = BatchItems(one.number or STEPS_IN_BATCH)(labels, positives)
    if one.memory is None:
        return ids, vectors
    earlier, their_vectors = VectorMemory(one.memory, name=memory)(ids, vectors)
    return (
        ops.concatenate([ops.cast(ids, "int32"), earlier]),
        ops.concatenate([ops.cast(vectors, "float32"), their_vectors]),
    )


def _log_q(
    one: InBatch | Sampled, size: int, loss: Any, labels: Any, ids: Any, name: str
) -> tuple[Any, Any] | None:
    """Logarithms of expected counts of labels and candidates, or None without correction."""
    if not (isinstance(loss, losses.Softmax) if one.correct is None else one.correct):
        return None
    if isinstance(one, Sampled):
        probability = ItemProbability(
            size, one.distribution, counts=one.counts, alpha=one.alpha, times=one.number, name=name
        )
        return probability(labels), probability(ids)
    if (streaming := one.streaming) is not None:
        return StreamingFrequency(
            size, alpha=streaming.alpha, buckets=streaming.buckets, hashes=streaming.hashes,
            name=name,
        )(labels, ids, ids)
    if one.counts is None:
        return None
    probability = ItemProbability(size, "popularity", counts=one.counts, name=name)
    return probability(labels, ids), probability(ids, ids)
