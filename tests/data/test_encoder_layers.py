import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deeprec_tf.data import Category, CategoryList, FeatureEncoder, Number, Text

BIG = 2**60
KEYS = [BIG + 1, BIG + 2, -1, 0, 7]
WORDS = ["a", "[UNK]", "é", "b c"]


def training_frame():
    rng = np.random.default_rng(0)
    rows = 60
    lists = [rng.choice(KEYS, rng.integers(0, 5)).tolist() for _ in range(rows)]
    return pd.DataFrame(
        {
            "user": pd.array(rng.choice(KEYS, rows), dtype="Int64"),
            "other": pd.array(rng.choice(KEYS, rows), dtype="Int64"),
            "word": rng.choice(WORDS, rows),
            "plain": rng.choice(WORDS, rows),
            "genres": ["|".join(rng.choice(WORDS, rng.integers(1, 5))) for _ in range(rows)],
            "seen": lists,
            "padded": [[7, 7, 0]] * rows,
            "tags": [[WORDS[key % 4] for key in row] for row in lists],
            **{name: rng.normal(3, 100, rows) for name in NUMBERS},
            "title": "some text",
        }
    )


NUMBERS = ("raw", "standard", "log", "quantiles", "edges", "filled")


@pytest.fixture(scope="module")
def encoder():
    return FeatureEncoder(
        [
            Category("user", missing="own"),
            Category("other", vocabulary="user"),
            Category("word", missing="own", min_frequency=2),
            Category("plain"),
            CategoryList("genres", 3, separator="|", length_name="genres_length"),
            CategoryList("seen", 3, vocabulary="user"),
            CategoryList("padded", 2, padding=0),
            CategoryList("tags", 2),
            Number("raw"),
            Number("standard", transform="standardize", fill="median"),
            Number("log", transform="log1p"),
            Number("quantiles", transform="bucketize"),
            Number("edges", transform="bucketize", edges=[-0.1, 0.1, 5], fill=0.1),
            Number("filled", fill=-2.5),
            Text("title"),
        ]
    ).fit(training_frame())


@pytest.fixture(scope="module")
def layer(encoder):
    return encoder.as_layer()


def assert_same_bits(expected, got):
    assert set(expected) == set(got)
    for name, values in expected.items():
        result = keras.ops.convert_to_numpy(got[name]) if name != "title" else got[name].numpy()
        if name == "title":
            assert [text.decode() for text in result] == values.tolist()
            continue
        assert result.dtype == values.dtype, name
        assert result.tobytes() == values.tobytes(), (name, result, values)


keys = st.one_of(st.none(), st.sampled_from([*KEYS, 12, -(2**62), 2**63 - 1]))
words = st.one_of(st.none(), st.sampled_from([*WORDS, "", "new", "é" * 20]))
numbers = st.one_of(
    st.none(), st.floats(width=32), st.sampled_from([0.1, -0.1, 5.0, 1e300, 123456.789])
)
rows = st.fixed_dictionaries(
    {
        "user": keys,
        "other": keys,
        "word": words,
        "plain": words,
        "genres": st.one_of(
            st.none(),
            st.lists(st.sampled_from([*WORDS, "", "new"]), max_size=6).map("|".join),
        ),
        "seen": st.one_of(st.none(), st.lists(keys, max_size=6)),
        "padded": st.lists(st.sampled_from([0, 7, 8, None]), max_size=5),
        "tags": st.one_of(st.none(), st.lists(words, max_size=5)),
        **{name: numbers for name in NUMBERS},
        "title": st.sampled_from(["x", "", "né"]),
    }
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(rows, min_size=1, max_size=6))
def test_the_layer_gives_the_bits_of_transform(encoder, layer, drawn):
    table = {name: [row[name] for row in drawn] for name in drawn[0]}
    for name in ("user", "other"):
        table[name] = pd.array(table[name], dtype="Int64")
    assert_same_bits(encoder.transform(table), layer(encoder.raw_inputs(table)))


def test_numbers_on_a_wide_grid(encoder, layer):
    rng = np.random.default_rng(1)
    grid = np.concatenate([rng.normal(0, 10.0**scale, 4000) for scale in range(-6, 9)])
    table = training_frame().iloc[[0] * len(grid)].reset_index(drop=True)
    for name in NUMBERS:
        table[name] = grid
    assert_same_bits(encoder.transform(table), layer(encoder.raw_inputs(table)))


def test_the_layer_survives_saving_and_export(encoder, layer, tmp_path):
    frame = training_frame()
    expected, raw = encoder.transform(frame), encoder.raw_inputs(frame)
    layer.save(tmp_path / "encoder.keras")
    assert_same_bits(expected, keras.saving.load_model(tmp_path / "encoder.keras")(raw))

    layer.export(str(tmp_path / "saved"), verbose=False)
    served = tf.saved_model.load(str(tmp_path / "saved")).signatures["serving_default"]
    specs = served.structured_input_signature[1]
    assert specs["user"].dtype == tf.int64 and specs["word"].dtype == tf.string
    assert specs["raw"].dtype == tf.float32
    tensors = {name: tf.constant(values, specs[name].dtype) for name, values in raw.items()}
    assert_same_bits(expected, served(**tensors))


def test_a_layer_in_front_of_a_model(encoder):
    part = encoder.as_layer(["user", "genres"])
    assert set(part.output) == {"user", "genres", "genres_length"}
    table = keras.layers.Embedding(encoder.vocabulary("user").size, 4)
    model = keras.Model(part.input, table(part.output["user"]))
    raw = {"user": np.array([BIG + 1, 5]), "genres": np.array(["a|b", ""], dtype=object)}
    expected = table(encoder.transform(raw, names=["user"])["user"])
    np.testing.assert_array_equal(model(raw), expected)


def test_padding_of_texts_is_the_empty_text():
    frame = pd.DataFrame({"tags": [["a", "b"], ["a"], []]})
    encoder = FeatureEncoder([CategoryList("tags", 2, padding=0)]).fit(frame)
    raw = encoder.raw_inputs(frame)
    assert raw["tags"].tolist() == [["a", "b"], ["a", ""], ["", ""]]
    assert_same_bits(encoder.transform(frame), encoder.as_layer()(
        {"tags": tf.constant(raw["tags"], tf.string)}
    ))  # fmt: skip


def test_as_layer_in_a_data_pipeline(encoder, layer):
    frame = training_frame()
    raw = encoder.raw_inputs(frame)
    raw = {name: tf.constant(v, tf.string) if v.dtype == object else v for name, v in raw.items()}
    batches = tf.data.Dataset.from_tensor_slices(raw).batch(25).map(layer)
    parts = [{name: values.numpy() for name, values in batch.items()} for batch in batches]
    for name, values in encoder.transform(frame).items():
        if name != "title":
            assert np.array_equal(np.concatenate([part[name] for part in parts]), values), name
