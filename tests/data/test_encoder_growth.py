"""An encoder that learns the values of later rows, and the ids of one encoder in another's."""

import collections

import keras
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deeprec_tf import SparseFeat
from deeprec_tf.data import Category, CategoryList, FeatureEncoder, Number, Text, Vocabulary

BIG = 2**60


def test_new_values_stand_behind_the_old_ones():
    encoder = FeatureEncoder([Category("city"), Category("user")])
    encoder.fit({"city": ["Oslo", "Rome", "Rome"], "user": [BIG, BIG + 1, BIG]})
    grown = encoder.extend(
        {"city": ["Bonn", "Ulm", "Rome", "Ulm", None], "user": [BIG, BIG + 2, BIG, BIG, BIG]}
    )
    assert grown == {"city": 2, "user": 1}
    ids = encoder.transform(
        {"city": ["Rome", "Oslo", "Ulm", "Bonn", "Paris"], "user": [BIG, BIG + 1, BIG + 2, 7, 8]}
    )
    assert ids["city"].tolist() == [2, 3, 4, 5, 1]
    assert ids["user"].tolist() == [2, 3, 4, 1, 1]
    assert encoder.feature_columns() == [SparseFeat("city", 6), SparseFeat("user", 5)]
    assert encoder.extend({"city": ["Ulm"], "user": [BIG]}) == {}
    assert encoder.extend({"city": [None], "user": [None]}) == {}


def test_a_value_of_its_own_for_missing_stays_where_it_is():
    encoder = FeatureEncoder([Category("city", missing="own")]).fit({"city": ["Rome", None]})
    encoder.extend({"city": ["Bonn", None]})
    assert encoder.transform({"city": ["Rome", "Bonn", None]})["city"].tolist() == [3, 4, 2]


def test_occurrences_of_all_days_count_towards_the_minimum(tmp_path):
    encoder = FeatureEncoder([Category("item", min_frequency=3)])
    encoder.fit({"item": [1, 1, 1, 2, 2, 3]})
    assert encoder.extend({"item": [3, 4]}) == {}
    encoder.save(tmp_path / "encoder.json")
    again = FeatureEncoder.load(tmp_path / "encoder.json")
    for one in (encoder, again):
        assert one.extend({"item": [2, 3, 3, 4]}) == {"item": 2}
        assert one.vocabulary("item").values.tolist() == [1, 3, 2]  # 3 came four times, 2 three
        assert one.vocabulary("item").waiting.to_dict() == {4: 2}
        assert one.extend({"item": [4]}) == {"item": 1}


def test_waiting_texts_are_saved_as_texts(tmp_path):
    encoder = FeatureEncoder([Category("item", min_frequency=2)]).fit({"item": ["a", "a", "7"]})
    encoder.save(tmp_path / "encoder.json")
    again = FeatureEncoder.load(tmp_path / "encoder.json")
    assert again.extend({"item": ["7", "b"]}) == {"item": 1}
    assert again.vocabulary("item").values.tolist() == ["a", "7"]


def test_an_encoder_that_was_saved_without_counts_is_read():
    encoder = FeatureEncoder([Category("item")]).fit({"item": [5, 6]})
    config = encoder.get_config()
    for name in ("waiting", "waiting_counts"):
        del config["vocabularies"]["item"][name]
    assert FeatureEncoder.from_config(config).extend({"item": [7]}) == {"item": 1}


def test_there_are_new_values_as_long_as_there_is_room():
    encoder = FeatureEncoder([Category("item", max_size=3)]).fit({"item": [1, 1, 2]})
    assert encoder.extend({"item": [3, 4, 4]}) == {"item": 1}
    assert encoder.vocabulary("item").values.tolist() == [1, 2, 4]
    assert encoder.extend({"item": [5] * 9}) == {}
    assert len(encoder.vocabulary("item").waiting) == 0  # nothing ever comes in any more


def test_features_of_one_vocabulary_grow_together():
    features = [
        Category("item", min_frequency=2), Category("brand"),
        CategoryList("seen", 3, vocabulary="item"), CategoryList("tags", 2, separator="|"),
    ]  # fmt: skip
    day = {"item": [1, 1], "brand": ["x", "y"], "seen": [[1], []], "tags": ["a|b", "a"]}
    encoder = FeatureEncoder(features).fit(day)
    later = {"item": [2, 2], "brand": ["x", "x"], "seen": [[9], [9]], "tags": ["c|a", None]}
    assert encoder.extend(later) == {"item": 1, "seen": 1, "tags": 1}  # 9 is in histories alone
    assert encoder.transform(later)["seen"].tolist() == [[1, 0, 0], [1, 0, 0]]
    with pytest.raises(TypeError, match="'seen' holds text"):
        encoder.extend({**later, "seen": [["9"], []]})


def test_a_table_of_new_items_needs_no_other_columns():
    encoder = FeatureEncoder([Category("user"), Category("item"), Number("price"), Text("title")])
    encoder.fit({"user": [1], "item": [1], "price": [2.0], "title": ["one"]})
    new = {"item": [2, 3], "price": [1.0, 9.0], "title": ["two", "three"]}
    assert encoder.extend(new, names=["item", "price", "title"]) == {"item": 2}
    with pytest.raises(ValueError, match="no column 'user'"):
        encoder.extend(new)
    with pytest.raises(ValueError, match="names"):
        encoder.extend(new, names=["itme"])


def test_numbers_stay_as_fitted():
    encoder = FeatureEncoder(
        [Number("age", transform="standardize"), Number("hour", transform="bucketize", bins=2)]
    ).fit({"age": [0.0, 2.0], "hour": [1, 3]})
    before = encoder.transform({"age": [5.0], "hour": [9]})
    assert encoder.extend({"age": [100.0, 200.0], "hour": [50, 60]}) == {}
    after = encoder.transform({"age": [5.0], "hour": [9]})
    assert before == after


def test_what_was_taken_before_stays_as_it_was():
    encoder = FeatureEncoder([Category("city")]).fit({"city": ["Rome"]})
    layer, columns, vocabulary = (
        encoder.as_layer(), encoder.feature_columns(), encoder.vocabulary("city")
    )  # fmt: skip
    encoder.extend({"city": ["Bonn"]})
    raw = {"city": keras.ops.convert_to_tensor(["Rome", "Bonn"])}
    assert layer(raw)["city"].numpy().tolist() == [2, 1]
    assert encoder.as_layer()(raw)["city"].numpy().tolist() == [2, 3]
    assert (columns[0].vocabulary_size, vocabulary.size) == (3, 3)
    assert encoder.feature_columns()[0].vocabulary_size == 4


def test_nothing_changes_where_a_table_is_refused():
    encoder = FeatureEncoder([Category("city"), Category("user")])
    with pytest.raises(ValueError, match="extend: the encoder is not fitted"):
        encoder.extend({"city": ["Rome"], "user": [1]})
    encoder.fit({"city": ["Rome"], "user": [1]})
    with pytest.raises(TypeError, match=r"'user' holds text.*'user' was fitted on integers"):
        encoder.extend({"city": ["Bonn"], "user": ["two"]})
    assert encoder.vocabulary("city").values.tolist() == ["Rome"]


@settings(max_examples=60, deadline=None)
@given(
    days=st.lists(st.lists(st.integers(0, 12), max_size=25), min_size=1, max_size=4),
    least=st.integers(1, 3),
)
def test_days_one_by_one_give_the_values_of_all_days_at_once(days, least):
    first = [0] * 3 + days[0]
    vocabulary = Vocabulary.learn("x", [("x", first)], min_frequency=least)
    for day in days[1:]:
        longer = vocabulary.extended([("x", day)], min_frequency=least)
        assert longer.values[: len(vocabulary)].tolist() == vocabulary.values.tolist()
        vocabulary = longer
    counts = collections.Counter([*first, *(value for day in days[1:] for value in day)])
    assert sorted(vocabulary.values) == sorted(v for v, n in counts.items() if n >= least)
    assert vocabulary.waiting.to_dict() == {v: n for v, n in counts.items() if n < least}


def test_ids_of_an_older_encoder():
    features = [Category("city", missing="own"), Category("user"), Number("age")]
    table = pd.DataFrame({"city": ["Rome", "Oslo", None], "user": [7, 8, 9], "age": 1.0})
    old = FeatureEncoder([*features, Category("gone")]).fit(table.assign(gone="x"))
    new = FeatureEncoder(features).fit(
        {"city": ["Bonn", "Bonn", "Rome"], "user": [9, 10, 7], "age": [1.0, 2.0, 3.0]}
    )
    ids = new.ids_from(old)
    assert set(ids) == {"city", "user"}
    assert ids["city"].tolist() == [0, 1, 2, -1, 4]  # Oslo came before Rome in the old one
    assert ids["user"].tolist() == [0, 1, 2, -1, 3]
    for name in ids:  # where a value has an id in both, it is that of its row
        rows = ids[name][old.transform(table.assign(gone="x"))[name]]
        known = new.transform(table)[name]
        assert (rows[known != 1] == known[known != 1]).all()


def test_ids_of_an_extended_encoder_are_the_same():
    encoder = FeatureEncoder([Category("city")]).fit({"city": ["Rome", "Oslo"]})
    old = FeatureEncoder.from_config(encoder.get_config())
    encoder.extend({"city": ["Bonn"]})
    assert encoder.ids_from(old)["city"].tolist() == [0, 1, 2, 3]


def test_ids_where_missing_values_have_lost_their_own():
    old = FeatureEncoder([Category("city", missing="own")]).fit({"city": ["Rome", None]})
    new = FeatureEncoder([Category("city")]).fit({"city": ["Rome"]})
    assert new.ids_from(old)["city"].tolist() == [0, 1, -1, 2]
    assert old.ids_from(new)["city"].tolist() == [0, 1, 3]


def test_buckets_of_other_edges_are_other_buckets():
    def fitted(edges):
        hour = Number("hour", transform="bucketize", edges=edges)
        return FeatureEncoder([hour]).fit({"hour": [1]})

    assert fitted([1, 2]).ids_from(fitted([1, 2]))["hour"].tolist() == [0, 1, 2, 3, 4]
    assert fitted([1, 3]).ids_from(fitted([1, 2]))["hour"].tolist() == [0, 1, -1, -1, -1]


def test_ids_of_another_type_of_key_are_refused():
    old = FeatureEncoder([Category("user")]).fit({"user": ["7"]})
    new = FeatureEncoder([Category("user")]).fit({"user": [7]})
    with pytest.raises(TypeError, match="'user' holds text"):
        new.ids_from(old)
    with pytest.raises(ValueError, match="ids_from: the encoder is not fitted"):
        new.ids_from(FeatureEncoder([Category("user")]))


def test_the_rows_of_a_day_are_read_once_a_feature():
    """Growing costs what the new rows and the keys cost, without a loop in Python."""
    encoder = FeatureEncoder([Category("user")]).fit({"user": np.arange(200_000)})
    assert encoder.extend({"user": np.arange(100_000, 300_000)}) == {"user": 100_000}
    assert encoder.transform({"user": [299_999]})["user"].tolist() == [300_001]
