import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeprec_tf.evaluation import exact_auc, gauc, log_loss
from tests.reference import metrics as twin


@st.composite
def clicks(draw, classes=2):
    """Rows of (label, score, group); scores from a small set, so that ties are frequent."""
    rows = draw(
        st.lists(
            st.tuples(st.integers(0, 1), st.integers(-3, 3), st.integers(0, 3)),
            min_size=2,
            max_size=30,
        ).filter(lambda rows: {row[0] for row in rows} == {0, 1})
    )
    labels, scores, groups = (list(column) for column in zip(*rows, strict=True))
    return labels, scores, groups


class TestExactAUC:
    def test_hand_worked(self):
        # Pairs (positive, negative): .35>.1, .35<.4, .8>.1, .8>.4: three of four.
        assert exact_auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]) == 0.75

    def test_hand_worked_tie_counts_half(self):
        # .5 against .5 is half, .5 against .2 is won: 1.5 of 2.
        assert exact_auc([1, 0, 0], [0.5, 0.5, 0.2]) == 0.75

    def test_perfect_and_reversed(self):
        assert exact_auc([0, 1, 1], [1, 2, 3]) == 1.0
        assert exact_auc([0, 1, 1], [-1, -2, -3]) == 0.0

    def test_hand_worked_weights(self):
        # Won: the positive of weight 3 over the negative of weight 2; lost: 1 under 2.
        assert exact_auc([1, 1, 0], [0.9, 0.1, 0.5], [3, 1, 2]) == 0.75

    @given(clicks())
    def test_equals_both_twins(self, rows):
        labels, scores, _ = rows
        assert exact_auc(labels, scores) == pytest.approx(twin.auc_by_pairs(labels, scores))
        assert exact_auc(labels, scores) == pytest.approx(twin.auc_by_ranks(labels, scores))

    @given(clicks(), st.randoms(use_true_random=False))
    def test_row_order_is_irrelevant(self, rows, random):
        labels, scores, _ = rows
        order = list(range(len(labels)))
        random.shuffle(order)
        shuffled = exact_auc([labels[i] for i in order], [scores[i] for i in order])
        assert shuffled == exact_auc(labels, scores)

    @given(clicks())
    def test_monotone_transform_leaves_it(self, rows):
        labels, scores, _ = rows
        assert exact_auc(labels, np.exp(np.array(scores) / 2)) == exact_auc(labels, scores)

    @given(clicks(), st.floats(-5, 5))
    def test_constant_scores_give_half(self, rows, constant):
        labels = rows[0]
        assert exact_auc(labels, [constant] * len(labels)) == 0.5

    @given(clicks())
    def test_turning_labels_and_scores_leaves_it(self, rows):
        labels, scores, _ = rows
        turned = exact_auc([1 - label for label in labels], [-score for score in scores])
        assert turned == pytest.approx(exact_auc(labels, scores))

    @given(clicks(), st.data())
    def test_integer_weights_equal_repeated_rows(self, rows, data):
        labels, scores, _ = rows
        counts = data.draw(st.lists(st.integers(1, 4), min_size=len(labels), max_size=len(labels)))
        repeated = exact_auc(np.repeat(labels, counts), np.repeat(scores, counts))
        assert exact_auc(labels, scores, counts) == pytest.approx(repeated)
        assert repeated == pytest.approx(twin.auc_by_pairs(labels, scores, counts))

    def test_against_scikit_learn(self):
        sklearn_metrics = pytest.importorskip("sklearn.metrics")
        generator = np.random.default_rng(0)
        labels = generator.random(5000) < 0.1
        scores = np.round(generator.normal(labels * 0.5), 2)
        weights = generator.random(5000)
        assert exact_auc(labels, scores) == pytest.approx(
            sklearn_metrics.roc_auc_score(labels, scores), abs=1e-12
        )
        assert exact_auc(labels, scores, weights) == pytest.approx(
            sklearn_metrics.roc_auc_score(labels, scores, sample_weight=weights), abs=1e-12
        )

    def test_scores_closer_than_float32_are_told_apart(self):
        assert exact_auc([0, 1], np.array([0.5, 0.5 + 1e-12])) == 1.0
        assert exact_auc([0, 1], np.array([2**53, 2**53 + 1])) == 1.0

    def test_column_vectors_series_and_booleans(self):
        labels = pd.Series([False, True, False], index=[7, 8, 9])
        scores = np.array([[0.1], [0.9], [0.2]], "float32")
        assert exact_auc(labels, scores) == 1.0

    @pytest.mark.parametrize(
        ("labels", "scores", "weights", "match"),
        [
            ([1, 1], [0.1, 0.2], None, "none of the 2 rows is negative"),
            ([0, 0], [0.1, 0.2], None, "none of the 2 rows is positive"),
            ([0, 1], [0.1, 0.2], [1.0, 0.0], r"is positive \(label 1, weight above 0\)"),
            ([0, 1, 1], [0.1, np.nan, np.nan], None, "2 of 3 scores are NaN, the first in row 1"),
            ([0, 1], [0.1, 0.2, 0.3], None, "2 labels but 3 scores"),
            ([0, 1], [[0.1, 0.2], [0.3, 0.4]], None, r"shape \(N,\) or \(N, 1\), got \(2, 2\)"),
            ([0, 3], [0.1, 0.2], None, "labels must be 0 or 1, got 3 in row 1"),
            ([0.0, np.nan], [0.1, 0.2], None, "labels must be 0 or 1, got nan in row 1"),
            ([], [], None, "no rows"),
            ([0, 1], ["a", "b"], None, "scores must be numbers"),
            ([0, 1], [0.1, 0.2], [1.0], "1 values in sample_weight but 2 rows"),
            ([0, 1], [0.1, 0.2], [1.0, -1.0], "not negative, got -1.0 in row 1"),
        ],
    )
    def test_errors(self, labels, scores, weights, match):
        with pytest.raises(ValueError, match=match):
            exact_auc(labels, scores, weights)


class TestLogLoss:
    def test_hand_worked(self):
        assert log_loss([1, 0], [0.5, 0.75]) == pytest.approx((np.log(2) + np.log(4)) / 2)

    def test_sure_errors_are_clipped(self):
        assert log_loss([1, 0], [0.0, 1.0]) == pytest.approx(-np.log(1e-7))
        assert log_loss([1], [0.0], eps=0.01) == pytest.approx(-np.log(0.01))

    def test_sure_and_right_in_float32_is_near_zero(self):
        assert 0 < log_loss([1, 0], np.array([1.0, 0.0], "float32")) < 1.1e-7

    def test_weights(self):
        assert log_loss([1, 0], [0.5, 0.9], sample_weight=[2, 0]) == pytest.approx(np.log(2))

    @given(
        st.lists(st.tuples(st.integers(0, 1), st.floats(0, 1)), min_size=1, max_size=20),
        st.sampled_from([1e-7, 1e-3]),
    )
    def test_equals_twin(self, rows, eps):
        labels, probabilities = zip(*rows, strict=True)
        expected = twin.log_loss(labels, probabilities, eps)
        assert log_loss(labels, probabilities, eps) == pytest.approx(expected)

    def test_against_scikit_learn(self):
        sklearn_metrics = pytest.importorskip("sklearn.metrics")
        generator = np.random.default_rng(1)
        probabilities, weights = generator.random(1000), generator.random(1000)
        labels = generator.random(1000) < probabilities
        expected = sklearn_metrics.log_loss(labels, probabilities, sample_weight=weights)
        assert log_loss(labels, probabilities, sample_weight=weights) == pytest.approx(expected)

    @pytest.mark.parametrize(
        ("labels", "probabilities", "match"),
        [
            ([0, 1], [0.1, 1.5], r"probability must lie in \[0, 1\], got 1.5 in row 1.*sigmoid"),
            ([0, 1], [0.1, np.nan], "1 of 2 probabilities are NaN"),
            ([0, 2], [0.1, 0.2], r"label must lie in \[0, 1\], got 2.0 in row 1"),
            ([0], [0.1, 0.2], "1 labels but 2 probabilities"),
        ],
    )
    def test_errors(self, labels, probabilities, match):
        with pytest.raises(ValueError, match=match):
            log_loss(labels, probabilities)

    def test_all_weights_zero(self):
        with pytest.raises(ValueError, match="all sample weights are 0"):
            log_loss([1], [0.5], sample_weight=[0])


class TestGAUC:
    # Group a: AUC 1 with one click of two rows; group b: 1/4 with two clicks of four rows
    # (only .7 > .6 is won); c has one class.
    labels = [1, 0, 1, 1, 0, 0, 1]
    scores = [0.9, 0.1, 0.7, 0.2, 0.6, 0.8, 0.5]
    groups = ["a", "a", "b", "b", "b", "b", "c"]

    @pytest.mark.parametrize(
        ("weighting", "value"),
        [
            ("impressions", (2 * 1 + 4 * 0.25) / 6),
            ("clicks", (1 * 1 + 2 * 0.25) / 3),
            ("uniform", (1 + 0.25) / 2),
        ],
    )
    def test_hand_worked(self, weighting, value):
        result = gauc(self.labels, self.scores, self.groups, weighting)
        assert result.value == pytest.approx(value)
        assert (result.counted, result.total) == (2, 3)

    @given(clicks(), st.sampled_from(["impressions", "clicks", "uniform"]))
    def test_equals_twin(self, rows, weighting):
        labels, scores, groups = rows
        if not any(
            {y for y, other in zip(labels, groups, strict=True) if other == g} == {0, 1}
            for g in groups
        ):
            with pytest.raises(ValueError, match="none of the"):
                gauc(labels, scores, groups, weighting)
            return
        value, counted, total = twin.gauc(labels, scores, groups, weighting)
        result = gauc(labels, scores, groups, weighting)
        assert result.value == pytest.approx(value)
        assert (result.counted, result.total) == (counted, total)

    def test_one_group_is_the_auc(self):
        result = gauc(self.labels, self.scores, [5] * 7)
        assert result.value == exact_auc(self.labels, self.scores)

    @pytest.mark.parametrize(
        "relabel",
        [
            lambda g: np.array([{"a": 40, "b": -1, "c": 2**62}[name] for name in g]),
            lambda g: np.array(g),
            lambda g: pd.Categorical(g),
            lambda g: pd.Series(g, index=range(10, 17)),
            lambda g: [(name, 1) for name in g],
            lambda g: [{"a": 1, "b": "one", "c": (2, 3)}[name] for name in g],
            lambda g: pd.to_datetime(pd.Series(g).map({"a": "2020", "b": "2021", "c": "2022"})),
            lambda g: np.array(g)[:, None],
        ],
        ids=["int", "str", "category", "series", "tuple", "mixed", "datetime", "column"],
    )
    def test_groups_of_any_dtype(self, relabel):
        assert gauc(self.labels, self.scores, relabel(self.groups)) == gauc(
            self.labels, self.scores, self.groups
        )

    @given(st.randoms(use_true_random=False))
    def test_row_order_is_irrelevant(self, random):
        order = list(range(7))
        random.shuffle(order)
        columns = ([column[i] for i in order] for column in (self.labels, self.scores, self.groups))
        assert gauc(*columns).value == pytest.approx(0.5)

    def test_a_shift_per_group_leaves_gauc_but_not_auc(self):
        shifted = np.array(self.scores) + np.array([0, 0, 9, 9, 9, 9, 0])
        assert gauc(self.labels, shifted, self.groups) == gauc(
            self.labels, self.scores, self.groups
        )
        assert exact_auc(self.labels, shifted) != exact_auc(self.labels, self.scores)

    def test_constant_scores_give_half(self):
        assert gauc(self.labels, [0.3] * 7, self.groups).value == 0.5

    def test_weight_zero_takes_rows_out(self):
        weights = [1, 1, 0, 0, 1, 1, 1]  # b loses its clicks and no longer counts
        result = gauc(self.labels, self.scores, self.groups, sample_weight=weights)
        assert (result.value, result.counted) == (1.0, 1)

    def test_many_groups_take_no_loop(self):
        generator = np.random.default_rng(2)
        groups = generator.integers(0, 100_000, 500_000)
        labels, scores = generator.random((2, 500_000))
        result = gauc(labels < 0.3, scores, groups)
        assert result.value == pytest.approx(0.5, abs=0.005)

    @pytest.mark.parametrize(
        ("groups", "weighting", "match"),
        [
            (["a"] * 6, "impressions", "6 groups but 7 rows"),
            ([None, *"aabbb", float("nan")], "impressions", "missing .* in 2 rows, first in row 0"),
            (list(range(7)), "impressions", "none of the 7 groups has both"),
            (["a"] * 7, "rows", "weighting must be one of .*got 'rows'"),
            (np.zeros((7, 2)), "uniform", r"groups must have shape \(N,\)"),
        ],
    )
    def test_errors(self, groups, weighting, match):
        with pytest.raises(ValueError, match=match):
            gauc(self.labels, self.scores, groups, weighting)
