import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from deeprec_tf.data import TextPairs, item_tokens
from tests.language_models import WORDS, bert_tokenizer, gpt2_tokenizer
from tests.reference.text import longer_side_first

PAD, CLS, SEP = 0, 2, 3


def ids(text):
    return [WORDS.index(word) for word in text.split()]


def pairs(**options):
    return TextPairs(bert_tokenizer(), **{"maxlen": 12, **options})


def test_cross_encoder_input():
    got = pairs().transform({"user_text": ["a b", ""], "item_text": ["c", "d e f"]})
    assert got["token_ids"].tolist() == [
        [CLS, *ids("a b"), SEP, *ids("c"), SEP], [CLS, SEP, *ids("d e f"), SEP],
    ]  # fmt: skip
    assert got["segment_ids"].tolist() == [[0, 0, 0, 0, 1, 1], [0, 0, 1, 1, 1, 1]]
    assert all(array.dtype == "int32" for array in got.values())


def test_bi_encoder_input():
    got = pairs(form="bi_encoder").transform({"user_text": ["a b", ""], "item_text": ["c", "d"]})
    assert list(got) == ["user_token_ids", "item_token_ids"]
    assert got["user_token_ids"].tolist() == [[CLS, *ids("a b"), SEP], [CLS, SEP, PAD, PAD]]
    assert got["item_token_ids"].tolist() == [[CLS, *ids("c"), SEP], [CLS, *ids("d"), SEP]]


@given(
    st.lists(st.sampled_from("abcdefgh"), max_size=14),
    st.lists(st.sampled_from("ijklmn"), max_size=14),
)
def test_the_longer_side_is_cut_first(user, item):
    got = PAIRS.transform({"user_text": [" ".join(user)], "item_text": [" ".join(item)]})
    left, right = longer_side_first(user, item, 12 - 3)
    wanted = [CLS, *ids(" ".join(left)), SEP, *ids(" ".join(right)), SEP]
    assert got["token_ids"].tolist() == [wanted]


PAIRS = pairs()


def test_a_long_user_never_drops_the_item():
    got = pairs().transform({"user_text": ["a " * 500], "item_text": ["k l m"]})
    (row,) = got["token_ids"].tolist()
    assert len(row) == 12 and row[-5:] == [SEP, *ids("k l m"), SEP]
    got = pairs().transform({"user_text": ["a " * 500], "item_text": ["k " * 500]})
    assert got["token_ids"][0].tolist().count(WORDS.index("k")) == 5, "half of 9 places"


def test_a_bi_encoders_texts_are_cut_each_by_itself():
    got = pairs(form="bi_encoder").transform({"user_text": ["a " * 50], "item_text": ["k"]})
    assert got["user_token_ids"].tolist() == [[CLS, *ids("a " * 10), SEP]]
    assert got["item_token_ids"].tolist() == [[CLS, *ids("k"), SEP]]


def test_decoders_get_a_separator_and_ids_above_padding():
    got = TextPairs(gpt2_tokenizer(), maxlen=12).transform(
        {"user_text": ["ab", "a"], "item_text": ["c", ""]}
    )
    assert list(got) == ["token_ids"]
    end, line, ab = 14 + 1, 13 + 1, 12 + 1  # all ids are moved up by one
    assert got["token_ids"].tolist() == [[end, ab, line, 3, end], [end, 1, line, end, 0]]


def test_columns_say_what_comes_out():
    columns = pairs().feature_columns()
    assert [column.name for column in columns] == ["token_ids", "segment_ids"]
    assert [column.sparsefeat.vocabulary_size for column in columns] == [len(WORDS), 2]
    assert {column.maxlen for column in columns} == {12}
    (column,) = TextPairs(gpt2_tokenizer(), maxlen=12).feature_columns()
    assert column.sparsefeat.vocabulary_size == 15 + 1


def test_datasets_frames_and_layers_give_the_same():
    texts = {"user_text": ["a b c", "", "d"], "item_text": ["k", "l m", "n n n n"]}
    wanted = pairs().transform(pd.DataFrame(texts))
    data = tf.data.Dataset.from_tensor_slices((texts, [1, 0, 1])).batch(3).map(pairs())
    ((batch, labels),) = list(data)
    assert labels.numpy().tolist() == [1, 0, 1]
    layer = pairs().as_layer()
    by_layer = layer({name: tf.constant(values) for name, values in texts.items()})
    for name, array in wanted.items():
        np.testing.assert_array_equal(batch[name], array)
        np.testing.assert_array_equal(by_layer[name], array)


def test_rows_are_padded_to_the_longest_of_all():
    texts = {"user_text": ["a"] * 1500, "item_text": ["k"] * 1499 + ["k l m"]}
    got = pairs().transform(texts)["token_ids"]
    assert got.shape == (1500, 7) and np.all(got[:-1, 5:] == 0)


def test_names_of_the_columns():
    got = pairs(user="past", item="film").transform({"past": ["a"], "film": ["b"]})
    assert got["token_ids"].tolist() == [[CLS, *ids("a"), SEP, *ids("b"), SEP]]


def test_errors():
    with pytest.raises(ValueError, match="form must be one of"):
        pairs(form="pair")
    with pytest.raises(ValueError, match="maxlen=4 leaves no room .* Give at least 5"):
        pairs(maxlen=4)
    with pytest.raises(TypeError, match="TextPairs: tokenizer must be a tokenizer"):
        TextPairs(object())
    with pytest.raises(TypeError, match="'user_text' holds nan in row 1"):
        pairs().transform({"user_text": ["a", float("nan")], "item_text": ["b", "c"]})
    with pytest.raises(ValueError, match="equally long, got {'user_text': 2, 'item_text': 1}"):
        pairs().transform({"user_text": ["a", "b"], "item_text": ["b"]})


def test_item_tokens():
    table = item_tokens(bert_tokenizer(), ["x", "a b", "c"], maxlen=8, prompt="d ")
    assert table.tolist() == [[0] * 5, [2, 8, 5, 6, 3], [2, 8, 7, 3, 0]] and table.dtype == np.int32
    moved = item_tokens(gpt2_tokenizer(), ["", "c"], maxlen=8)
    assert moved[1, 0] > 0 and not moved[0].any()
    with pytest.raises(TypeError, match="texts must be strings, .*, got None for item 1"):
        item_tokens(bert_tokenizer(), ["", None])
    with pytest.raises(TypeError, match="got None for item 1"):
        item_tokens(bert_tokenizer(), pd.Series(["", None, "a"], [7, 8, 9], object))
    with pytest.raises(TypeError, match="got none"):
        item_tokens(bert_tokenizer(), [""])
