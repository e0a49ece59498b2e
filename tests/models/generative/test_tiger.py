import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from deeprec_tf.data import Category, CategoryList, FeatureEncoder
from deeprec_tf.export import (
    check_export,
    export_onnx,
    export_saved_model,
    inference_model,
    load_onnx,
    load_saved_model,
)
from deeprec_tf.identifiers import (
    ItemCodes,
    hierarchical_kmeans_codes,
    random_codes,
    residual_kmeans_codes,
)
from deeprec_tf.models import TIGER, ColaRec
from deeprec_tf.tables import table_values
from tests.models.steps import losses_of_steps
from tests.reference import generation as twin

ITEMS = 20
VECTORS = np.random.default_rng(0).normal(size=(ITEMS + 1, 5))
CODES = residual_kmeans_codes(VECTORS, 2, 4)
SMALL = {
    "num_users": 9, "maxlen": 6, "hidden_size": 8, "num_layers": 1, "num_heads": 2, "head_size": 4,
    "feed_forward_units": 12, "dropout": 0.0, "num_results": 4,
}  # fmt: skip


def build(codes=CODES, seed=1, **options):
    keras.utils.set_random_seed(seed)
    return TIGER(codes, **{**SMALL, **options})


def walks(rows=64, steps=4, seed=0):
    """Users who go through the catalogue one by one: the next item is the last plus one."""
    generator = np.random.default_rng(seed)
    start = generator.integers(1, ITEMS + 1, size=(rows, 1))
    path = (start + np.arange(steps + 1) - 1) % ITEMS + 1
    return {
        "user_id": generator.integers(0, 10, rows), "hist_item_id": path[:, :steps],
        "item_id": path[:, steps],
    }  # fmt: skip


def served(x):
    return {name: x[name] for name in ("user_id", "hist_item_id")}


def scores_of_all(model, x):
    """Log-probability of every item for every row, by `predict`."""
    rows = len(x["user_id"])
    batch = {name: np.repeat(values, ITEMS, axis=0) for name, values in served(x).items()}
    batch["item_id"] = np.tile(np.arange(1, ITEMS + 1), rows)
    return model.predict(batch, verbose=0).reshape(rows, ITEMS)


@pytest.fixture(scope="module")
def trained():
    model = build(optimizer=keras.optimizers.Adam(0.01))
    losses = model.fit(walks(rows=160), epochs=30, batch_size=32, verbose=0).history["loss"]
    return model, losses


def test_it_learns_a_walk_and_generates_the_next_step(trained):
    model, losses = trained
    assert losses[0] > 1.0 and losses[-1] < 0.3
    x = walks(rows=10, seed=3)
    found = inference_model(model).predict(served(x), verbose=0)
    assert np.mean(found["ids"][:, 0] == x["item_id"]) > 0.8


def test_answers_are_the_exact_ranking_without_what_was_seen(trained):
    model, _ = trained
    x = walks(rows=5, seed=4)
    found = inference_model(model).predict(served(x), verbose=0)
    exact = scores_of_all(model, x)
    assert found["ids"].shape == (5, 4)
    for row in range(5):
        order = [i for i in np.argsort(-exact[row]) + 1 if i not in x["hist_item_id"][row]]
        np.testing.assert_array_equal(found["ids"][row], order[:4])
        np.testing.assert_allclose(
            found["scores"][row], exact[row][np.array(order[:4]) - 1], rtol=1e-4, atol=1e-5
        )


def test_seen_items_may_be_answered():
    model = build(hide_seen=False, num_results=ITEMS)
    found = inference_model(model).predict(served(walks(rows=3)), verbose=0)
    for row in found["ids"]:
        assert sorted(row) == list(range(1, ITEMS + 1))


def test_hidden_items_are_never_answered_and_scored_as_before(tmp_path):
    x, wide = walks(rows=6), {"hide_seen": False, "num_results": ITEMS}
    model = build(hidden_items=(1, 7), **wide)
    found = inference_model(model).predict(served(x), verbose=0)
    left = [item for item in range(1, ITEMS + 1) if item not in (1, 7)]
    assert found["ids"].shape == (6, ITEMS - 2)
    assert all(sorted(row) == left for row in found["ids"].tolist())
    free = inference_model(build(**wide)).predict(served(x), verbose=0)
    for row in range(6):
        stays = ~np.isin(free["ids"][row], [1, 7])
        np.testing.assert_array_equal(found["ids"][row], free["ids"][row][stays])
        np.testing.assert_allclose(
            found["scores"][row], free["scores"][row][stays], rtol=1e-4, atol=1e-5
        )
    np.testing.assert_array_equal(model.predict(x, verbose=0), build(**wide).predict(x, verbose=0))
    model.save(tmp_path / "tiger.keras")
    again = inference_model(keras.saving.load_model(tmp_path / "tiger.keras"))
    np.testing.assert_array_equal(again.predict(served(x), verbose=0)["ids"], found["ids"])


def test_score_and_loss_by_their_equations():
    model, x = build(num_layers=2), walks(rows=3)
    x["hist_item_id"][0, 2:] = 0
    x["hist_item_id"][1] = 0  # nothing but the user
    codebooks = table_values(model, "item_codes").astype("float64")
    users = table_values(model, "user_id").astype("float64")
    weights = {
        part: {
            weight.path.partition(part + "/")[2]: weight.numpy().astype("float64")
            for weight in model.get_layer(part).trainable_weights
        }
        for part in ("encoder", "decoder")
    }
    offsets = np.cumsum([0, *CODES.sizes[:-1]])
    wanted = []
    for row in range(3):
        history = [item for item in x["hist_item_id"][row] if item]
        steps = [users[x["user_id"][row]]]
        steps += [codebooks[token] for item in history for token in CODES.codes[item] + offsets]
        real = [True] * len(steps)
        encoded = twin.encoder(np.array(steps), real, weights["encoder"], 2, 2)
        wanted.append(
            twin.code_log_probabilities(
                CODES.codes[x["item_id"][row]].tolist(), encoded, real, codebooks, CODES.sizes,
                weights["decoder"], 2, 2,
            )
        )
    got = model.predict(x, verbose=0)[:, 0]
    np.testing.assert_allclose(got, np.sum(wanted, axis=1), rtol=1e-4, atol=1e-4)
    assert model.evaluate(x, verbose=0) == pytest.approx(-np.mean(wanted), rel=1e-4)


def test_probabilities_of_all_items_and_none_else_are_below_one():
    """Codes that no item has keep some of the probability: the tree hides them, not the loss."""
    total = np.exp(scores_of_all(build(), walks(rows=2))).sum(axis=1)
    assert (total < 1).all() and (total > 0).all()


def test_the_positive_does_not_leak_into_what_is_generated():
    assert set(inference_model(build()).input) == {"user_id", "hist_item_id"}


def test_predict_does_not_generate():
    model = build()
    part, unused = model._predictor()
    assert unused == [] and list(part.output_shape) == [None, 1]
    assert not any("generat" in layer.name for layer in model.layers)


def test_the_user_token_counts_and_many_users_share_it():
    x = {name: values[[0, 0]] for name, values in walks(rows=1).items()}
    x["user_id"] = np.array([1, 2])
    assert np.ptp(build().predict(x, verbose=0)) > 0
    hashed = build(num_users=10**6, user_buckets=3)
    assert table_values(hashed, "user_id").shape == (4, 8)
    x["user_id"] = np.array([5, 999_999])
    assert np.isfinite(hashed.predict(x, verbose=0)).all()


@pytest.mark.parametrize(
    "codes",
    [hierarchical_kmeans_codes(VECTORS, 3, 3), random_codes(ITEMS, 2), CODES.codes],
    ids=["hierarchical", "random", "array"],
)
def test_identifiers_are_interchangeable(codes):
    model = build(codes)
    found = inference_model(model).predict(served(walks(rows=2)), verbose=0)
    assert len(set(found["ids"][0])) == 4 and found["ids"].min() >= 1


def test_a_saved_model_generates_alike(trained, tmp_path):
    model, _ = trained
    x = walks(rows=4, seed=5)
    wanted = inference_model(model).predict(served(x), verbose=0)
    model.save(tmp_path / "tiger.keras")
    again = keras.saving.load_model(tmp_path / "tiger.keras")
    np.testing.assert_array_equal(
        inference_model(again).predict(served(x), verbose=0)["ids"], wanted["ids"]
    )
    inference_model(model).save(tmp_path / "generator.keras")
    alone = keras.saving.load_model(tmp_path / "generator.keras")
    np.testing.assert_array_equal(alone.predict(served(x), verbose=0)["ids"], wanted["ids"])


def test_generation_is_part_of_the_exports(trained, tmp_path):
    model, _ = trained
    x = walks(rows=7, seed=6)
    x["hist_item_id"] = np.pad(x["hist_item_id"], [(0, 0), (0, 2)])
    wanted = inference_model(model).predict(served(x), verbose=0)
    folder = export_saved_model(model, tmp_path / "saved")
    file = export_onnx(model, tmp_path / "tiger.onnx")
    for artifact in (load_saved_model(folder), load_onnx(file)):
        assert set(artifact.inputs) == {"user_id", "hist_item_id"}
        batch = {n: v.astype(artifact.inputs[n].dtype) for n, v in served(x).items()}
        got = artifact(batch)
        np.testing.assert_array_equal(got["ids"], wanted["ids"])
        np.testing.assert_allclose(got["scores"], wanted["scores"], atol=1e-4)
    assert check_export(model, folder, served(x)) < 1e-4


@pytest.mark.parametrize("with_lists", [False, True])
@pytest.mark.parametrize(("name", "keys"), [("TIGER", "{}"), ("ColaRec", "m{}")])
def test_raw_histories_in_raw_keys_out(name, keys, with_lists, tmp_path):
    movies = pd.Series([keys.format(3 * i) for i in range(1, 13)])
    if keys == "{}":
        movies = movies.astype("int64")
    log = pd.DataFrame({"user_id": ["a", "b", "c"] * 4, "item_id": movies})
    features = [Category("user_id"), Category("item_id")]
    if with_lists:  # the encoder makes the history itself
        padding = 0 if keys == "{}" else None
        features.append(CategoryList("hist_item_id", 4, vocabulary="item_id", padding=padding))
        log["hist_item_id"] = [movies[:2].tolist()] * len(log)
    encoder = FeatureEncoder(features).fit(log)
    known = encoder.vocabulary("item_id")
    codes = random_codes(known.size - 1)
    wide = {"hidden_items": (1,), "num_users": 9, "num_results": known.size}
    if name == "TIGER":
        model = build(codes, hide_seen=False, **wide)
    else:
        tiny = {"preset": (4, 2, 16), "hidden_size": 8, "num_layers": 1, "num_heads": 2}
        model = ColaRec(codes, None, **wide, **tiny)
    folder = export_saved_model(model, tmp_path / "raw", encoder=encoder)
    nothing = "" if keys == "m{}" else 0
    history = np.array([[movies[0], movies[5]], [movies[7], nothing]], movies.to_numpy().dtype)
    raw = {"user_id": np.array(["a", "c"], object), "hist_item_id": history}
    got = load_saved_model(folder)(raw)
    x = {"user_id": encoder.transform(log)["user_id"][[0, 2]]}
    ids = encoder.transform(log)["item_id"]
    x["hist_item_id"] = np.array([[ids[0], ids[5]], [ids[7], 0]])
    wanted = load_saved_model(folder, "ids")(x)
    found = dict(zip(ids.tolist(), movies, strict=True))
    found[-1] = ""  # ColaRec leaves out the context's items
    for row, keys_of_row, ids_of_row in zip(history, got["ids"], wanted["ids"], strict=True):
        assert keys_of_row.tolist() == [found[i] for i in ids_of_row.tolist()]
        left_out = set(row) if name == "ColaRec" else set()
        answered = [key for key in keys_of_row.tolist() if key != ""]
        assert sorted(answered) == sorted(set(movies) - left_out), "each key, and nothing else"
    np.testing.assert_allclose(got["scores"], wanted["scores"], rtol=1e-5)
    assert np.isneginf(got["scores"]).any() == (name == "ColaRec")
    assert check_export(model, folder, x, raw_x=raw) < 1e-4


def test_answers_without_a_key_are_no_export(tmp_path):
    log = pd.DataFrame({"user_id": ["a", "b"] * 3, "item_id": list("xyzxyw")})
    frequent = Category("item_id", min_frequency=2)
    encoder = FeatureEncoder([Category("user_id"), frequent]).fit(log)  # y, x: 2 and 3
    message = r"whose ids are 2 to 3: \(1,\)\. Build it with hidden_items=\(1,\), or leave"
    with pytest.raises(ValueError, match=message):
        export_saved_model(build(random_codes(3)), tmp_path, encoder=encoder)
    with pytest.raises(ValueError, match=r"2 to 3: 1 \.\. 20\. Build it with hidden_items=these"):
        export_saved_model(build(), tmp_path, encoder=encoder)
    assert not list(tmp_path.iterdir())
    export_saved_model(build(random_codes(3)), tmp_path)
    lists = CategoryList("hist_item_id", 6, vocabulary="item_id")
    encoder = FeatureEncoder([Category("user_id"), frequent, lists]).fit(
        log.assign(hist_item_id=[["x"]] * len(log))
    )
    with pytest.raises(ValueError, match=message):
        export_saved_model(build(random_codes(3)), tmp_path, encoder=encoder)
    encoder = FeatureEncoder([Category("user_id"), Category("sku")])
    encoder.fit(log.rename(columns={"item_id": "sku"}))
    message = r"of \['hist_item_id'\], whose keys .*Give it Category\('item_id'\)"
    with pytest.raises(ValueError, match=message):
        export_saved_model(build(random_codes(3)), tmp_path, encoder=encoder)


def test_the_whole_of_what_answers_is_compiled(trained):
    part = inference_model(trained[0])
    x = {name: tf.constant(values) for name, values in served(walks(rows=5, seed=7)).items()}
    wanted = part(x, training=False)
    got = tf.function(lambda x: part(x, training=False), jit_compile=True)(x)
    np.testing.assert_array_equal(got["ids"], wanted["ids"])
    np.testing.assert_allclose(got["scores"], wanted["scores"], rtol=1e-4, atol=1e-4)


def test_the_beam_can_be_changed_after_training(trained):
    model, _ = trained
    decoder = model.get_layer("decoder")
    before = decoder.num_results
    try:
        decoder.num_results = 2
        found = inference_model(model).predict(served(walks(rows=2)), verbose=0)
        assert found["ids"].shape == (2, 2)
    finally:
        decoder.num_results = before


def test_the_full_size_trains():
    """The first 100 steps of the paper's configuration, on few rows and items."""
    codes = ItemCodes(random_codes(300, 4, 256).codes, (256,) * 4)
    model = TIGER(codes, num_users=5000, optimizer=keras.optimizers.AdamW(1e-3))
    x = {
        "user_id": np.arange(4), "hist_item_id": np.random.default_rng(0).integers(1, 301, (4, 20)),
        "item_id": np.arange(1, 5),
    }  # fmt: skip
    losses = losses_of_steps(model, [x] * 100)
    assert np.isfinite(losses).all() and losses[-1] < losses[0] / 2
    assert table_values(model, "user_id").shape == (2001, 128)
    assert table_values(model, "item_codes").shape == (1 + 4 * 256, 128)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"codes": [[0, 0], [1, 1], [1, 1]]}, ValueError, "TIGER: item_codes: .* items 1 and 2"),
        ({"codes": [[0.0], [1.0]]}, TypeError, "TIGER: item_codes: .* must be integers"),
        ({"beam_width": 7}, ValueError, "TIGER: beam_width .* at least 10, .* beside the 6 .* 7"),
        ({"hide_seen": False, "beam_width": 3}, ValueError, "at least 4, .* got 3"),
        ({"hidden_items": [21]}, ValueError, r"TIGER: hidden_items: .* lie in 1\.\.20, got 21"),
        ({"hidden_items": range(1, 21)}, ValueError, "TIGER: hidden_items: .* all 20 items"),
        ({"hidden_items": ["a"]}, TypeError, "TIGER: hidden_items: .* must be integers"),
        ({"hidden_items": [1], "beam_width": 9, "maxlen": 20}, ValueError, "at least 24"),
        ({"num_users": 0}, ValueError, "TIGER: num_users must be a whole number from 1 on, got 0"),
        ({"num_results": 2.5}, ValueError, "num_results must be a whole number from 1 on, got 2.5"),
        ({"loss": "mse"}, ValueError, "the loss of a recall model is part of its graph"),
    ],
)
def test_errors(options, error, message):
    with pytest.raises(error, match=message):
        build(**options)


def test_id_0_is_no_positive():
    x = walks(rows=2)
    x["item_id"][1] = 0
    with pytest.raises(ValueError, match="'item_id' is 0 in row 1, but id 0 is padding"):
        build().fit(x, verbose=0)
