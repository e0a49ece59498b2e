import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from deeprec_tf.data import ColaRecRows
from deeprec_tf.export import (
    export_onnx,
    export_saved_model,
    inference_model,
    item_encoder,
    load_onnx,
)
from deeprec_tf.export import load_saved_model as load_saved
from deeprec_tf.identifiers import (
    hierarchical_kmeans_codes,
    random_codes,
    residual_kmeans_codes,
)
from deeprec_tf.models import ColaRec, LightGCN
from deeprec_tf.tables import table_values
from tests.models.steps import losses_of_steps
from tests.reference import generation as twin

ITEMS, USERS = 24, 30
GENERATOR = np.random.default_rng(0)
GROUP = np.arange(ITEMS) // 6  # users like one group each
VECTORS = np.concatenate([[np.zeros(4)], np.eye(4)[GROUP] + 0.1 * GENERATOR.normal(size=(24, 4))])
CODES = hierarchical_kmeans_codes(VECTORS, 6, 2)
TOKENS = np.concatenate([[[0, 0]], np.stack([GROUP + 1, np.arange(ITEMS) % 3 * 5], axis=1)])
PAIRS = np.concatenate(
    [
        np.stack([np.full(4, user), GENERATOR.choice(6, 4, replace=False) + 6 * (user % 4) + 1], 1)
        for user in range(1, USERS + 1)
    ]
)
ROWS = ColaRecRows(PAIRS, CODES)
SMALL = {
    "num_users": USERS, "preset": (10, 9, 64), "hidden_size": 8, "num_layers": 1, "num_heads": 2,
    "dropout": 0.0, "num_results": 4,
}  # fmt: skip


def build(tokens=TOKENS, codes=CODES, seed=1, **options):
    keras.utils.set_random_seed(seed)
    return ColaRec(codes, tokens, **{**SMALL, **options})


@pytest.fixture(scope="module")
def trained():
    model = build(optimizer=keras.optimizers.Adam(0.01), generation_weight=1.0)
    losses = model.fit(
        ROWS(0), epochs=25, batch_size=30, verbose=0, redraw=ROWS
    ).history["loss"]
    return model, losses


def test_it_learns_what_users_like(trained):
    model, losses = trained
    assert losses[-1] < losses[0] / 2
    x = ROWS.contexts(np.arange(1, USERS + 1), 10)
    found = inference_model(model).predict(x, verbose=0)["ids"]
    liked = GROUP[found[:, 0] - 1] == np.arange(1, USERS + 1) % 4
    assert liked.mean() > 0.7


def test_answers_are_the_exact_ranking_without_the_context(trained):
    model, _ = trained
    users = np.array([1, 2, 7])
    x = ROWS.contexts(users, 10)
    found = inference_model(model).predict(x, verbose=0)
    batch = {name: np.repeat(values, ITEMS, axis=0) for name, values in x.items()}
    zeros = np.ones(len(users) * ITEMS, "int32")
    batch["item_id"] = np.tile(np.arange(1, ITEMS + 1), len(users))
    batch |= {"neg_item_id": zeros, "near_item_id": zeros}
    batch |= {f"{n}item_users": zeros[:, None] for n in ("", "neg_", "near_")}
    exact = model.predict(batch, verbose=0).reshape(len(users), ITEMS)
    for row in range(len(users)):
        order = [i for i in np.argsort(-exact[row]) + 1 if i not in x["hist_item_id"][row]]
        np.testing.assert_array_equal(found["ids"][row], order[:4])
        np.testing.assert_allclose(
            found["scores"][row], exact[row][np.array(order[:4]) - 1], rtol=1e-4, atol=1e-4
        )


def test_the_full_size_trains():
    """The first 100 steps of T5-small's size, on few pairs and items."""
    generator = np.random.default_rng(0)
    codes = random_codes(300, seed=0)
    tokens = generator.integers(1, 1000, (301, 15)) * (np.arange(301) > 0)[:, None]
    pairs = np.stack([np.repeat(np.arange(1, 9), 6), generator.integers(1, 301, 48)], axis=1)
    x = {name: values[:1] for name, values in ColaRecRows(pairs, codes)(0).items()}
    model = build(
        tokens, codes, num_users=8, preset="short", hidden_size=512, num_layers=6, num_heads=8,
        dropout=0.1, optimizer=keras.optimizers.AdamW(5e-4, global_clipnorm=1.0),
    )  # fmt: skip
    losses = losses_of_steps(model, [x] * 100)
    assert np.isfinite(losses).all() and losses[-1] < losses[0] / 4
    assert model.count_params() > 44_000_000


def weights_of(model, part):
    return {
        weight.path.partition(part + "/")[2]: weight.numpy().astype("float64")
        for weight in model.get_layer(part).trainable_weights
    }


def sequence(model, items, users, task, content=True):
    """The steps of one row, from the tables."""
    weights = weights_of(model, "content")
    atoms, of_users = table_values(model, "item_id"), table_values(model, "user_id")
    positions = weights["positions"]
    steps, end = [weights["tasks"][task] + positions[1]], [positions[0]]
    buyers = [of_users[user] + positions[2] for user in users if user]
    if task:
        steps += buyers
    else:
        end = [*buyers, *end]
    for item in (i for i in items[::-1] if i):  # newest first
        steps.append(atoms[item] + positions[3])
        if content:
            words = table_values(model, "tokens")
            steps += [words[t] + positions[4 + w] for w, t in enumerate(TOKENS[item]) if t]
    return np.array([*steps, *end], "float64")


def test_hidden_items_are_never_answered(tmp_path):
    model = build(hidden_items=(1, 9), num_results=ITEMS)
    x = {"user_id": np.arange(1, 5), "hist_item_id": np.zeros((4, 10), int)}
    found = inference_model(model).predict(x, verbose=0)["ids"]
    left = [item for item in range(1, ITEMS + 1) if item not in (1, 9)]
    assert all(sorted(row) == left for row in found.tolist())
    model.save(tmp_path / "colarec.keras")
    again = inference_model(keras.saving.load_model(tmp_path / "colarec.keras"))
    np.testing.assert_array_equal(again.predict(x, verbose=0)["ids"], found)


@pytest.mark.parametrize("content", [True, False])
def test_the_four_losses_by_their_equations(content):
    model = build(TOKENS if content else None, generation_weight=0.3, contrast_weight=0.2)
    x = {name: values[:3] for name, values in ROWS(0).items()}
    x["item_users"][1] = 0  # an item that nobody else has
    table = table_values(model, "item_codes").astype("float64")
    encoder, decoder = weights_of(model, "encoder"), weights_of(model, "decoder")

    def encoded(items, users, task):
        steps = sequence(model, items, users, task, content)
        return twin.encoder(steps, [True] * len(steps), encoder, 1, 2)

    def cross_entropy(item, states):
        found = twin.code_log_probabilities(
            CODES.codes[item].tolist(), states, [True] * len(states), table, CODES.sizes, decoder,
            1, 2,
        )
        return -np.mean(found), np.sum(found)

    def bpr(anchor, one, other):
        return np.log1p(np.exp(-(anchor @ one - anchor @ other) / np.sqrt(8)))

    losses, scores = [], []
    for row in range(3):
        user = encoded(x["hist_item_id"][row], [x["user_id"][row]], 1)
        p, n, near = (
            encoded([x[f"{i}item_id"][row]], x[f"{i}item_users"][row], 0)
            for i in ("", "neg_", "near_")
        )
        generation, score = cross_entropy(x["item_id"][row], user)
        generation += cross_entropy(x["item_id"][row], p)[0]
        generation += cross_entropy(x["neg_item_id"][row], n)[0]
        losses.append(
            0.3 * generation + bpr(user[-1], p[-1], n[-1]) + 0.2 * bpr(p[-1], near[-1], n[-1])
        )
        scores.append(score)
    assert model.evaluate(x, verbose=0) == pytest.approx(np.mean(losses), rel=1e-3)
    np.testing.assert_allclose(model.predict(x, verbose=0)[:, 0], scores, rtol=1e-3, atol=1e-3)


def gradients(model):
    x = {name: tf.constant(values[:16]) for name, values in ROWS(0).items()}
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(model(x, training=True)["row_loss"])
    values = tape.gradient(loss, [w.value for w in model.trainable_weights])
    return {
        weight.path: 0.0 if g is None else float(tf.reduce_max(tf.abs(tf.convert_to_tensor(g))))
        for weight, g in zip(model.trainable_weights, values, strict=True)
    }


def test_without_generation_the_decoder_learns_nothing():
    found = gradients(build(generation_weight=0.0, tie_codes=False))
    assert not any(value for path, value in found.items() if "decoder/" in path)
    assert all(value for path, value in found.items() if "encoder/" in path)


def test_every_task_can_be_left_out():
    x = {name: values[:16] for name, values in ROWS(0).items()}
    losses = [
        build(tasks=tasks).evaluate(x, verbose=0)
        for tasks in (("index", "bpr", "contrast"), ("index", "bpr"), ("index",), ())
    ]
    assert np.all(np.diff(losses) < 0)


def test_the_user_counts_and_serving_reads_no_more_than_user_and_context():
    model = build()
    part = inference_model(model)
    assert set(part.input) == {"user_id", "hist_item_id"}
    x = ROWS.contexts(np.array([1, 1]), 10)
    x["user_id"] = np.array([1, 2], "int32")
    assert np.ptp(part.predict(x, verbose=0)["scores"], axis=0).any()


def test_texts_count_and_are_cut_to_the_preset():
    model, other = build(), TOKENS.copy()
    assert model.get_layer("item_tokens").table.shape == (ITEMS + 1, 2)
    other[1:, 0] = 9 - other[1:, 0]
    x = {name: values[:8] for name, values in ROWS(0).items()}
    plain = model.predict(x, verbose=0)
    model.get_layer("item_tokens").table.assign(other)
    assert np.abs(model.predict(x, verbose=0) - plain).max() > 1e-4
    long = np.ones((ITEMS + 1, 40), int) * (np.arange(ITEMS + 1) > 0)[:, None]
    assert build(long).get_layer("item_tokens").table.shape == (ITEMS + 1, 9)


@pytest.mark.parametrize(
    ("preset", "items", "words", "steps"),
    [("short", 20, 29, 256), ("micshort", 20, 34, 256), ("mlshort", 40, 29, 256),
     ("long", 40, 49, 500), ((10, 15, 128), 10, 15, 128)],
)  # fmt: skip
def test_presets_read_as_many_items_as_fit_into_a_sequence(preset, items, words, steps):
    long = np.ones((ITEMS + 1, 60), int) * (np.arange(ITEMS + 1) > 0)[:, None]
    model = build(long, preset=preset)
    content = model.get_layer("content")
    assert (content.num_tokens, content.maxlen) == (words, steps)
    x = {name: values[:1] for name, values in ROWS(0).items()}
    some = (np.arange(items, dtype="int32") % 20 + 1)[None]
    fit = -(-(steps - 3) // (1 + words))  # beside task, user and end; the last one in part
    assert fit < items

    def score(place=None):
        history = some.copy()
        if place is not None:
            history[:, : items - place] = ITEMS
        return float(model.predict({**x, "hist_item_id": history}, verbose=0)[0, 0])

    assert score(fit) == pytest.approx(score(), rel=1e-5)
    assert abs(score(fit - 1) - score()) > 1e-5
    served = {"user_id": x["user_id"], "hist_item_id": some}
    found = inference_model(model).predict(served, verbose=0)["ids"][0]
    left = set(range(1, ITEMS + 1)) - set(some[0].tolist())
    assert set(found) <= left and len(set(found)) == min(len(left), len(found))


def test_from_interactions_by_lightgcn_and_clusters_to_answers():
    keras.utils.set_random_seed(0)
    log = pd.DataFrame(PAIRS, columns=["user_id", "item_id"])
    peer = LightGCN(
        log, num_users=USERS, num_items=ITEMS, embedding_dim=8,
        optimizer=keras.optimizers.Adam(0.05),
    )  # fmt: skip
    peer.fit(log, epochs=20, batch_size=64, verbose=0)
    ids = {"item_id": np.arange(1, ITEMS + 1)}
    vectors = item_encoder(peer).predict(ids, verbose=0)["item_vector"]
    codes = hierarchical_kmeans_codes(np.pad(vectors, [(1, 0), (0, 0)]), 6, 2)
    together = [len(set(GROUP[codes.codes[1:, 0] == code])) for code in set(codes.codes[1:, 0])]
    assert np.mean(together) < 2, "items of one group share their first code"
    rows = ColaRecRows(log, codes)
    model = build(codes=codes, optimizer=keras.optimizers.Adam(0.01), generation_weight=1.0)
    losses = model.fit(rows(0), epochs=10, batch_size=30, verbose=0, redraw=rows).history["loss"]
    assert losses[-1] < losses[0] * 0.8
    users = np.arange(1, USERS + 1)
    found = inference_model(model).predict(rows.contexts(users, 10), verbose=0)["ids"]
    liked = (GROUP[found[:, 0] - 1] == users % 4).mean()
    assert liked > 0.5


def test_the_whole_of_what_answers_is_compiled(trained):
    part = inference_model(trained[0])
    x = {name: tf.constant(v) for name, v in ROWS.contexts(np.arange(1, 6), 10).items()}
    wanted = part(x, training=False)
    got = tf.function(lambda x: part(x, training=False), jit_compile=True)(x)
    np.testing.assert_array_equal(got["ids"], wanted["ids"])
    np.testing.assert_allclose(got["scores"], wanted["scores"], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "codes", [residual_kmeans_codes(VECTORS, 2, 3), random_codes(ITEMS, 3)],
    ids=["residual", "random"],
)
def test_identifiers_are_interchangeable(codes):
    found = inference_model(build(codes=codes)).predict(
        ROWS.contexts(np.array([1, 2]), 10), verbose=0
    )["ids"]
    assert len(set(found[0])) == 4 and found.min() >= 1


def test_saved_and_exported_models_answer_alike(trained, tmp_path):
    model, _ = trained
    x = ROWS.contexts(np.arange(1, 8), 6)
    wanted = inference_model(model).predict(x, verbose=0)
    model.save(tmp_path / "colarec.keras")
    again = keras.saving.load_model(tmp_path / "colarec.keras")
    np.testing.assert_array_equal(
        inference_model(again).predict(x, verbose=0)["ids"], wanted["ids"]
    )
    saved = load_saved(export_saved_model(again, tmp_path / "saved"))
    onnx = load_onnx(export_onnx(again, tmp_path / "colarec.onnx"))
    for artifact in (saved, onnx):
        got = artifact({n: v.astype(artifact.inputs[n].dtype) for n, v in x.items()})
        np.testing.assert_array_equal(got["ids"], wanted["ids"])
        np.testing.assert_allclose(got["scores"], wanted["scores"], atol=1e-4)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"codes": [[0, 0], [1, 1], [1, 1]]}, ValueError, "ColaRec: item_codes: .* items 1 and 2"),
        ({"tokens": [[0.5]]}, TypeError, "ColaRec: item_tokens must be integer token ids"),
        ({"tokens": [[0], [1]]}, ValueError, r"must have the shape \(25, W\), .* got \(2, 1\)"),
        ({"tokens": TOKENS + 1}, ValueError, "a row 0 with 2 tokens"),
        ({"preset": "tiny"}, ValueError, "ColaRec: preset must be one of .* got 'tiny'"),
        ({"preset": (10, 0, 64)}, ValueError, r"three positive integers: .* got \(10, 0, 64\)"),
        ({"beam_width": 8}, ValueError, "ColaRec: beam_width must be at least 14"),
        ({"hidden_items": (25,)}, ValueError, r"ColaRec: hidden_items: .* 1\.\.24, got 25"),
        ({"tasks": ("rank",)}, ValueError, "tasks must be a tuple of some of"),
        ({"hidden_size": 9}, ValueError, "ColaRec: hidden_size=9 cannot be split into 2 heads"),
    ],
)
def test_errors(options, error, message):
    with pytest.raises(error, match=message):
        build(**options)
