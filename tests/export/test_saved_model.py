import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from deeprec_tf import SparseFeat, VarLenSparseFeat
from deeprec_tf.data import Category, CategoryList, FeatureEncoder, Number
from deeprec_tf.export import check_export, export_saved_model, load_saved_model, user_encoder
from deeprec_tf.models import DIN, DeepFM
from tests.export.samples import batch, lively


def serve(folder, x, signature="serving_default"):
    """What a server does: graph loader, tables initialized, feed and fetch by signature."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        meta = tf.compat.v1.saved_model.loader.load(session, ["serve"], str(folder))
        wanted = meta.signature_def[signature]
        feeds = {info.name: x[name] for name, info in wanted.inputs.items()}
        return session.run({name: info.name for name, info in wanted.outputs.items()}, feeds)


def signature(folder, name="serving_default"):
    """(inputs, outputs) of a signature, each name -> (dtype, shape)."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        meta = tf.compat.v1.saved_model.loader.load(session, ["serve"], str(folder))
    return [
        {
            key: (tf.as_dtype(info.dtype).name, [d.size for d in info.tensor_shape.dim])
            for key, info in side.items()
        }
        for side in (meta.signature_def[name].inputs, meta.signature_def[name].outputs)
    ]


def test_a_server_finds_named_open_inputs_and_outputs(sample, saved):
    model, folder = sample("dien", "AUGRU"), saved("dien", "AUGRU")
    inputs, outputs = signature(folder)
    assert outputs == {"probability": ("float32", [-1, 1])}
    assert inputs == {
        "item_id": ("int32", [-1]), "cate_id": ("int32", [-1]), "user": ("int64", [-1]),
        "profile": ("float32", [-1, 3]), "price": ("float32", [-1, 1]),
        "tags": ("int32", [-1, -1]), "tag_weight": ("float32", [-1, -1]),
        "hist_item_id": ("int32", [-1, -1]), "hist_cate_id": ("int32", [-1, -1]),
        "hist_length": ("int32", [-1]),
    }  # fmt: skip
    x = batch(model, 6, 3)
    got = serve(folder, {**x, "price": x["price"][:, None]})["probability"]
    np.testing.assert_allclose(got, model.predict(x, verbose=0), atol=1e-6)


def test_string_columns_take_strings(sample, saved):
    model, folder = sample("wide_deep"), saved("wide_deep")
    inputs, _ = signature(folder)
    assert inputs["city"] == ("string", [-1]) and inputs["cities"] == ("string", [-1, -1])
    x = batch(model, 6, 3)
    got = serve(folder, {**x, "price": x["price"][:, None]})["probability"]
    np.testing.assert_allclose(got, model.predict(x, verbose=0), atol=1e-6)
    x["city"] = np.roll(x["city"], 1)
    assert np.abs(got - model.predict(x, verbose=0)).max() > 1e-3


def test_versions_count_up_and_appear_whole(sample, tmp_path):
    model = sample("two_towers")
    assert export_saved_model(model, tmp_path) == tmp_path / "1"
    assert export_saved_model(model, tmp_path, version=7) == tmp_path / "7"
    assert export_saved_model(model, tmp_path) == tmp_path / "8"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["1", "7", "8"]
    assert load_saved_model(tmp_path).path == tmp_path / "8"
    with pytest.raises(ValueError, match="7 exists already"):
        export_saved_model(model, tmp_path, version=7)
    for version in (0, -1, 1.5, True):
        with pytest.raises(ValueError, match="version must be a positive integer"):
            export_saved_model(model, tmp_path, version=version)


def test_a_failed_export_leaves_nothing(sample, tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(tf.saved_model, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        export_saved_model(sample("two_towers"), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_loading_names_what_is_missing(sample, saved, tmp_path):
    with pytest.raises(ValueError, match="no saved_model.pb"):
        load_saved_model(tmp_path)
    model, folder = sample("two_towers"), saved("two_towers")
    with pytest.raises(ValueError, match="no signature 'ids'; it has \\['serving_default'\\]"):
        load_saved_model(folder, "ids")
    x = batch(model, 3, 2)
    artifact = load_saved_model(folder)
    with pytest.raises(ValueError, match="'user' is missing"):
        artifact({name: x[name] for name in ("item_id", "hist_item_id")})
    with pytest.raises(ValueError, match="'hist_item_id' must have shape"):
        artifact({**x, "hist_item_id": x["item_id"]})
    with pytest.raises(TypeError, match="'item_id' must have dtype int32, got float64"):
        artifact({**x, "item_id": x["item_id"] + 0.5})
    with pytest.raises(ValueError, match="differ in their number of rows"):
        artifact({**x, "item_id": x["item_id"][:2]})
    parts = artifact(x, batch_size=2)["probability"]
    np.testing.assert_allclose(parts, artifact(x)["probability"], atol=1e-6)


# ---- with an encoder ---------------------------------------------------------------------

FRAME = pd.DataFrame(
    {
        "item": ["a", "b", "c", "a", "c"],
        "user": [5, 6, 7, 8, 5],
        "age": [20.0, 31.0, None, 44.0, 57.0],
        "tags": ["x|y", "y", "", "x|z", "z"],
        "clicked": [0, 1, 0, 1, 1],
    }
)
RAW_HISTORY = np.array(
    [["a", "b", ""], ["c", "never seen", "a"], ["", "", ""], ["a", "", ""], ["b", "a", ""]], object
)
RAW_USERS = np.array([[5, 6, 0], [7, 99, 8], [0, 0, 0], [5, 0, 0], [6, 8, 0]])
LENGTHS = np.array([2, 3, 0, 1, 2])


@pytest.fixture(scope="module")
def encoded(tmp_path_factory):
    """(model, its SavedModel with an encoder, its inputs, the same rows raw)."""
    encoder = FeatureEncoder([
        Category("item"), Category("user"), Number("age", transform="standardize"),
        CategoryList("tags", separator="|", maxlen=3), Category("clicked"),
    ]).fit(FRAME)
    names = ["item", "user", "age", "tags"]
    sizes = {name: encoder.vocabulary(name).size for name in ("item", "user")}
    model = DIN(
        [
            *encoder.feature_columns(names, embedding_dim=4),
            VarLenSparseFeat(
                SparseFeat("hist_item", sizes["item"], embedding_dim=4, embedding_name="item"), 5,
                length_name="length",
            ),
            VarLenSparseFeat(
                SparseFeat("friends", sizes["user"], embedding_dim=4, embedding_name="user"), 5
            ),
            SparseFeat("city", 9, embedding_dim=4, use_hash=True, dtype="string"),
        ],
        ["item"],
        hidden_units=(8,),
    )
    x = encoder.transform(FRAME, names)

    def history_ids(name, raw, padding):
        ids = encoder.vocabulary(name).encode(name, pd.Series(raw.ravel()), missing=0)
        return np.where(raw == padding, 0, np.asarray(ids).reshape(raw.shape))

    city = np.array(["Rome", "", "Oslo", "Bonn", "Rome"], object)
    x.update(
        hist_item=history_ids("item", RAW_HISTORY, ""), length=LENGTHS, city=city,
        friends=history_ids("user", RAW_USERS, 0),
    )
    raw = {name: value for name, value in encoder.raw_inputs(FRAME).items() if name in names}
    raw.update(hist_item=RAW_HISTORY, length=LENGTHS, friends=RAW_USERS, city=city)
    folder = tmp_path_factory.mktemp("encoded")
    export_saved_model(lively(model), folder / "written", encoder=encoder)
    # Vocabularies travel with the folder.
    (folder / "written").rename(folder / "moved")
    return model, folder / "moved" / "1", x, raw


def test_with_an_encoder_the_server_takes_raw_values(encoded):
    model, folder, x, raw = encoded
    inputs, outputs = signature(folder)
    assert inputs == {
        "item": ("string", [-1]), "user": ("int64", [-1]), "age": ("float32", [-1]),
        "tags": ("string", [-1]), "hist_item": ("string", [-1, -1]), "length": ("int32", [-1]),
        "friends": ("int64", [-1, -1]), "city": ("string", [-1]),
    }  # fmt: skip
    assert list(outputs) == ["probability"]
    expected = model.predict(x, verbose=0)
    assert np.ptp(expected) > 0.01
    np.testing.assert_allclose(serve(folder, raw)["probability"], expected, atol=1e-6)
    assert check_export(model, folder, x, raw_x=raw) <= 1e-6
    # What stands behind the length is padding, whatever it is; and nothing unseen breaks.
    noisy = {**raw, "hist_item": np.where(RAW_HISTORY == "", "b", RAW_HISTORY)}
    np.testing.assert_allclose(serve(folder, noisy)["probability"], expected, atol=1e-6)
    unseen = serve(folder, {**raw, "item": np.array(["?"] * 5, object)})["probability"]
    assert np.isfinite(unseen).all()


def test_with_an_encoder_ids_are_served_too(encoded):
    model, folder, x, _ = encoded
    inputs, _ = signature(folder, "ids")
    assert set(inputs) == set(model.input) and inputs["hist_item"] == ("int32", [-1, -1])
    answer = serve(folder, {**x, "age": x["age"][:, None]}, "ids")["probability"]
    np.testing.assert_allclose(answer, model.predict(x, verbose=0), atol=1e-6)
    assert check_export(model, folder, x) <= 1e-6


def test_an_encoder_that_does_not_fit_is_refused(sample, tmp_path):
    other = FeatureEncoder([Category("colour")]).fit({"colour": ["red", "blue"]})
    with pytest.raises(ValueError, match="the encoder makes \\['colour'\\]"):
        export_saved_model(sample("wide_deep"), tmp_path, encoder=other)
    with pytest.raises(TypeError, match="encoder must be a deeprec_tf.data.FeatureEncoder"):
        export_saved_model(sample("wide_deep"), tmp_path, encoder={"colour": 1})
    assert list(tmp_path.iterdir()) == []


def test_an_encoder_that_has_grown_since_is_refused(tmp_path):
    encoder = FeatureEncoder([Category("item"), Number("age", transform="bucketize", bins=2)])
    encoder.fit({"item": ["a", "b", "c"], "age": [1.0, 2.0, 3.0]})
    past = SparseFeat("hist_item", encoder.vocabulary("item").size, embedding_name="item")
    model = DeepFM([*encoder.feature_columns(), VarLenSparseFeat(past, 3)], hidden_units=(2,))
    export_saved_model(model, tmp_path / "a", encoder=encoder)
    encoder.extend({"item": ["q"], "age": [1.0]})
    message = "the encoder has ids 0..5 of 'item', the model's table 5 rows. Give the encoder as it"
    with pytest.raises(ValueError, match=message):
        export_saved_model(model, tmp_path / "b", encoder=encoder)
    assert not (tmp_path / "b").exists()
    hashed = DeepFM([SparseFeat("item", 3, use_hash=True)], hidden_units=(2,))
    export_saved_model(hashed, tmp_path / "c", encoder=encoder)


def test_a_tower_takes_raw_histories(sample, tmp_path):
    model = sample("two_towers")
    keys = [f"item {number}" for number in range(18)]
    encoder = FeatureEncoder([Category("item_id")]).fit({"item_id": keys})
    tower = user_encoder(model)
    folder = export_saved_model(tower, tmp_path, encoder=encoder)
    raw = {
        "user": np.array([3, 4]),
        "hist_item_id": np.array([["item 3", "item 17"], ["item 0", ""]], object),
    }
    ids = encoder.transform({"item_id": ["item 3", "item 17", "item 0"]})["item_id"]
    x = {"user": raw["user"], "hist_item_id": np.array([[ids[0], ids[1]], [ids[2], 0]])}
    assert check_export(tower, folder, x, raw_x=raw) <= 1e-6


def test_a_plain_keras_model_is_served(tmp_path):
    entry = keras.Input((2,), name="x")
    model = keras.Model({"x": entry}, {"score": keras.layers.Dense(1)(entry)})
    folder = export_saved_model(model, tmp_path)
    x = {"x": np.array([[1.0, 2.0], [3.0, -4.0]])}
    assert check_export(model, folder, x) <= 1e-6
    assert list(load_saved_model(folder).outputs) == ["score"]


@pytest.mark.parametrize("name", ["user id", "1st", "a.b", "price($)", "größe", "class", "self"])
def test_names_that_a_signature_cannot_bear_are_refused(name, tmp_path):
    model = DeepFM([SparseFeat(name, 5), SparseFeat("item", 5)], hidden_units=(2,))
    with pytest.raises(ValueError, match="an input of a SavedModel cannot be called") as error:
        export_saved_model(model, tmp_path)
    assert repr(name) in str(error.value)
    assert not list(tmp_path.iterdir())


def test_texts_come_back_as_text(tmp_path):
    entry = keras.Input((1,), name="x")
    model = keras.Model({"x": entry}, {"y": keras.layers.Identity()(entry)})
    archive = keras.export.ExportArchive()
    archive.track(model)
    spec = {"x": tf.TensorSpec((None,), tf.int32, name="x")}
    archive.add_endpoint(
        "serving_default", lambda x: {"key": tf.gather(["größe", ""], x["x"])}, [spec]
    )
    archive.write_out(str(tmp_path / "1"), verbose=False)
    answer = load_saved_model(tmp_path)({"x": np.array([1, 0, 0])})
    assert answer["key"].tolist() == ["", "größe", "größe"]


def test_rows_at_a_time_are_at_least_one(sample, saved):
    x = batch(sample("wide_deep"), 3, 3)
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        load_saved_model(saved("wide_deep"))(x, batch_size=0)
