import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from deeprec_tf import DenseFeat, RecModel, SparseFeat, VarLenSparseFeat
from deeprec_tf.evaluation import evaluate_retrieval, fit_popularity, target_ranks
from deeprec_tf.models import DSSM, DeepFM
from deeprec_tf.retrieval import exact
from tests.evaluation.two_tower import (
    ITEMS,
    USERS,
    catalogue,
    scores_by_hand,
    two_tower,
    user_data,
    vectors_given,
)
from tests.reference import full_ranking as twin

X, TARGETS = user_data()
SEEN = X["hist_item_id"]
ONLY_IDS = {"item_id": np.arange(1, ITEMS + 1)}


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    return two_tower()


@pytest.fixture(scope="module")
def category_model():
    keras.utils.set_random_seed(2)
    return two_tower(with_category=True)


def expected(scores, k=3, targets=None, seen=SEEN):
    targets = [[target] for target in TARGETS] if targets is None else targets
    lists = [twin.best_items(*user, k) for user in zip(scores, targets, seen, strict=True)]
    found = twin.mean_metrics(scores, targets, seen, k)
    return pytest.approx({**found, f"coverage@{k}": twin.coverage(lists, ITEMS)}, abs=1e-9)


class TestModels:
    def test_id_only(self, model):
        scores = scores_by_hand(model, X, ONLY_IDS)
        assert evaluate_retrieval(model, X, TARGETS, seen=SEEN, k=3) == expected(scores)

    def test_catalogue_with_features_in_any_order(self, category_model):
        scores = scores_by_hand(category_model, X, catalogue())
        found = evaluate_retrieval(category_model, X, TARGETS, items=catalogue(), seen=SEEN, k=3)
        assert found == expected(scores)

    def test_several_interests_score_by_the_largest(self):
        several = two_tower(interests=3)
        scores = scores_by_hand(several, X, ONLY_IDS)
        found = evaluate_retrieval(several, X, TARGETS, seen=SEEN, k=3, batch_size=10)
        assert found == expected(scores)

    def test_an_interest_of_zeros_does_not_beat_negative_scores(self):
        users = np.array([[[-1, 0], [0, 0]], [[0, 0], [0, -2]], [[0, 0], [0, 0]]], "float32")
        items = {"v": np.array([[1, 2], [2, 1], [3, 3]], "float32"), "key": np.arange(1, 4)}
        several, first = vectors_given(2, 2), []
        for user in users:  # the same items stand first by predict, where ties go to the lower
            pairs = {"u": np.repeat(user[None], 3, axis=0), **items}
            first.append(several.predict(pairs, verbose=0)[:, 0].argmax() + 1)
        assert first == [1, 2, 1]
        settings = {"items": items, "item": "key", "k": 1}
        found = evaluate_retrieval(several, {"u": users[:2]}, first[:2], **settings)
        assert found["hr@1"] == found["mrr@1"] == 1.0
        all_alike = evaluate_retrieval(several, {"u": users[2:]}, [1], **settings)
        assert all_alike["hr@1"] == 0.0, "ties take the middle"

    def test_the_memory_of_a_chunk_does_not_grow_with_the_interests(self, monkeypatch):
        sizes, matmul = [], tf.matmul

        def counted(*arguments, **options):
            product = matmul(*arguments, **options)
            sizes.append(int(tf.size(product)))
            return product

        monkeypatch.setattr(exact.tf, "matmul", counted)
        monkeypatch.setattr(target_ranks, "CELLS", 4 * 7)
        users = np.ones((10, 3, 2), "float32")
        items = {"v": np.ones((7, 2), "float32"), "key": np.arange(1, 8)}
        evaluate_retrieval(
            vectors_given(3, 2), {"u": users}, np.ones(10, int), items=items, item="key", k=3
        )
        assert max(sizes) == 4 * 7 and sum(sizes) == 3 * 10 * 7

    def test_lists_of_targets(self, model):
        rng = np.random.default_rng(0)
        targets = [rng.choice(ITEMS, rng.integers(1, 5), False) + 1 for _ in range(USERS)]
        scores = scores_by_hand(model, X, ONLY_IDS)
        found = evaluate_retrieval(model, X, targets, seen=SEEN, k=3)
        assert found == expected(scores, targets=targets)

    def test_nothing_seen(self, model):
        scores = scores_by_hand(model, X, ONLY_IDS)
        found = evaluate_retrieval(model, X, TARGETS, k=3)
        assert found == expected(scores, seen=[[]] * USERS)

    @pytest.mark.parametrize("batch_size", [1, 7, 1000])
    def test_chunks_are_irrelevant(self, model, batch_size):
        one = evaluate_retrieval(model, X, TARGETS, seen=SEEN)
        found = evaluate_retrieval(model, X, TARGETS, seen=SEEN, batch_size=batch_size)
        assert found == pytest.approx(one)

    def test_row_of_the_padding_is_no_item(self, category_model):
        whole = catalogue()
        one = evaluate_retrieval(category_model, X, TARGETS, items=whole)
        for zeros in ([0], [0, 0]):
            padded = {name: np.concatenate([zeros, column]) for name, column in whole.items()}
            assert evaluate_retrieval(category_model, X, TARGETS, items=padded) == one

    def test_data_frames_data_sets_and_further_columns(self, category_model):
        one = evaluate_retrieval(category_model, X, TARGETS, items=catalogue(), seen=SEEN)
        frame = pd.DataFrame({**X, "hist_item_id": list(SEEN), "label": 1.0})
        items = pd.DataFrame({**catalogue(), "title": "?"})
        found = evaluate_retrieval(
            category_model, frame, pd.Series(TARGETS, frame.index + 3), items=items,
            seen=frame["hist_item_id"],
        )  # fmt: skip
        assert found == one
        for columns in (({**X, "label": TARGETS},), ({**X, "label": TARGETS}, TARGETS)):
            data = tf.data.Dataset.from_tensor_slices(columns).batch(4)
            found = evaluate_retrieval(
                category_model, data, TARGETS, items=catalogue(), seen=SEEN
            )
            assert found == pytest.approx(one)

    def test_only_the_catalogue_is_ranked(self, model):
        """Half of the items: others are no rivals, and seen ones don't matter."""
        ids = np.unique(np.append(TARGETS[:9], [1]))
        scores = scores_by_hand(model, X, ONLY_IDS)
        few = {name: column[:9] for name, column in X.items()}
        gone = np.setdiff1d(np.arange(1, ITEMS + 1), ids)
        found = evaluate_retrieval(
            model, few, TARGETS[:9], items={"item_id": ids}, seen=SEEN[:9], k=2,
            metrics=["hr", "recall", "ndcg", "mrr", "map", "precision"],
        )  # fmt: skip
        hidden = [np.append(row, gone) for row in SEEN[:9]]
        assert found == pytest.approx(
            twin.mean_metrics(scores[:9], [[target] for target in TARGETS[:9]], hidden, 2)
        )

    def test_any_keras_model_and_any_integers(self):
        """Two tables by hand: raw ids beyond int32 are matched by value."""
        raw = np.array([7_000_000_000, 30, 20])
        user, item = keras.Input((2,), name="u"), keras.Input((2,), name="v")
        item_id = keras.Input((), name="key", dtype="int64")
        vectors = [
            keras.layers.Identity(name="user_vector")(user),
            keras.layers.Identity(name="item_vector")(
                item + 0.0 * keras.ops.cast(item_id, "float32")[:, None]
            ),
        ]
        model = keras.Model(
            {"u": user, "v": item, "key": item_id}, keras.layers.Dot(axes=1)(vectors)
        )
        items = {"v": np.array([[1, 0], [0, 1], [1, 1]], "float32"), "key": raw}
        users = {"u": np.array([[1, 0.1], [0, -1]], "float32")}
        found = evaluate_retrieval(
            model, users, [7_000_000_000, 30], items=items, item="key", k=1, metrics=["mrr", "hr"],
            seen=[[20], [99]],
        )  # fmt: skip
        assert found == {"mrr@1": 0.5, "hr@1": 0.5}
        with pytest.raises(ValueError, match="name the one that holds the ids: item="):
            evaluate_retrieval(model, users, [30, 30], items=items)

    def test_reloaded_model(self, model, tmp_path):
        model.save(tmp_path / "m.keras")
        again = keras.saving.load_model(tmp_path / "m.keras")
        one = evaluate_retrieval(model, X, TARGETS, seen=SEEN)
        assert evaluate_retrieval(again, X, TARGETS, seen=SEEN) == pytest.approx(one)

    def test_relabelling_changes_nothing(self, category_model):
        """The same items under other ids."""
        one = evaluate_retrieval(category_model, X, TARGETS, items=catalogue(), seen=SEEN)
        shift = np.append(0, 1 + np.random.default_rng(2).permutation(ITEMS))
        renamed = two_tower(with_category=True)
        renamed.set_weights(category_model.get_weights())
        table = next(w for w in renamed.weights if w.shape == (ITEMS + 1, 4))
        rows = table.numpy()
        rows[shift] = rows.copy()
        table.assign(rows)
        items = {**catalogue(), "item_id": shift[catalogue()["item_id"]]}
        x = {**X, "hist_item_id": shift[SEEN]}
        found = evaluate_retrieval(
            renamed, x, shift[TARGETS], items=items, seen=x["hist_item_id"]
        )
        assert found == pytest.approx(one)


class TestFunctions:
    def test_rows_of_lists_arrays_and_tables(self):
        seen = [row[row > 0].tolist() for row in SEEN]
        function = fit_popularity(seen, ITEMS)
        scores = np.tile(np.bincount(np.concatenate(seen).astype(int), minlength=ITEMS + 1),
                         (USERS, 1))  # fmt: skip
        for rows in (seen, SEEN, pd.Series(seen)):
            found = evaluate_retrieval(function, rows, TARGETS, seen=seen, k=3, batch_size=8)
            assert found == expected(scores)
        by_column = evaluate_retrieval(
            lambda x: function(x["hist_item_id"]), X, TARGETS, seen=seen, k=3, batch_size=8
        )
        assert by_column == expected(scores)

    def test_ragged_tensors(self):
        seen = [row[row > 0].tolist() for row in SEEN]
        function, targets = fit_popularity(seen, ITEMS), [[target] for target in TARGETS]
        expected = evaluate_retrieval(function, seen, targets, seen=seen, k=3, batch_size=8)
        ragged = {"targets": tf.ragged.constant(targets), "seen": tf.ragged.constant(seen)}
        found = evaluate_retrieval(function, seen, **ragged, k=3, batch_size=8)
        assert found == expected

    def test_seen_ids_that_have_no_score_do_not_matter(self):
        scores = np.array([[0.0, 0.1, 0.3, 0.2]])
        found = evaluate_retrieval(
            lambda rows: scores.repeat(len(rows), axis=0), [[2], [3]], [3, 1], seen=[[2], [9]],
            k=1, metrics=["hr", "mrr"],
        )  # fmt: skip
        assert found == {"hr@1": 0.5, "mrr@1": 0.5}
        with pytest.raises(ValueError, match=r"evaluate_retrieval: targets has the id 9 in row 1"):
            evaluate_retrieval(lambda rows: scores.repeat(len(rows), axis=0), [[2], [3]], [3, 9])

    def test_novelty_needs_a_popularity(self):
        function = fit_popularity(SEEN, ITEMS)
        assert "novelty@3" not in evaluate_retrieval(function, SEEN, TARGETS, k=3)
        counts = np.ones(ITEMS + 1)
        found = evaluate_retrieval(function, SEEN, TARGETS, k=3, popularity=counts)
        assert found["novelty@3"] == pytest.approx(np.log2(ITEMS))

    def test_errors(self):
        function = fit_popularity(SEEN, ITEMS)
        with pytest.raises(ValueError, match=r"x has \[28\] rows, but targets has 29"):
            evaluate_retrieval(function, SEEN[1:], TARGETS)
        with pytest.raises(ValueError, match="items and item are for models"):
            evaluate_retrieval(function, SEEN, TARGETS, items=catalogue())
        with pytest.raises(TypeError, match="For a matrix of scores call rank_targets"):
            evaluate_retrieval(np.zeros((29, 4)), None, TARGETS)


class TestOwnCatalogue:
    """A model that holds the features of its items needs no `items`."""

    TABLE = {
        "kind": np.arange(ITEMS + 1) % 5, "text": np.arange(3.0 * ITEMS + 3).reshape(-1, 3) / 30,
        "tags": np.stack([np.arange(ITEMS + 1) % 4, np.arange(ITEMS + 1) % 3], axis=1),
    }  # fmt: skip

    def build(self, table, **options):
        tags = VarLenSparseFeat(SparseFeat("tags", 4), maxlen=2)
        features = [SparseFeat("kind", 5), DenseFeat("text", 3), tags]
        return DSSM(
            [SparseFeat("user_id", USERS)], [SparseFeat("item_id", ITEMS + 1), *features],
            hidden_units=(6, 4), item_table=table, **options,
        )  # fmt: skip

    def test_it_is_all_of_them_with_their_features(self, tmp_path):
        model = self.build(self.TABLE, negatives="all")
        catalogue = {"item_id": np.arange(1, ITEMS + 1)}
        catalogue |= {name: values[1:] for name, values in self.TABLE.items()}
        expected = evaluate_retrieval(model, X, TARGETS, items=catalogue)
        assert evaluate_retrieval(model, X, TARGETS) == expected
        model.save(tmp_path / "model.keras")
        again = keras.models.load_model(tmp_path / "model.keras")
        assert evaluate_retrieval(again, X, TARGETS) == expected
        part = {name: values[3:] for name, values in catalogue.items()}
        known = TARGETS > 3
        x = {name: values[known] for name, values in X.items()}
        assert evaluate_retrieval(model, x, TARGETS[known], items=part) != expected

    def test_a_feature_that_is_not_held_is_asked_for(self):
        model = self.build({}, negatives="in_batch")
        with pytest.raises(ValueError, match=r"items is missing. The item tower reads \['item_id'"):
            evaluate_retrieval(model, X, TARGETS)


class TestErrors:
    def test_ranking_model(self):
        ranking = DeepFM([SparseFeat("user_id", USERS), SparseFeat("item_id", ITEMS + 1)])
        with pytest.raises(ValueError, match="no layer 'user_vector' to cut at"):
            evaluate_retrieval(ranking, X, TARGETS)

    def test_items_missing(self, category_model):
        with pytest.raises(ValueError, match=r"items is missing. The item tower reads \['item_id'"):
            evaluate_retrieval(category_model, X, TARGETS)
        with pytest.raises(ValueError, match="items has no column 'category'"):
            evaluate_retrieval(category_model, X, TARGETS, items=ONLY_IDS)
        with pytest.raises(ValueError, match="item='movie' is none of the item tower's inputs"):
            evaluate_retrieval(category_model, X, TARGETS, items=catalogue(), item="movie")

    def test_catalogue(self, model, category_model):
        for ids, message in (
            ([1, 2, 2], "items has the id 2 twice"),
            ([0, 0], "items has no item"),
            ([1.5], "must hold one integer id a row, got float64"),
        ):
            with pytest.raises(ValueError, match=message):
                evaluate_retrieval(model, X, TARGETS, items={"item_id": np.array(ids)})
        uneven = catalogue() | {"category": catalogue()["category"][:-1]}
        with pytest.raises(ValueError, match="items: columns of one table must be equally long"):
            evaluate_retrieval(category_model, X, TARGETS, items=uneven)
        with pytest.raises(TypeError, match="items must be a dict of arrays or a DataFrame"):
            evaluate_retrieval(model, X, TARGETS, items=[1, 2])

    def test_target_outside_the_catalogue(self, model):
        targets = TARGETS.copy()
        targets[4] = 99
        with pytest.raises(ValueError, match=r"id 99 in row 4; the catalogue has 12 items with id"):
            evaluate_retrieval(model, X, targets)

    def test_rows(self, model):
        with pytest.raises(ValueError, match="x has 29 rows, but targets has 28"):
            evaluate_retrieval(model, X, TARGETS[1:])
        with pytest.raises(ValueError, match="seen has 28 rows, but targets has 29"):
            evaluate_retrieval(model, X, TARGETS, seen=SEEN[1:])
        with pytest.raises(ValueError, match="x has no column 'hist_item_id'"):
            evaluate_retrieval(model, {"user_id": X["user_id"]}, TARGETS)
        with pytest.raises(ValueError, match="no rows to evaluate"):
            evaluate_retrieval(model, X, [])

    def test_nan_weights(self):
        broken = two_tower()
        users = next(w for w in broken.weights if w.shape[0] == USERS)
        table = users.numpy()
        table[17] = np.nan
        users.assign(table)
        with pytest.raises(ValueError, match="scores of the user in row 17 hold NaN"):
            evaluate_retrieval(broken, X, TARGETS)

    def test_widths(self):
        with pytest.raises(ValueError, match=r"got \(29, 3\) and \(12, 4\)"):
            evaluate_retrieval(two_tower(user_dim=3), X, TARGETS)

    def test_numbers_do_not_name_items(self):
        price = keras.Input((1,), name="price")
        user = keras.Input((1,), name="age")
        vectors = [
            keras.layers.Identity(name="user_vector")(user),
            keras.layers.Identity(name="item_vector")(price),
        ]
        model = RecModel(
            {"price": price, "age": user}, keras.layers.Dot(axes=1)(vectors),
            feature_columns=[DenseFeat("age"), DenseFeat("price")],
        )  # fmt: skip
        with pytest.raises(ValueError, match="items is missing"):
            evaluate_retrieval(model, {"age": np.ones((2, 1))}, [1, 1])
