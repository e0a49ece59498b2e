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
        (["all", Sampled(5)], "M: negatives has all items and more"),
    ],
)
def test_errors(negatives, message):
    with pytest.raises(ValueError, match=message):
        candidate_sets(negatives, owner="M")
