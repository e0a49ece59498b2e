"""What a positive item is compared with when a recall model trains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from deeprec_tf.numeric import check_whole_numbers, values_by_id

DISTRIBUTIONS = ("uniform", "log_uniform", "popularity")


@dataclass(frozen=True, slots=True)
class AllItems:
    """Every item of the catalogue: the full softmax.

    The logits, positions x items, are never held as one.
    """


@dataclass(frozen=True, slots=True)
class Streaming:
    """Frequencies of items estimated while training goes on, where no counts are known.

    See `deeprec_tf.layers.StreamingFrequency`.

    Attributes:
        alpha: above 0, at most 1: how fast estimates follow.
        buckets: how many the items share by hashes; one for each item when None.
        hashes: number of hash functions.
    """

    alpha: float = 0.01
    buckets: int | None = None
    hashes: int = 1


@dataclass(frozen=True, slots=True)
class InBatch:
    """The positives of the other rows of the batch; own duplicates do not count.

    Under a strategy each replica sees the rows of its own share of the batch.

    Attributes:
        number: how many at most. A model with one positive a row takes all of them when None; one
            that is trained at every position draws 1,024 of the batch's positives.
        counts: occurrences by item id, array (V,), for the logQ correction: popular items are
            drawn often as others' positives, and would be punished for it.
        frequency: in place of counts, "streaming" or a `Streaming(…)`: estimated from the batches.
        correct: whether scores are corrected by these; losses other than the softmax are usually
            used without. None corrects for the softmax alone.
        correct_positive: whether the positive's score is corrected too; beside other sets of
            negatives it is by the first that corrects, and by none where one says no.
        hide_seen: whether items of the row's own history do not count.
        hardest: how many of the highest scores count; all when None.
        memory: how many items of earlier batches are candidates too, by the vectors they had then
            (`deeprec_tf.layers.VectorMemory`).
        hide_similar: candidates whose cosine with the positive is above it do not count: the same
            text under another id is no negative. All do when None.

    Raises:
        ValueError: counts and a frequency, an unknown one, neither where `correct` is True, a
            number that is none from 1 on, or a cosine outside -1..1.
    """

    number: int | None = None
    counts: Any = field(default=None, compare=False, repr=False)
    correct_positive: bool = True
    hide_seen: bool = False
    hardest: int | None = None
    frequency: str | Streaming | None = None
    memory: int | None = None
    hide_similar: float | None = None
    correct: bool | None = None

    def __post_init__(self) -> None:
        check_whole_numbers("InBatch", number=self.number, hardest=self.hardest, memory=self.memory)
        _check_places("InBatch", self.counts)
        _check_similarity("InBatch", self.hide_similar)
        if self.frequency not in (None, "streaming") and not isinstance(self.frequency, Streaming):
            raise ValueError(
                f"InBatch: frequency must be None, 'streaming' or a Streaming(…), got "
                f"{self.frequency!r}."
            )
        if self.frequency is not None and self.counts is not None:
            raise ValueError(
                "InBatch: counts and frequency were given; counts are exact, so drop frequency."
            )
        if self.correct and self.frequency is None and self.counts is None:
            raise ValueError(
                "InBatch: correct=True needs counts or frequency='streaming'. Give one of them."
            )

    @property
    def streaming(self) -> Streaming | None:
        """How frequencies are estimated, if they are."""
        if isinstance(self.frequency, Streaming):
            return self.frequency
        return None if self.frequency is None else Streaming()


@dataclass(frozen=True, slots=True)
class Sampled:
    """Items drawn at random, with replacement, corrected for how likely they are drawn.

    Attributes:
        number: how many.
        distribution: "uniform", "log_uniform" (ids in the order of falling frequency) or
            "popularity", in proportion to counts^alpha.
        counts: occurrences by item id, array (V,), for "popularity".
        alpha: exponent of "popularity".
        each: False draws one set for the whole batch, True one for every position.
        correct: whether scores are corrected (logQ); losses other than the softmax are usually
            used without. None corrects for the softmax alone.
        hide_seen: whether items of the row's own history do not count.
        hardest: how many of the highest scores count; all when None.
        hide_similar: candidates whose cosine with the positive is above it do not count; all do
            when None.
    """

    number: int
    distribution: str = "uniform"
    counts: Any = field(default=None, compare=False, repr=False)
    alpha: float = 0.75
    each: bool = False
    correct: bool | None = None
    hide_seen: bool = False
    hardest: int | None = None
    hide_similar: float | None = None

    def __post_init__(self) -> None:
        check_whole_numbers("Sampled", number=self.number, hardest=self.hardest)
        _check_places("Sampled", self.counts)
        _check_similarity("Sampled", self.hide_similar)
        if self.distribution not in DISTRIBUTIONS:
            raise ValueError(
                f"Sampled: distribution must be one of {DISTRIBUTIONS}, got {self.distribution!r}."
            )
        if (self.distribution == "popularity") != (self.counts is not None):
            raise ValueError(
                f"Sampled: counts belong to distribution='popularity', got {self.distribution!r} "
                f"{'without' if self.counts is None else 'with'} counts. Give both or neither; "
                "np.bincount(item_ids, minlength=vocabulary_size) makes them."
            )


def _check_places(owner: str, counts: Any) -> None:
    if counts is not None:
        values_by_id(f"{owner}: counts must have one number an id", counts)


def _check_similarity(owner: str, hide_similar: float | None) -> None:
    if hide_similar is not None and not -1 <= hide_similar <= 1:
        raise ValueError(
            f"{owner}: hide_similar is a cosine, from -1 to 1, got {hide_similar!r}."
        )


@dataclass(frozen=True, slots=True)
class Given:
    """Negatives that each row of the batch brings along: the columns `neg_item_id` and so on.

    They stand among the item's columns, as `VarLenSparseFeat`s of the item's own tables, ids
    (B, N) with 0 for none. For models with one positive a row.

    Attributes:
        hide_seen: whether items of the row's own history do not count.
        hardest: how many of the highest scores count; all when None.
    """

    hide_seen: bool = False
    hardest: int | None = None

    def __post_init__(self) -> None:
        check_whole_numbers("Given", hardest=self.hardest)


# The negatives of two towers: nothing need be known of the data before.
CORRECTED_IN_BATCH = InBatch(frequency="streaming")

Candidates = AllItems | InBatch | Sampled | Given
_BY_NAME = {"all": AllItems, "in_batch": InBatch, "given": Given}


def candidate_sets(negatives: Any, *, owner: str) -> list[Candidates]:
    """What `negatives` of a builder names, as a list.

    Args:
        negatives: "all", "in_batch", "given", one of the classes above, or a list of them.
        owner: the model's name, for messages.

    Raises:
        ValueError: something else, nothing, or all items beside other sets.

    Example:
        >>> candidate_sets("in_batch", owner="DSSM")[0].hide_seen
        False
    """
    given = [negatives]
    if isinstance(negatives, Sequence) and not isinstance(negatives, str):
        given = list(negatives)
    sets = [_BY_NAME[one]() if isinstance(one, str) and one in _BY_NAME else one for one in given]
    wrong = [one for one in sets if not isinstance(one, Candidates)]
    if wrong or not sets:
        raise ValueError(
            f"{owner}: negatives must be 'all', 'in_batch', 'given', an AllItems, InBatch, Sampled "
            f"or Given of deeprec_tf.candidates, or a list of these, got "
            f"{wrong[0] if wrong else negatives!r}."
        )
    if len(sets) > 1 and any(isinstance(one, AllItems) for one in sets):
        raise ValueError(f"{owner}: negatives has all items and more; leave the others out.")
    return sets
