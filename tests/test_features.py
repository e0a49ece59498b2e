import dataclasses
import json
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeprec_tf import (
    DenseFeat,
    SparseFeat,
    VarLenDenseFeat,
    VarLenSparseFeat,
    get_feature_names,
)
from deeprec_tf.features import columns_from_config, columns_to_config, input_specs

NAMES = st.text("abcdefgh_", min_size=1, max_size=8)


@st.composite
def sparse_columns(draw):
    size = draw(st.integers(2, 10_000))
    return SparseFeat(
        draw(NAMES), size, embedding_dim=draw(st.one_of(st.just("auto"), st.integers(1, 64))),
        use_hash=draw(st.booleans()), dtype=draw(st.sampled_from(["int32", "int64"])),
        embedding_name=draw(st.none() | NAMES), group_name=draw(NAMES),
        trainable=draw(st.booleans()),
    )


@st.composite
def columns(draw):
    kind = draw(st.sampled_from(["sparse", "dense", "history", "numbers"]))
    name, maxlen = draw(NAMES), draw(st.integers(1, 50))
    length_name = draw(st.none() | NAMES.map(lambda n: "n" + n))
    if kind == "dense":
        dtype = draw(st.sampled_from(["float32", "int64"]))
        return DenseFeat(name, draw(st.integers(1, 9)), dtype=dtype)
    if kind == "numbers":
        return VarLenDenseFeat(name, maxlen, draw(st.integers(1, 4)), length_name=length_name)
    feat = draw(sparse_columns())
    if kind == "sparse" or length_name == feat.name:
        return feat
    return VarLenSparseFeat(
        feat, maxlen, combiner=draw(st.sampled_from(["mean", "sum", "max", "none"])),
        length_name=length_name, weight_norm=draw(st.booleans()), group=draw(st.integers(1, 3)),
    )


@given(columns())
def test_columns_are_values(column):
    assert pickle.loads(pickle.dumps(column)) == column
    assert hash(column) == hash(dataclasses.replace(column))
    (copy,) = columns_from_config(json.loads(json.dumps(columns_to_config([column]))))
    assert copy == column and type(copy) is type(column)
    assert get_feature_names([column, column]) == get_feature_names([column])
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(column, dataclasses.fields(column)[0].name, "other")


def test_input_specs_in_the_order_of_the_columns():
    specs = input_specs([
        SparseFeat("user", 3), DenseFeat("price", 2, dtype="float64"),
        VarLenSparseFeat(SparseFeat("past", 5), 4, length_name="n", weight_name="w"),
        VarLenSparseFeat(SparseFeat("sessions", 5, dtype="int64"), 4, length_name="n", group=3),
        VarLenDenseFeat("stamps", 4, dtype="int64"), VarLenDenseFeat("places", 4, 2),
    ])
    assert {name: (s.dtype, s.shape, s.role) for name, s in specs.items()} == {
        "user": ("int32", (), "ids"), "price": ("float64", (2,), "values"),
        "past": ("int32", (None,), "ids"), "w": ("float32", (None,), "weight"),
        "n": ("int32", (), "length"), "sessions": ("int64", (None, 3), "ids"),
        "stamps": ("int64", (None,), "values"), "places": ("float32", (None, 2), "values"),
    }


def test_defaults():
    column = SparseFeat("user", 3)
    assert (column.embedding_dim, column.embedding_name) == (8, "user")
    assert column.table_shape == (3, 8)
    assert SparseFeat("user", 10_000, embedding_dim="auto").embedding_dim == 60
    history = VarLenSparseFeat(column, 5)
    assert (history.name, history.combiner, history.group) == ("user", "mean", 1)


def test_hashed_columns_start_at_int64_keys():
    for dtype in ("int32", "int64", "string"):
        feat = SparseFeat("user", 9, use_hash=True, dtype=dtype)
        assert feat.input_dtype == VarLenSparseFeat(feat, 3).input_dtype == "int64"


def test_numpy_sizes_become_plain_ones():
    column = SparseFeat("user", np.int64(3), embedding_dim=np.int32(4))
    assert type(column.vocabulary_size) is int
    json.dumps(columns_to_config([column, VarLenSparseFeat(column, np.int64(3))]))


def test_pretrained_is_neither_compared_nor_saved():
    start = np.ones((3, 8), "float32")
    column = SparseFeat("user", 3, pretrained=start)
    assert column == SparseFeat("user", 3)
    assert "pretrained" not in str(columns_to_config([column]))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: SparseFeat("", 3), TypeError, "name must be a non-empty string"),
        (lambda: SparseFeat(3, 3), TypeError, "name must be a non-empty string, got 3"),
        (lambda: SparseFeat("a/b", 3), ValueError, "SparseFeat: name 'a/b' holds a '/'"),
        (lambda: DenseFeat("a/b"), ValueError, "DenseFeat: name 'a/b' holds a '/'"),
        (lambda: SparseFeat("a", 3, embedding_name="a/b"), ValueError, "embedding_name 'a/b' hol"),
        (lambda: SparseFeat("a", 3, group_name="u/f"), ValueError, "group_name 'u/f' holds a '/'"),
        (lambda: VarLenDenseFeat("a", 3, length_name="a/n"), ValueError, "length_name 'a/n' hol"),
        (lambda: SparseFeat("a", 0), ValueError, r"SparseFeat\('a'\): vocabulary_size must be at"),
        (lambda: SparseFeat("a", 2.5), TypeError, "vocabulary_size must be an integer, got 2.5"),
        (lambda: SparseFeat("a", True), TypeError, "vocabulary_size must be an integer, got True"),
        (lambda: SparseFeat("a", 3, embedding_dim=0), ValueError, "embedding_dim must be at least"),
        (lambda: SparseFeat("a", 3, embedding_dim="wide"), TypeError, "embedding_dim must be an"),
        (lambda: SparseFeat("a", 3, dtype="float32"), ValueError, "dtype must be one of"),
        (lambda: SparseFeat("a", 3, dtype="string"), ValueError, "needs use_hash=True"),
        (lambda: SparseFeat("a", 1, use_hash=True), ValueError, "hashing needs vocabulary_size of"),
        (lambda: SparseFeat("a", 3, pretrained=np.ones((2, 8))), ValueError,
         r"pretrained must be an array of shape \(3, 8\).*got \(2, 8\)"),
        (lambda: SparseFeat("a", 3, pretrained=[[1]]), ValueError, "got None"),
        (lambda: SparseFeat("a", 3, embedding_name=5), TypeError, "embedding_name must be"),
        (lambda: DenseFeat("a", 0), ValueError, r"DenseFeat\('a'\): dimension must be at least 1"),
        (lambda: DenseFeat("a", dtype="string"), ValueError, "dtype must be one of"),
        (lambda: VarLenSparseFeat("a", 3), TypeError, "sparsefeat must be a SparseFeat, got str"),
        (lambda: VarLenSparseFeat(SparseFeat("a", 3), 0), ValueError, "maxlen must be at least 1"),
        (lambda: VarLenSparseFeat(SparseFeat("a", 3), 3, combiner="avg"), ValueError,
         "combiner must be one of"),
        (lambda: VarLenSparseFeat(SparseFeat("a", 3), 3, length_name="a"), ValueError,
         "length_name is the column's own name"),
        (lambda: VarLenSparseFeat(SparseFeat("a", 3), 3, group=0), ValueError, "group must be at"),
        (lambda: VarLenDenseFeat("a", 3, dtype="string"), ValueError, "dtype must be one of"),
        (lambda: VarLenDenseFeat("a", 3, length_name=""), TypeError, "length_name must be"),
        (lambda: SparseFeat("a", 3, 8), TypeError, "positional"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("columns", "error", "message"),
    [
        (["user"], TypeError, "expected SparseFeat, .* got str: 'user'"),
        ([SparseFeat("a", 3), SparseFeat("a", 4)], ValueError, "the name 'a' is used twice"),
        ([SparseFeat("n", 3), VarLenSparseFeat(SparseFeat("a", 3), 3, length_name="n")],
         ValueError, "the name 'n' is used twice"),
        ([SparseFeat("a", 3), SparseFeat("b", 4, embedding_name="a")], ValueError,
         "'a' and 'b' share the table 'a' but differ in vocabulary_size: 3 and 4"),
        ([SparseFeat("a", 3), SparseFeat("b", 3, embedding_dim=4, embedding_name="a")],
         ValueError, "differ in embedding_dim: 8 and 4"),
        ([SparseFeat("a", 3), SparseFeat("b", 3, trainable=False, embedding_name="a")],
         ValueError, "differ in trainable"),
        ([SparseFeat("a", 3), VarLenSparseFeat(SparseFeat("b", 3, use_hash=True,
                                                          embedding_name="a"), 3)],
         ValueError, "differ in use_hash"),
    ],
)  # fmt: skip
def test_columns_that_contradict_each_other(columns, error, message):
    with pytest.raises(error, match=message):
        input_specs(columns)
