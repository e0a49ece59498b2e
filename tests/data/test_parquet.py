import builtins

import numpy as np
import pandas as pd
import pytest

from deeprec_tf import DenseFeat, SparseFeat, VarLenDenseFeat, VarLenSparseFeat, check_batch
from deeprec_tf.data import Category, CategoryList, FeatureEncoder, Number, read_parquet_batches
from deeprec_tf.data import Text as TextFeature

pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install pyarrow")
import pyarrow.parquet as pq  # noqa: E402

BIG = 2**60
ROWS = 103


def table():
    """Rows numbered by `row`, with nulls, lists of 0..4 elements, and keys beyond 2^53."""
    row = np.arange(ROWS)
    return pa.table(
        {
            "row": pa.array(row),
            "user_id": pa.array(
                [None if r % 10 == 3 else BIG + int(r) % 7 for r in row], pa.int64()
            ),
            "item_id": pa.array(row % 5 + 1, pa.int32()),
            "seen": pa.array(
                [None if r % 9 == 5 else [BIG + k for k in range(r % 5)] for r in row],
                pa.list_(pa.int64()),
            ),
            "tags": pa.array([["a", None, "b"][: r % 4] for r in row]),
            "age": pa.array([None if r % 11 == 4 else float(r) for r in row]),
            "city": pa.array(["Rome", "Oslo", None] * 34 + ["Rome"]).dictionary_encode(),
            "vector": pa.array([[r, r + 0.5] for r in row], pa.list_(pa.float32(), 2)),
            "click": pa.array(row % 2 == 0),
            "weight": pa.array(row / 10),
        }
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("parquet")
    whole = table()
    for place, (start, stop) in enumerate([(0, 40), (40, 41), (41, ROWS)]):
        pq.write_table(
            whole.slice(start, stop - start), path / f"p{place}.parquet", row_group_size=9
        )
    return path


PLAIN = ("row", "item_id", "seen", "tags", "vector")


def rows_of(batches):
    return [batch["row"].tolist() for batch in batches.as_numpy_iterator()]


def test_every_row_once_in_order_with_a_last_partial_batch(folder):
    batches = read_parquet_batches(folder, columns=["row"], batch_size=16)
    rows = rows_of(batches)
    assert sum(rows, []) == list(range(ROWS))
    assert [len(batch) for batch in rows] == [16] * 6 + [7]
    assert int(batches.cardinality()) == 7
    assert rows_of(batches) == rows

    whole = read_parquet_batches(folder, columns=["row"], batch_size=16, drop_remainder=True)
    assert [len(batch) for batch in rows_of(whole)] == [16] * 6
    assert whole.element_spec["row"].shape == (16,) and int(whole.cardinality()) == 6


@pytest.mark.parametrize("buffer", [1, 20, 10_000])
def test_shuffling_gives_every_row_once_and_each_pass_its_own_order(folder, buffer):
    def make(seed):
        return read_parquet_batches(
            folder, columns=["row"], batch_size=10, shuffle=True, shuffle_buffer=buffer, seed=seed
        )

    batches = make(1)
    first, second = sum(rows_of(batches), []), sum(rows_of(batches), [])
    assert sorted(first) == sorted(second) == list(range(ROWS))
    assert first != second and first != sorted(first)
    again = make(1)
    assert sum(rows_of(again), []) == first and sum(rows_of(again), []) == second
    assert sum(rows_of(make(2)), []) != first


def test_a_large_buffer_mixes_all_rows(folder):
    batches = read_parquet_batches(folder, columns=["row"], batch_size=ROWS, shuffle=True)
    rows = np.array(rows_of(batches)[0])
    assert abs(np.corrcoef(rows, np.arange(ROWS))[0, 1]) < 0.3


def test_shards_share_the_row_groups(folder):
    shards = [
        sum(rows_of(read_parquet_batches(folder, columns=["row"], shard=(i, 3))), [])
        for i in range(3)
    ]
    assert sorted(sum(shards, [])) == list(range(ROWS))
    assert all(len(rows) > 20 for rows in shards)


def test_values_and_dtypes_without_any_declaration(folder):
    batches = read_parquet_batches(folder, columns=PLAIN, batch_size=50, label="click", maxlen=3)
    inputs, label = next(batches.as_numpy_iterator())
    assert {name: str(values.dtype) for name, values in inputs.items()} == {
        "row": "int64", "item_id": "int32", "seen": "int64", "tags": "object",
        "vector": "float32",
    }  # fmt: skip
    assert label.dtype == np.float32 and label.tolist() == [1.0, 0.0] * 25
    assert inputs["seen"].shape == (50, 3)
    assert inputs["seen"][4].tolist() == [BIG + 1, BIG + 2, BIG + 3]  # the newest of four
    assert inputs["seen"][2].tolist() == [BIG, BIG + 1, 0]
    assert inputs["seen"][5].tolist() == [0, 0, 0]  # a null list
    assert inputs["tags"][3].tolist() == [b"a", b"b", b""]  # a null element is dropped
    assert inputs["vector"][7].tolist() == [7.0, 7.5, 0.0]


def test_lists_without_maxlen_are_padded_to_the_longest_of_the_batch(folder):
    batches = read_parquet_batches(folder, columns=["seen"], batch_size=2)
    assert batches.element_spec["seen"].shape.as_list() == [None, None]
    assert [batch["seen"].shape for batch in batches.take(3)] == [(2, 1), (2, 3), (2, 4)]
    bounded = read_parquet_batches(folder, columns=["seen", "tags"], maxlen={"seen": 2})
    assert bounded.element_spec["seen"].shape.as_list() == [None, 2]
    assert bounded.element_spec["tags"].shape.as_list() == [None, None]


def test_nulls_need_an_answer_and_never_turn_integers_to_float(folder):
    with pytest.raises(ValueError, match=r"'user_id' has nulls in .*missing=\{'user_id': 0\}"):
        read_parquet_batches(folder, columns=["user_id"])
    with pytest.raises(ValueError, match=r"missing names \['nope'\]"):
        read_parquet_batches(folder, columns=["row"], missing={"nope": 0})
    batches = read_parquet_batches(
        folder, columns=["user_id", "age", "city"],
        missing={"user_id": 0, "age": -1.0, "city": "none"},
    )  # fmt: skip
    batch = next(batches.as_numpy_iterator())
    assert batch["user_id"].dtype == np.int64
    assert batch["user_id"][:5].tolist() == [BIG, BIG + 1, BIG + 2, 0, BIG + 4]
    assert batch["age"][4] == -1.0
    assert batch["city"][:3].tolist() == [b"Rome", b"Oslo", b"none"]


def test_feature_columns_set_dtype_and_padding(folder):
    columns = [
        SparseFeat("item_id", 10, dtype="int64"),
        SparseFeat("user_id", 100, use_hash=True),
        SparseFeat("city", 50, use_hash=True, dtype="string"),
        VarLenSparseFeat(SparseFeat("seen", 100, use_hash=True), 3, length_name="seen_length"),
        VarLenDenseFeat("vector", 5, length_name="vector_length"),
        DenseFeat("row"),
    ]
    batches = read_parquet_batches(
        folder,
        feature_columns=columns,
        label=["click"],
        sample_weight="weight",
        missing={"user_id": 0, "city": ""},
        batch_size=40,
    )
    inputs, label, weight = next(batches.as_numpy_iterator())
    assert set(inputs) == {
        "item_id", "user_id", "city", "seen", "seen_length", "vector", "vector_length", "row",
    }  # fmt: skip
    assert inputs["item_id"].dtype == inputs["user_id"].dtype == np.int64
    assert inputs["seen"].shape == (40, 3) and inputs["seen"].dtype == np.int64
    assert inputs["seen_length"].tolist()[:6] == [0, 1, 2, 3, 3, 0]
    assert inputs["seen_length"].dtype == np.int32
    assert inputs["vector"].shape == (40, 5) and (inputs["vector_length"] == 2).all()
    assert inputs["row"].dtype == np.float32
    assert list(label) == ["click"]
    np.testing.assert_allclose(weight, np.arange(40) / 10, rtol=1e-6)


def written(path, **columns):
    pq.write_table(pa.table(columns), path / "x.parquet")
    return path


def steps(name, maxlen=4, **options):
    return VarLenSparseFeat(SparseFeat(name, 100), maxlen, length_name="n", **options)


def only_batch(path, *columns):
    return next(read_parquet_batches(path, feature_columns=columns).as_numpy_iterator())


def test_lists_of_one_length_lose_a_step_all_together(tmp_path):
    path = written(
        tmp_path, item=[[5, None, 7], [1, 2]], cate=[[5, 6, 7], [3, 4]],
        weight=[[0.5, 0.6, 0.7], [0.1, None]], time=[[50, 60, 70], [10, 20]],
    )  # fmt: skip
    times = VarLenDenseFeat("time", 4, dtype="int64", length_name="n")
    batch = only_batch(path, steps("item", weight_name="weight"), steps("cate"), times)
    assert batch["item"].tolist() == [[5, 7, 0, 0], [1, 0, 0, 0]]
    assert batch["cate"].tolist() == [[5, 7, 0, 0], [3, 0, 0, 0]]
    np.testing.assert_allclose(batch["weight"], [[0.5, 0.7, 0, 0], [0.1, 0, 0, 0]])
    assert batch["time"].tolist() == [[50, 70, 0, 0], [10, 0, 0, 0]]
    assert batch["n"].tolist() == [2, 1]
    weighted = VarLenSparseFeat(SparseFeat("item", 100), 3, weight_name="weight")
    assert only_batch(path, weighted)["weight"][0].tolist() == pytest.approx([0.5, 0.7, 0.0])


def test_lists_of_one_length_are_equally_long(tmp_path):
    path = written(tmp_path, item=[[5, 7], [1, 2]], cate=[[5, 6], [3]])
    with pytest.raises(Exception, match="'item' and 'cate' .* have 2 and 1 elements in row 1"):
        only_batch(path, steps("item"), steps("cate"))


def test_a_length_in_the_files_goes_with_its_list(tmp_path):
    path = written(
        tmp_path, item=[[5, 6, 7, 8], [5, 6, 0, 0], [5], [1, 2, None, None]], n=[4, 2, 3, 2]
    )
    batch = only_batch(path, steps("item", 3))
    assert batch["item"].tolist() == [[6, 7, 8], [5, 6, 0], [5, 0, 0], [1, 2, 0]]
    assert batch["n"].tolist() == [3, 2, 1, 2]
    check_batch([steps("item", 3)], batch)
    written(tmp_path, item=[[5, 6, 0, 0], [5, 0, 0, 0]], cate=[[1, 2], [3]], n=[2, 1])
    batch = only_batch(tmp_path, steps("item"), steps("cate"))  # one padded, one not
    assert batch["cate"].tolist() == [[1, 2, 0, 0], [3, 0, 0, 0]]
    assert batch["n"].tolist() == [2, 1]


def test_null_elements_that_would_shift_unseen_are_refused(tmp_path):
    path = written(tmp_path, item=[[1], [5, None, 7]], n=[1, 3])
    with pytest.raises(Exception, match="column 'item' in row 1 of a batch has a null element"):
        only_batch(path, steps("item"))
    with pytest.raises(Exception, match="column 'item' in row 1 .* would shift"):
        only_batch(path, VarLenDenseFeat("item", 4))
    alone = VarLenSparseFeat(SparseFeat("item", 100), 3)
    assert only_batch(path, alone)["item"].tolist() == [[1, 0, 0], [5, 7, 0]]


def test_a_dense_vector(folder):
    columns = [DenseFeat("vector", 2)]
    batch = next(read_parquet_batches(folder, feature_columns=columns).as_numpy_iterator())
    assert batch["vector"].shape == (ROWS, 2) and batch["vector"][3].tolist() == [3.0, 3.5]
    with pytest.raises(Exception, match="must hold vectors of 3 numbers, got one of 2"):
        list(read_parquet_batches(folder, feature_columns=[DenseFeat("vector", 3)]))


def test_ids_beyond_the_declared_dtype_are_an_error(folder):
    batches = read_parquet_batches(
        folder, feature_columns=[SparseFeat("user_id", 10)], missing={"user_id": 0}
    )
    with pytest.raises(Exception, match="'user_id' holds .* beyond int32.*use_hash"):
        list(batches)


def test_an_encoder_reads_raw_values(folder):
    encoder = FeatureEncoder(
        [
            Category("user_id", missing="own"),
            Category("city"),
            CategoryList("seen", 2, vocabulary="user_id", length_name="seen_length"),
            CategoryList("tags", 3),
            Number("age", transform="standardize"),
        ]
    )
    frame = table().to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    frame["city"] = frame["city"].astype(object)
    frame["seen"] = [None if s is None else s.tolist() for s in table().column("seen").to_pandas()]
    expected = encoder.fit_transform(frame)
    batches = read_parquet_batches(
        folder, encoder=encoder, columns=["row"], label="click", batch_size=16
    )
    parts = [inputs for inputs, _ in batches.as_numpy_iterator()]
    assert set(parts[0]) == {*expected, "row"}
    for name, values in expected.items():
        got = np.concatenate([part[name] for part in parts])
        assert got.dtype == values.dtype and np.array_equal(got, values), name
    assert batches.element_spec[0]["seen"].shape.as_list() == [None, 2]


def test_an_encoder_of_booleans(tmp_path):
    path = written(tmp_path, liked=[True, None, False])
    encoder = FeatureEncoder([Category("liked")]).fit({"liked": [True, False, True]})
    batch = next(read_parquet_batches(path, encoder=encoder).as_numpy_iterator())
    assert batch["liked"].tolist() == [2, 1, 3]


def test_an_index_without_a_name_is_no_input(tmp_path):
    frame = pd.DataFrame({"x": [1, 2]}, index=[5, 7])
    frame.to_parquet(tmp_path / "a.parquet")
    assert "__index_level_0__" in pq.read_schema(tmp_path / "a.parquet").names
    assert list(read_parquet_batches(tmp_path).element_spec) == ["x"]
    asked = read_parquet_batches(tmp_path, columns=["__index_level_0__"])
    assert next(asked.as_numpy_iterator())["__index_level_0__"].tolist() == [5, 7]


def test_texts_of_an_encoder(folder):
    encoder = FeatureEncoder([TextFeature("city", fill="?")]).fit({"city": ["x"]})
    batch = next(read_parquet_batches(folder, encoder=encoder).as_numpy_iterator())
    assert batch["city"][:3].tolist() == [b"Rome", b"Oslo", b"?"]


def test_paths_may_be_files_patterns_or_several(folder):
    several = [folder / "p1.parquet", str(folder / "p[02].parquet")]
    rows = sum(rows_of(read_parquet_batches(several, columns=["row"])), [])
    assert rows == [40, *range(40), *range(41, ROWS)]
    for nothing in (folder / "none.parquet", str(folder / "*.csv"), []):
        with pytest.raises(FileNotFoundError, match="read_parquet_batches"):
            read_parquet_batches(nothing)


def test_memory_holds_the_buffer_not_the_file(tmp_path):
    rows = 300_000
    data = pa.table({f"c{k}": np.arange(rows) for k in range(8)})
    pq.write_table(data, tmp_path / "x.parquet", row_group_size=10_000)
    size = data.nbytes
    del data
    before = pa.total_allocated_bytes()
    batches = read_parquet_batches(tmp_path, batch_size=1000, shuffle=True, shuffle_buffer=10_000)
    peak, total = 0, 0
    for batch in batches:
        total += len(batch["c0"])
        peak = max(peak, pa.total_allocated_bytes() - before)
    assert total == rows and size == 19_200_000
    assert peak < size / 4


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"columns": ["nope"]}, ValueError, r"no columns \['nope'\]; it has \['row'"),
        ({"label": "nope"}, ValueError, r"no columns \['nope'\]"),
        ({"columns": ["row"], "batch_size": 0}, ValueError, "batch_size must be an integer"),
        ({"columns": ["row"], "shard": (3, 3)}, ValueError, "shard must be"),
        ({"columns": ["row"], "shard": (0, 99)}, ValueError, "99 parts, .* 13 row groups"),
        ({"columns": ["row"], "sample_weight": "weight"}, ValueError, "needs a label"),
        ({"columns": ["row"], "label": "row"}, ValueError, r"\['row'\] are asked for twice"),
        ({"columns": ["seen"], "maxlen": {"tags": 2}}, ValueError, r"maxlen names \['tags'\]"),
        ({"encoder": FeatureEncoder([Category("city")])}, ValueError, "encoder is not fitted"),
        (
            {"feature_columns": [VarLenSparseFeat(SparseFeat("seen", 9), 3, group=2)]},
            ValueError,
            "'seen' has lists of lists",
        ),
    ],
)
def test_errors_come_before_the_first_batch(folder, arguments, error, match):
    with pytest.raises(error, match=match):
        read_parquet_batches(folder, **arguments)


def test_types_that_can_not_be_read(tmp_path):
    pq.write_table(pa.table({"when": pd.to_datetime(["2020-01-01"])}), tmp_path / "a.parquet")
    with pytest.raises(TypeError, match="'when' is timestamp.*columns="):
        read_parquet_batches(tmp_path)


def test_files_must_agree(tmp_path):
    pq.write_table(pa.table({"x": [1]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"x": [1.0]}), tmp_path / "b.parquet")
    with pytest.raises(ValueError, match="'x' is int64 in .*a.parquet.*but double in .*b.parquet"):
        read_parquet_batches(tmp_path)


def test_without_pyarrow_the_error_says_what_to_install(folder, monkeypatch):
    real = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name.startswith("pyarrow"):
            raise ImportError(f"No module named {name!r}")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ImportError, match=r"pip install 'deeprec_tf\[parquet\]'"):
        read_parquet_batches(folder)


def test_integer_labels_without_a_value_may_become_nan(tmp_path):
    path = tmp_path / "funnel.parquet"
    pq.write_table(
        pa.table({"u": [1, 2, 3], "click": [True, True, False], "pay": pa.array([1, None, 0])}),
        path,
    )
    asked = {"columns": ["u"], "batch_size": 3, "label": ["click", "pay"]}
    batches = read_parquet_batches(path, **asked, missing={"pay": float("nan")})
    _, label = next(batches.as_numpy_iterator())
    assert label["click"].tolist() == [1.0, 1.0, 0.0]
    np.testing.assert_array_equal(label["pay"], np.array([1, np.nan, 0], "float32"))
    with pytest.raises(ValueError, match="'pay' has nulls"):
        read_parquet_batches(path, **asked)


def test_a_label_of_texts_is_refused_at_once(tmp_path):
    path = tmp_path / "texts.parquet"
    pq.write_table(pa.table({"u": [1, 2], "y": ["yes", "no"]}), path)
    with pytest.raises(TypeError, match="'y' must hold numbers, as a label or weight, got string"):
        read_parquet_batches(path, label="y")


def test_keys_beyond_int64(tmp_path):
    path = tmp_path / "keys.parquet"
    pq.write_table(pa.table({"p": pa.array([2**63 + 5, 1], pa.uint64())}), path)
    batches = read_parquet_batches(path, feature_columns=[SparseFeat("p", 100, use_hash=True)])
    with pytest.raises(Exception, match="beyond int64. Encode it, or write it as texts"):
        list(batches)
