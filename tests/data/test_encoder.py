import json

import numpy as np
import pandas as pd
import pytest

from deeprec_tf import DenseFeat, SparseFeat, VarLenSparseFeat
from deeprec_tf.data import Category, CategoryList, FeatureEncoder, Number, Text

BIG = 2**60


@pytest.fixture
def frame():
    return pd.DataFrame(
        {
            "user": pd.array([BIG + 1, BIG + 2, BIG + 1, None], dtype="Int64"),
            "city": ["Rome", "Oslo", None, "Rome"],
            "genres": ["x|y|z", "y", None, "z||x"],
            "seen": [[1, 2], np.array([2]), None, [3, 1, 2]],
            "age": [10.0, np.nan, 20.0, 30.0],
            "price": [0.0, -1.0, np.inf, 7.0],
            "hour": [1, 2, 3, 4],
            "title": ["one", None, "é", ""],
        },
        index=[3, 3, 1, 0],
    )


def full_encoder():
    return FeatureEncoder(
        [
            Category("user"),
            Category("city", missing="own"),
            CategoryList("genres", 2, separator="|", length_name="genre_count"),
            CategoryList("seen", 2),
            Number("age", transform="standardize"),
            Number("price", transform="log1p", fill=3),
            Number("hour", transform="bucketize", edges=[2, 3.5]),
            Text("title"),
        ]
    )


def test_counts_may_be_numpys(frame, tmp_path):
    features = [
        Category("city", min_frequency=np.int64(1), max_size=np.int32(1)),
        CategoryList("seen", np.int64(2)),
        Number("hour", transform="bucketize", bins=np.int64(2)),
    ]
    encoder = FeatureEncoder(features).fit(frame)
    encoder.save(tmp_path / "encoder.json")
    found = FeatureEncoder.load(tmp_path / "encoder.json").transform(frame)
    assert found["seen"].shape == (4, 2) and found["city"].max() == 2


def test_a_worked_case(frame):
    batch = full_encoder().fit_transform(frame)
    assert batch["user"].tolist() == [2, 3, 2, 1]
    assert batch["city"].tolist() == [3, 4, 2, 3]
    # x, y, z twice each: equals in ascending order, so x=2, y=3, z=4; the last two stay.
    assert batch["genres"].tolist() == [[3, 4], [3, 0], [0, 0], [4, 2]]
    assert batch["genre_count"].tolist() == [2, 1, 0, 2]
    # 2 occurs three times, 1 twice, 3 once.
    assert batch["seen"].tolist() == [[3, 2], [2, 0], [0, 0], [3, 2]]
    np.testing.assert_allclose(
        batch["age"], np.array([-10, 0, 0, 10]) / np.sqrt(200 / 3), rtol=1e-6
    )
    np.testing.assert_allclose(batch["price"], [0, -np.log(2), np.log(4), np.log(8)], rtol=1e-6)
    assert batch["hour"].tolist() == [2, 3, 3, 4]
    assert batch["title"].tolist() == ["one", "", "é", ""]
    dtypes = {name: str(values.dtype) for name, values in batch.items()}
    assert set(dtypes.items()) == {
        ("user", "int32"), ("city", "int32"), ("genres", "int32"), ("genre_count", "int32"),
        ("seen", "int32"), ("age", "float32"), ("price", "float32"), ("hour", "int32"),
        ("title", "object"),
    }  # fmt: skip


def test_values_not_seen_are_out_of_vocabulary_never_an_error(frame):
    encoder = full_encoder().fit(frame)
    batch = encoder.transform(
        {
            "user": [BIG, 5], "city": ["Bonn", ""], "genres": ["q|x", "q"], "seen": [[9], []],
            "age": [None, 1e300], "price": [np.nan, -np.inf], "hour": [-99, 99],
            "title": ["new", None],
        }
    )  # fmt: skip
    assert batch["user"].tolist() == [1, 1] and batch["city"].tolist() == [1, 2]
    assert batch["genres"].tolist() == [[1, 2], [1, 0]]
    assert batch["seen"].tolist() == [[1, 0], [0, 0]]
    assert batch["age"].tolist() == [0, 0]
    np.testing.assert_allclose(batch["price"], np.log([4, 4]), rtol=1e-6)
    assert batch["hour"].tolist() == [2, 4]


def test_an_empty_table_gives_empty_arrays(frame):
    batch = full_encoder().fit(frame).transform(frame.iloc[:0])
    assert batch["genres"].shape == (0, 2) and batch["user"].shape == (0,)


def test_numbers_are_filled_and_never_nan():
    table = {"x": [1.0, np.nan, 2.0, 9.0]}
    for fill, expected in [(None, 4.0), ("mean", 4.0), ("median", 2.0), (-1, -1.0)]:
        filled = FeatureEncoder([Number("x", fill=fill)]).fit_transform(table)["x"]
        assert filled.tolist() == [1.0, expected, 2.0, 9.0]
    constant = FeatureEncoder([Number("x", transform="standardize")]).fit({"x": [5, 5]})
    assert constant.transform({"x": [5, None]})["x"].tolist() == [0.0, 0.0]
    flags = FeatureEncoder([Number("x")]).fit_transform({"x": [True, None, False]})["x"]
    assert flags.tolist() == [1.0, 0.5, 0.0]


def test_numbers_too_far_apart_to_be_standardized():
    encoder = FeatureEncoder([Number("x", transform="standardize")])
    encoder.fit({"x": [1.8e19, -1.8e19]})
    with pytest.raises(ValueError, match=r"'x' has a standard deviation of 2.0e\+19, above"):
        encoder.fit({"x": [2e19, -2e19]})


def test_buckets():
    encoder = FeatureEncoder([Number("x", transform="bucketize", bins=4)])
    batch = encoder.fit_transform({"x": np.arange(1, 101)})
    assert np.bincount(batch["x"]).tolist() == [0, 0, 25, 25, 25, 25]
    assert encoder.transform({"x": [None, -5]})["x"].tolist() == [1, 2]
    assert encoder.feature_columns() == [SparseFeat("x", 6)]
    filled = FeatureEncoder([Number("x", transform="bucketize", edges=[0.1], fill=0.1)])
    assert filled.fit({"x": [0.0]}).transform({"x": [None, 0.1, 0.0]})["x"].tolist() == [3, 3, 2]
    ties = FeatureEncoder([Number("x", transform="bucketize")]).fit({"x": [1] * 99 + [2]})
    assert len(ties.number_state("x").edges) == 1


def test_lists_of_every_kind():
    encoder = FeatureEncoder([CategoryList("x", 3, padding=0)])
    padded = np.array([[5, 6, 0, 0], [7, 5, 6, 5], [0, 0, 0, 0]])
    expected = [[2, 3, 0], [2, 3, 2], [0, 0, 0]]
    assert encoder.fit_transform({"x": padded})["x"].tolist() == expected
    assert encoder.transform({"x": [[5, 6], (7, 5, None, 6, 5), None]})["x"].tolist() == expected
    frame = pd.DataFrame({"x": [np.array([5, 6]), np.array([7, 5, 6, 5]), np.array([])]})
    assert encoder.transform(frame)["x"].tolist() == expected
    absent = {"x": [[5, 6], np.float32("nan"), np.float64("nan"), None, pd.NA]}
    assert encoder.transform(absent)["x"].tolist() == [[2, 3, 0], *[[0, 0, 0]] * 4]
    texts = FeatureEncoder([CategoryList("x", 2)]).fit({"x": [["a", "b"], ["a"]]})
    assert texts.transform({"x": [["b", None, "a", ""]]})["x"].tolist() == [[3, 2]]


def test_a_vocabulary_is_its_owner_s():
    encoder = FeatureEncoder(
        [
            Category("movie", min_frequency=2),
            Category("last", vocabulary="movie"),
            CategoryList("seen", 2, vocabulary="movie"),
        ]
    )
    table = {"movie": [1, 1, 2, 2, 3], "last": [3, 2, 9, 9, 9], "seen": [[1], [3, 2], [], [], []]}
    batch = encoder.fit_transform(table)
    assert batch["movie"].tolist() == [2, 2, 3, 3, 1]
    assert batch["last"].tolist() == [1, 3, 1, 1, 1]
    assert batch["seen"].tolist()[:2] == [[2, 0], [1, 3]]
    names = [column.embedding_name for column in encoder.feature_columns()]
    assert names == ["movie"] * 3


def test_a_vocabulary_without_an_owner_is_learned_from_all():
    encoder = FeatureEncoder(
        [Category("home", vocabulary="city"), Category("work", vocabulary="city")]
    )
    encoder.fit({"home": ["a", "b"], "work": ["b", "c"]})
    assert encoder.vocabulary("city").values.tolist() == ["b", "a", "c"]
    assert encoder.vocabulary("home") is encoder.vocabulary("work")


def test_feature_columns(frame):
    encoder = full_encoder().fit(frame)
    columns = encoder.feature_columns(
        embedding_dim=4, embedding_dims={"user": 16, "hour": "auto"}, combiners={"genres": "max"}
    )
    assert columns == [
        SparseFeat("user", 4, embedding_dim=16),
        SparseFeat("city", 5, embedding_dim=4),
        VarLenSparseFeat(
            SparseFeat("genres", 5, embedding_dim=4), 2, combiner="max", length_name="genre_count"
        ),
        VarLenSparseFeat(SparseFeat("seen", 5, embedding_dim=4), 2),
        DenseFeat("age"),
        DenseFeat("price"),
        SparseFeat("hour", 5, embedding_dim="auto"),
    ]
    assert [c.name for c in encoder.feature_columns(["age", "user"])] == ["age", "user"]
    with pytest.raises(ValueError, match=r"embedding_dims names \['nope'\]"):
        encoder.feature_columns(embedding_dims={"nope": 3})
    with pytest.raises(ValueError, match=r"combiners names \['user'\]"):
        encoder.feature_columns(combiners={"user": "sum"})


def test_widths_of_shared_tables_agree():
    encoder = FeatureEncoder([Category("a"), Category("b", vocabulary="a")])
    encoder.fit({"a": [1], "b": [1]})
    assert {c.embedding_dim for c in encoder.feature_columns(embedding_dims={"b": 3})} == {3}
    with pytest.raises(ValueError, match="table 'a' two widths, 3 and 5"):
        encoder.feature_columns(embedding_dims={"b": 3, "a": 5})


def test_behavior_columns(frame):
    encoder = full_encoder().fit(frame)
    columns = encoder.behavior_columns(["user"], maxlen=7, embedding_dim=4)
    sparse = SparseFeat("hist_user", 4, embedding_dim=4, embedding_name="user")
    assert columns == [VarLenSparseFeat(sparse, 7, length_name="hist_length")]
    negative = encoder.behavior_columns(["user"], maxlen=7, prefix="neg_hist_", length_name=None)
    assert negative[0].name == "neg_hist_user" and negative[0].length_name is None
    with pytest.raises(ValueError, match=r"names \['genres'\]"):
        encoder.behavior_columns(["genres"], maxlen=7)


def test_names_choose_features(frame):
    encoder = full_encoder().fit(frame)
    assert list(encoder.transform(frame[["city"]], names=["city"])) == ["city"]
    with pytest.raises(ValueError, match=r"names \['nope'\].*possible are"):
        encoder.transform(frame, names=["nope"])


def test_inverse_transform(frame):
    encoder = full_encoder().fit(frame)
    back = encoder.inverse_transform({**encoder.transform(frame), "other": np.zeros(4)})
    assert back["user"].tolist() == [BIG + 1, BIG + 2, BIG + 1, None]
    assert back["city"].tolist() == ["Rome", "Oslo", None, "Rome"]
    assert back["genres"].tolist() == [["y", "z"], ["y"], [], ["z", "x"]]
    np.testing.assert_allclose(back["age"], [10, 20, 20, 30], atol=1e-4)
    np.testing.assert_allclose(back["price"], [0, -1, 3, 7], atol=1e-5)
    assert back["hour"][1] == pd.Interval(2, 3.5, closed="left")
    assert encoder.decode("genres", [[2, 0]]).tolist() == [["x", None]]


def test_json_round_trip(frame, tmp_path):
    encoder = full_encoder().fit(frame)
    encoder.save(tmp_path / "encoder.json")
    text = (tmp_path / "encoder.json").read_text(encoding="utf-8")
    assert str(BIG + 1) in text and "Rome" in text
    loaded = FeatureEncoder.load(tmp_path / "encoder.json")
    assert loaded.get_config() == encoder.get_config() == json.loads(text)
    for name, values in encoder.transform(frame).items():
        assert np.array_equal(loaded.transform(frame)[name], values), name
    assert loaded.feature_columns() == encoder.feature_columns()
    assert loaded.vocabulary("user").values.dtype == np.int64


def test_load_names_what_is_wrong(tmp_path):
    path = tmp_path / "x.json"
    path.write_text("{")
    with pytest.raises(ValueError, match="is no JSON"):
        FeatureEncoder.load(path)
    path.write_text("{}")
    with pytest.raises(ValueError, match="FeatureEncoder.save wrote"):
        FeatureEncoder.load(path)
    path.write_text('{"format": "deeprec_tf.FeatureEncoder", "version": 99}')
    with pytest.raises(ValueError, match="reads version 1, got 99"):
        FeatureEncoder.load(path)


@pytest.mark.parametrize(
    "call",
    [
        lambda e: e.transform({"x": [1]}),
        lambda e: e.feature_columns(),
        lambda e: e.behavior_columns(["x"], maxlen=2),
        lambda e: e.decode("x", [1]),
        lambda e: e.inverse_transform({"x": [1]}),
        lambda e: e.as_layer(),
        lambda e: e.raw_inputs({"x": [1]}),
        lambda e: e.save("nowhere.json"),
    ],
)
def test_not_fitted(call):
    with pytest.raises(ValueError, match=r"not fitted\. Call fit\(table\)"):
        call(FeatureEncoder([Category("x")]))


def test_errors_name_the_column(frame):
    encoder = full_encoder().fit(frame)
    with pytest.raises(ValueError, match="no column 'user' in the table, which has"):
        encoder.transform(frame.drop(columns="user"))
    for column, values, match in [
        ("user", ["a"] * 4, "'user' holds text"),
        ("city", [1, 2, 3, 4], "'city' holds integers"),
        ("city", [["Rome"]] * 4, "'city' must hold text .* Declare lists as CategoryList"),
        ("genres", [["x"]] * 4, "'genres' was declared with separator='|'"),
        ("seen", [1, 2, 3, 4], "'seen' must hold lists or arrays, got 1"),
        ("seen", ["1,2"] * 4, r"declare separator=\.\.\."),
        ("age", ["10"] * 4, "'age' must hold numbers"),
        ("hour", pd.to_datetime(["2020-01-01"] * 4), r"'hour' must hold numbers.* with \(times - "),
        ("hour", pd.to_timedelta([1] * 4), r"'hour' must hold numbers.* with .dt.total_seconds"),
        ("user", pd.to_datetime(["2020-01-01"] * 4), r"'user' must hold text.*day or month, with"),
        ("title", [1, 2, 3, 4], "'title' must hold text, got 1"),
    ]:
        changed = {name: frame[name] for name in frame.columns}
        changed[column] = values
        with pytest.raises(TypeError, match=match.replace("|", r"\|")):
            encoder.transform(changed)
    with pytest.raises(TypeError, match="DataFrame or a dict"):
        encoder.transform([1, 2])
    with pytest.raises(TypeError, match="'user' must hold a value a row, got 3. Give a list, also"):
        encoder.transform({"user": 3})
    with pytest.raises(TypeError, match="'city' must hold a value a row, got 'Rome'"):
        encoder.transform({"city": "Rome"})


def test_a_failed_fit_leaves_the_encoder_as_it_was():
    encoder = FeatureEncoder([Category("x"), Number("y")]).fit({"x": [1], "y": [2]})
    with pytest.raises(ValueError, match="'y' has no number to learn from"):
        encoder.fit({"x": [5], "y": [None]})
    assert encoder.vocabulary("x").values.tolist() == [1]
    borrower = FeatureEncoder([Category("x"), Category("z", vocabulary="x"), Text("t")])
    with pytest.raises(TypeError, match="'z' holds text, but its vocabulary 'x'"):
        borrower.fit({"x": [1], "z": ["a"], "t": ["b"]})
    with pytest.raises(TypeError, match="'t' must hold text"):
        borrower.fit({"x": [1], "z": [2], "t": [3]})
    assert not borrower.fitted
    with pytest.raises(ValueError, match="standard deviation of only"):
        FeatureEncoder([Number("y", transform="standardize")]).fit({"y": [1e-9, 2e-9]})


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: Category(""), TypeError, "name must be a non-empty string"),
        (lambda: Category("x", min_frequency=0), ValueError, "min_frequency must be an integer"),
        (lambda: Category("x", missing="drop"), ValueError, "missing must be 'oov' or 'own'"),
        (lambda: Category("x", vocabulary=3), TypeError, "vocabulary must be"),
        (lambda: CategoryList("x", 0), ValueError, "maxlen must be an integer of at least 1"),
        (lambda: CategoryList("x", 2, separator=""), ValueError, "separator must be a text"),
        (lambda: CategoryList("x", 2, separator="|", padding=0), ValueError, "padding is for"),
        (lambda: CategoryList("x", 2, padding="0"), TypeError, "padding must be an integer"),
        (lambda: Number("x", transform="log"), ValueError, "transform must be one of"),
        (lambda: Number("x", fill="zero"), ValueError, "fill must be 'mean'"),
        (lambda: Number("x", fill=float("nan")), ValueError, "a finite number"),
        (lambda: Number("x", bins=3), ValueError, "belong to transform='bucketize'"),
        (lambda: Number("x", transform="bucketize", bins=1), ValueError, "bins must be"),
        (lambda: Number("x", transform="bucketize", edges=[2, 1]), ValueError, "ascend strictly"),
        (
            lambda: Number("x", transform="bucketize", edges=[1], bins=2),
            ValueError,
            "bins or edges, not both",
        ),
        (lambda: Text("x", fill=None), TypeError, "fill must be a text"),
        (lambda: FeatureEncoder([]), ValueError, "no feature is declared"),
        (lambda: FeatureEncoder(["x"]), TypeError, "features must be Category"),
        (lambda: FeatureEncoder([Text("x"), Text("x")]), ValueError, r"\['x'\] are used twice"),
        (
            lambda: FeatureEncoder(
                [Category("a", vocabulary="y"), Number("y", transform="bucketize", edges=[1, 2])]
            ),
            ValueError,
            r"'y' is a Number in buckets, and the vocabulary of \['a'\]: they would share one",
        ),
        (
            lambda: FeatureEncoder(
                [Category("a", vocabulary="v", min_frequency=2), Category("b", vocabulary="v")]
            ),
            ValueError,
            "disagree on min_frequency",
        ),
        (
            lambda: FeatureEncoder([Category("a"), Category("b", vocabulary="a", max_size=2)]),
            ValueError,
            "'b' takes the vocabulary of 'a'",
        ),
    ],
)
def test_declarations_that_can_not_work(make, error, match):
    with pytest.raises(error, match=match):
        make()
