import pandas as pd
import pytest

from deeprec_tf.candidates import AllItems, InBatch, Sampled, candidate_sets


def test_names_and_lists():
    assert candidate_sets("all", owner="M") == [AllItems()]
    assert candidate_sets("in_batch", owner="M") == [InBatch()]
    both = [InBatch(hardest=2), Sampled(5)]
    assert candidate_sets(both, owner="M") == both
    assert candidate_sets(Sampled(5), owner="M") == [Sampled(5)]


@pytest.mark.parametrize(
    ("negatives", "message"),
    [
        ("random", "M: negatives must be 'all', 'in_batch', .* got 'random'"),
        ([], "M: negatives must be .* got \\[\\]"),
        (5, "M: negatives must be .* got 5"),
        (None, "M: negatives must be .* got None"),
        (["in_batch", None], "M: negatives must be .* got None"),
        (["all", Sampled(5)], "M: negatives has all items and more"),
    ],
)
def test_errors(negatives, message):
    with pytest.raises(ValueError, match=message):
        candidate_sets(negatives, owner="M")


@pytest.mark.parametrize("make", [InBatch, lambda counts: Sampled(4, "popularity", counts=counts)])
def test_counts_with_labels_are_refused(make):
    with pytest.raises(TypeError, match="counts must have one number an id, got a Series with lab"):
        make(counts=pd.Series([3, 3, 1, 2]).value_counts())
    with pytest.raises(TypeError, match="got a dict with labels"):
        make(counts={1: 2})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: InBatch(number=0), "InBatch: number must be a whole number from 1 on, got 0"),
        (lambda: InBatch(hardest=0), "InBatch: hardest must be a whole number from 1 on, got 0"),
        (lambda: Sampled(0), "Sampled: number must be a whole number from 1 on, got 0"),
        (lambda: Sampled(2.5), "Sampled: number must be a whole number from 1 on, got 2.5"),
        (lambda: InBatch(hide_similar=2), "InBatch: hide_similar is a cosine, from -1 to 1, got 2"),
        (lambda: Sampled(4, "zipf"), "Sampled: distribution must be one of .* got 'zipf'"),
        (lambda: Sampled(4, "popularity"), "Sampled: counts belong to .* without counts"),
        (lambda: Sampled(4, counts=[0, 1]), "Sampled: counts belong to .* with counts"),
    ],
)
def test_sets_that_would_be_silently_others_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
