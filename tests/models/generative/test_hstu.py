import keras
import numpy as np
import pytest
import tensorflow as tf

from deeprec_tf import DenseFeat, SparseFeat, VarLenDenseFeat, VarLenSparseFeat, next_item_columns
from deeprec_tf.candidates import Sampled
from deeprec_tf.export import item_encoder, user_encoder
from deeprec_tf.layers.attention import hstu_block as block_module
from deeprec_tf.models import HSTU, HSTUModel
from deeprec_tf.tables import set_table_values, table_values
from tests.models.recall.sessions import noise, sessions
from tests.models.recall.test_sasrec import walks
from tests.reference.hstu import hstu_block

ITEMS, MAXLEN, WIDTH = 20, 8, 8
USERS, POSITIVE = next_item_columns(ITEMS, maxlen=MAXLEN, embedding_dim=WIDTH)
TIMES = [VarLenDenseFeat("hist_time", MAXLEN, dtype="int64"), DenseFeat("time", dtype="int64")]
ACTIONS = VarLenDenseFeat("hist_action", MAXLEN, 2)
SMALL = {"dropout": 0.0, "num_heads": 2}
RANKING = {"mode": "ranking", "transformer_params": SMALL}


def rows(seed=0):
    """`sessions`, with times, actions and a user."""
    generator, x = np.random.default_rng(seed), sessions()
    real = x["hist_item_id"] != 0
    x["hist_time"] = np.cumsum(generator.integers(1, 10**6, real.shape), axis=1) * real
    x["time"] = generator.integers(10**7, 2 * 10**7, (len(real), 1))
    x["hist_action"] = generator.integers(0, 2, (*real.shape, 2)) * real[..., None] * 1.0
    x["user"] = generator.integers(0, 5, len(real))
    return x


def given(model, x):
    return {name: x[name] for name in model.input}


def users_of(model, x):
    encoder = user_encoder(model)
    return encoder.predict(given(encoder, x), verbose=0)["user_vector"]


def unit(x):
    return x / max(np.linalg.norm(x), 1e-6)


# ---- retrieval ------------------------------------------------------------------------------


@pytest.mark.parametrize("query_time", ["next", "own"])
def test_numbers_of_the_whole_model(query_time):
    """The user's vector by the equations, with a prefix, windows and times."""
    times = TIMES if query_time == "next" else TIMES[:1]
    windows = {"level1_window_size": 2, "level2_window_size": 2}
    model, w = noise(
        HSTU([*USERS, SparseFeat("user", 5, embedding_dim=3), *times], POSITIVE,
             transformer_params=SMALL | {"intermediate_size": 6}, hierarchical_params=windows,
             query_time=query_time), scale=0.4,
    )  # fmt: skip
    x, users = rows(), []
    for row, ids in enumerate(x["hist_item_id"]):
        ids = ids[ids != 0]
        token = w["embedding_user/embeddings"][x["user"][row]] @ w["user_token/kernel"]
        states = [token + w["user_token/bias"]]
        table = w["embedding_item_id/embeddings"]
        states += [np.sqrt(WIDTH) * table[i] + w["positions/positions"][t]
                   for t, i in enumerate(ids)]
        happened = [0, *x["hist_time"][row, : len(ids)]]
        asked = [0, *happened[2:], x["time"][row, 0]] if query_time == "next" else happened
        states = np.array(states)
        for layer, window in enumerate((2, 4)):
            own = {path.partition(f"block_{layer}/")[2]: value for path, value in w.items()
                   if path.startswith(f"block_{layer}/")}
            states = hstu_block(
                states, own, 2, n=window, prefix=1, window=window, times=happened,
                query_times=asked,
            )
        users.append(unit(states[-1]) if len(ids) else np.zeros(WIDTH))
    np.testing.assert_allclose(users_of(model, x), users, atol=1e-4)
    items = item_encoder(model).predict({"item_id": x["item_id"]}, verbose=0)["item_vector"]
    wanted = [unit(w["embedding_item_id/embeddings"][i]) for i in x["item_id"]]
    np.testing.assert_allclose(items, wanted, atol=1e-6)
    score = model.predict(given(model, x), verbose=0)[:, 0]
    np.testing.assert_allclose(score, (np.array(users) * wanted).sum(axis=1), atol=1e-4)


def test_it_learns_a_walk_at_every_position():
    model = HSTU(USERS, POSITIVE, transformer_params=SMALL | {"hidden_size": 16})
    model.optimizer.learning_rate = 0.02
    losses = model.fit(walks(), epochs=15, batch_size=16, verbose=0).history["loss"]
    assert losses[0] > 2.0 and losses[-1] < 0.3
    x = walks(rows=20, seed=1)
    items = item_encoder(model).predict({"item_id": np.arange(1, ITEMS + 1)}, verbose=0)
    best = (users_of(model, x) @ items["item_vector"].T).argmax(axis=1) + 1
    assert (best == x["item_id"]).mean() > 0.7


def test_the_loss_is_the_mean_over_all_positions():
    model = HSTU(USERS, POSITIVE)
    set_table_values(model, "item_id", np.zeros((ITEMS + 1, WIDTH)))  # all items alike
    x = walks(rows=4)
    x["hist_item_id"][0, 2:] = 0
    assert model.evaluate(x, verbose=0) == pytest.approx(np.log(ITEMS), rel=1e-5)


def test_n_is_the_maxlen_of_the_column_whatever_the_batch():
    model = HSTU(USERS, POSITIVE, hierarchical_params={"level1_window_size": 3})
    assert [model.get_layer(f"block_{i}").normalizer for i in range(2)] == [3, MAXLEN]
    x = {"hist_item_id": np.array([[3, 4, 5]])}
    longer = {"hist_item_id": np.array([[3, 4, 5, 0, 0, 0]])}
    np.testing.assert_allclose(users_of(model, x), users_of(model, longer), atol=1e-6)


def test_the_request_time_moves_the_last_step_alone():
    model, _ = noise(HSTU([*USERS, *TIMES], POSITIVE, transformer_params=SMALL))
    x = rows()
    before = users_of(model, x)
    x["time"] = x["time"] * 10
    moved = np.abs(users_of(model, x) - before).max(axis=1)
    assert (moved[x["hist_item_id"][:, 0] != 0] > 1e-5).all()
    own, _ = noise(HSTU([*USERS, TIMES[0]], POSITIVE, query_time="own"))
    assert "time" not in own.input, "serving needs no time of the request"


def test_a_user_feature_is_seen_by_every_step():
    model, _ = noise(HSTU([*USERS, SparseFeat("user", 5)], POSITIVE, transformer_params=SMALL))
    x = rows()
    one, other = (users_of(model, x | {"user": np.full(5, i)}) for i in (0, 1))
    full = x["hist_item_id"][:, 0] != 0
    assert (np.abs(one - other).max(axis=1)[full] > 1e-4).all()


@pytest.mark.parametrize(
    ("layers", "second", "wanted"),
    [(1, 5, [50]), (2, np.int64(5), [10, 50]), (3, None, [10, 10, None]),
     (4, 0, [10, 10, None, None])],
)
def test_levels(layers, second, wanted):
    windows = {"level1_window_size": 10, "level2_window_size": second}
    model = HSTU(
        USERS, POSITIVE, transformer_params={"num_layers": layers}, hierarchical_params=windows
    )
    assert [model.get_layer(f"block_{i}").window for i in range(layers)] == wanted


def test_wide_windows_are_none():
    models = [
        noise(HSTU(USERS, POSITIVE, transformer_params=SMALL, hierarchical_params=windows))[0]
        for windows in (None, {"level1_window_size": MAXLEN, "level2_window_size": 1},
                        {"level1_window_size": MAXLEN, "level2_window_size": 0})
    ]
    x = sessions()
    first, *others = (users_of(model, x) for model in models)
    for one in others:
        np.testing.assert_allclose(one, first, atol=1e-6)


def test_the_papers_negatives_and_stochastic_length_train():
    keras.utils.set_random_seed(0)
    model = HSTU(
        [*USERS, *TIMES], POSITIVE, negatives=Sampled(4, each=True), stochastic_length=1.2
    )
    x = rows()
    x = {name: np.tile(x[name], (40,) + (1,) * (x[name].ndim - 1)) for name in model.input}
    losses = model.fit(x, epochs=3, batch_size=50, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert HSTUModel is HSTU


def test_features_of_the_items_come_from_their_table():
    category = SparseFeat("cate_id", 5, embedding_dim=4)
    table = {"cate_id": np.random.default_rng(0).integers(1, 5, ITEMS + 1)}
    model = HSTU(USERS, [*POSITIVE, category], item_table=table)
    assert model.get_layer("item_projection").kernel.shape == (WIDTH + 4, WIDTH)
    with pytest.raises(ValueError, match="HSTU: 'cate_id' is wanted of items"):
        HSTU(USERS, [*POSITIVE, category])


def test_long_histories_are_exported_and_equal_short_ones(tmp_path):
    """maxlen 600 attends in chunks; with the same n and places it answers as maxlen 500 does."""
    import onnxruntime

    from deeprec_tf.export import export_onnx

    times = [VarLenDenseFeat("hist_time", 600, dtype="int64"), TIMES[1]]
    users, items = next_item_columns(ITEMS, maxlen=600, embedding_dim=WIDTH)
    model, _ = noise(HSTU([*users, *times], items, transformer_params=SMALL))
    generator = np.random.default_rng(0)
    real = np.arange(300) < np.array([[300], [140]])
    x = {
        "hist_item_id": (generator.integers(1, ITEMS + 1, real.shape) * real).astype("int32"),
        "hist_time": np.cumsum(generator.integers(1, 1000, real.shape), axis=1) * real,
        "time": np.full((2, 1), 10**7), "item_id": np.array([1, 2], "int32"),
    }  # fmt: skip
    wanted = model.predict(x, verbose=0)
    export_onnx(model, str(tmp_path / "hstu.onnx"))
    session = onnxruntime.InferenceSession(tmp_path / "hstu.onnx")
    (got,) = session.run(["score"], x)
    np.testing.assert_allclose(got, wanted, atol=1e-5)
    for layer in range(2):
        model.get_layer(f"block_{layer}").places = 500  # attends at once
    whole = keras.Model(model.inputs, model.output["score"])(x, training=False)
    np.testing.assert_allclose(whole, wanted, atol=1e-5)


# ---- ranking --------------------------------------------------------------------------------


def click_log(seed=0, size=240):
    """Clicks on items next to the last one seen, by users whose id says nothing."""
    generator = np.random.default_rng(seed)
    x = walks(rows=size, seed=seed)
    y = generator.integers(0, 2, size)
    other = (x["item_id"] + generator.integers(2, ITEMS - 2, size) - 1) % ITEMS + 1
    x["item_id"] = np.where(y == 1, x["item_id"], other)
    return x | {"user_id": generator.integers(0, 30, size)}, y


def test_the_users_sample(tmp_path):
    """user_id, user_history, item_id, category; clicks; .7/.1/.2; patience 10; best weights."""
    import onnxruntime

    from deeprec_tf.export import export_onnx

    x, y = click_log(size=1200)
    x = {"user_id": x["user_id"], "user_history": x["hist_item_id"], "item_id": x["item_id"],
         "category": x["item_id"] % 4}  # fmt: skip
    users = [
        SparseFeat("user_id", 30, embedding_dim=8),
        VarLenSparseFeat(
            SparseFeat("user_history", ITEMS + 1, embedding_dim=8, embedding_name="item_id"),
            maxlen=10,
        ),
    ]
    items = [
        SparseFeat("item_id", ITEMS + 1, embedding_dim=8),
        SparseFeat("category", 4, embedding_dim=4),
    ]
    model = HSTU(
        users, items, mode="ranking", optimizer=keras.optimizers.Adam(0.01),
        transformer_params={"num_layers": 2, "num_heads": 2, "hidden_size": 16, "dropout": 0.0},
        hierarchical_params={"level1_window_size": 10, "level2_window_size": 5},
        metrics=[keras.metrics.AUC(name="auc")],
    )
    ends = int(0.7 * 1200), int(0.8 * 1200)
    train, valid, test = (
        ({name: array[part] for name, array in x.items()}, y[part])
        for part in (slice(ends[0]), slice(*ends), slice(ends[1], None))
    )
    stop = keras.callbacks.EarlyStopping(
        "val_auc", mode="max", patience=10, restore_best_weights=True
    )
    model.fit(*train, validation_data=valid, epochs=20, batch_size=64, callbacks=[stop], verbose=0)
    assert model.evaluate(*test, verbose=0, return_dict=True)["auc"] > 0.9
    export_onnx(model, str(tmp_path / "hstu.onnx"))
    session = onnxruntime.InferenceSession(tmp_path / "hstu.onnx")
    (got,) = session.run(["probability"], {n: a.astype("int32") for n, a in test[0].items()})
    np.testing.assert_allclose(got, model.predict(test[0], verbose=0), atol=1e-5)


def ranking_model(**options):
    users = [*USERS, SparseFeat("user", 5, embedding_dim=3), *TIMES, ACTIONS]
    return noise(HSTU(users, POSITIVE, **RANKING, **options), scale=0.4)


def test_an_items_prediction_has_not_seen_its_action():
    model, _ = ranking_model()
    history, target = (node.output_tensors[0] for node in model.get_layer("heads")._inbound_nodes)
    if len(target.shape) > len(history.shape):
        history, target = target, history
    inside = keras.Model(model.inputs, {"history": history, "target": target})
    x = given(model, rows())
    x = {name: np.asarray(array) for name, array in x.items()}
    before = {k: np.asarray(v) for k, v in inside(x, training=False).items()}
    x["hist_action"] = x["hist_action"].copy()
    x["hist_action"][4, 2] = 1 - x["hist_action"][4, 2]
    after = {k: np.asarray(v) for k, v in inside(x, training=False).items()}
    np.testing.assert_array_equal(after["history"][4, :3], before["history"][4, :3])
    assert np.abs(after["history"][4, 3:] - before["history"][4, 3:]).max(axis=-1).min() > 0
    assert np.abs(after["target"][4] - before["target"][4]).max() > 0


def test_actions_of_the_history_are_a_loss_beside_and_no_input_of_it_alone():
    model, _ = ranking_model()
    x, y = given(model, rows()), np.array([0, 1, 0, 1, 1])
    probability = model.predict(x, verbose=0)[:, 0]
    of_target = -np.log(np.where(y == 1, probability, 1 - probability)).mean()
    assert model.evaluate(x, y, verbose=0, return_dict=True)["loss"] > of_target + 0.1


def test_a_user_without_history_is_ranked_by_item_and_features():
    model, _ = ranking_model()
    x = given(model, rows())
    x["hist_item_id"] = np.zeros_like(x["hist_item_id"])
    one, other = (
        model.predict(x | {"item_id": np.full(5, item)}, verbose=0) for item in (3, 4)
    )
    assert np.isfinite(one).all() and np.abs(one - other).min() > 1e-4


def test_ranking_learns_from_the_history():
    x, y = click_log(size=600)
    x.pop("user_id")
    model = HSTU(USERS, POSITIVE, mode="ranking", transformer_params=SMALL | {"hidden_size": 16})
    model.optimizer.learning_rate = 0.01
    assert model.fit(x, y, epochs=15, batch_size=32, verbose=0).history["auc"][-1] > 0.9


@pytest.mark.parametrize("mode", ["retrieval", "ranking"])
def test_padding_in_front_is_refused(mode):
    model = HSTU(USERS, POSITIVE, mode=mode, transformer_params=SMALL)
    x = {"hist_item_id": [[0, 3, 4]], "item_id": [5]}
    with pytest.raises(ValueError, match=r"'hist_item_id' has padding \(0\) before a real id in r"):
        model.predict(x, verbose=0)
    with pytest.raises(ValueError, match=r"'hist_item_id' has padding \(0\) before a real id in r"):
        model.train_on_batch(x, [1.0])


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_long_histories_train_in_a_short_last_batch(rows, monkeypatch):
    """Rows are worked off in groups of a length, of which some have no row then."""
    monkeypatch.setattr(block_module, "LONG", 0)
    model = HSTU(USERS, POSITIVE, transformer_params=SMALL)
    x = {"hist_item_id": np.full((4 + rows, 3), 2), "item_id": np.full(4 + rows, 5)}
    assert np.isfinite(model.fit(x, batch_size=4, epochs=2, verbose=0).history["loss"]).all()


def test_actions_lie_between_0_and_1_where_they_are_foretold():
    users = [*USERS, VarLenDenseFeat("hist_rating", MAXLEN)]
    x = {"hist_item_id": [[1, 2], [3, 0]], "hist_rating": [[1.0, 0.0], [4.0, 0.0]]}
    x = {name: np.array(values) for name, values in (x | {"item_id": [5, 6]}).items()}
    model = HSTU(users, POSITIVE, mode="ranking", transformer_params=SMALL)
    with pytest.raises(ValueError, match=r"'hist_rating' holds \[4.0, 0.0\] in row 1. What a user"):
        model.fit(x, np.ones(2), verbose=0)
    data = tf.data.Dataset.from_tensor_slices((x, np.ones(2))).batch(2)
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError), match="outside 0..1"):
        model.fit(data, verbose=0)
    as_input = HSTU(users, POSITIVE, transformer_params=SMALL)
    assert np.isfinite(as_input.fit(x, verbose=0).history["loss"]).all()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"mode": "rank"}, ValueError, "mode must be one of .*, got 'rank'"),
        ({"transformer_params": {"heads": 2}}, ValueError,
         "transformer_params has 'heads', which is none of its keys"),
        ({"hierarchical_params": {"window": 2}}, ValueError, "hierarchical_params has 'window'"),
        ({"hierarchical_params": [1]}, TypeError, "hierarchical_params must be a dict"),
        ({"hierarchical_params": {"level2_window_size": 5}}, ValueError,
         "level1_window_size'. must be an integer of at least 1, got None"),
        ({"transformer_params": {"num_heads": 3}}, ValueError, "a multiple of num_heads"),
        ({"query_time": "own"}, ValueError, "needs the times of the history"),
        ({"query_time": "now"}, ValueError, "query_time must be 'next', 'own' or None"),
        ({"mode": "ranking", "negatives": "all"}, ValueError, "belong to mode='retrieval'"),
        ({"stochastic_length": 2.5}, ValueError, "alpha must be above 0"),
        ({"transformer_params": {"num_layers": 0}}, ValueError, "num_layers must be a whole"),
    ],
)  # fmt: skip
def test_errors(options, error, message):
    with pytest.raises(error, match=message):
        HSTU(USERS, POSITIVE, **options)


@pytest.mark.parametrize(
    ("users", "options", "message"),
    [
        (TIMES[:1], {"query_time": "next"}, "not the time of the request, which query_time='next'"),
        (TIMES[:1], {"mode": "ranking"}, "not the time of the request, which the target item"),
        (TIMES, {"query_time": "own"}, "nothing reads 'time'. Drop it"),
        ([*TIMES, VarLenDenseFeat("hist_more", MAXLEN, dtype="int64")], {},
         "both 'hist_time' and 'hist_more' could be the times"),
        ([TIMES[0], DenseFeat("time")], {}, "must have one dtype, got int64 and float32"),
        ([VarLenDenseFeat("hist_time", 3, dtype="int64")], {}, "has maxlen 3, the history 8"),
        ([VarLenDenseFeat("hist_time", MAXLEN), DenseFeat("time")], {},
         "If these are times, give both dtype='int64'"),
        ([VarLenDenseFeat("hist_click_time", MAXLEN)], {}, "would be read as actions, as it has"),
    ],
)  # fmt: skip
def test_errors_of_times(users, options, message):
    with pytest.raises(ValueError, match=message):
        HSTU([*USERS, *users], POSITIVE, **options)


def test_the_table_is_one_for_history_and_items():
    model = HSTU(USERS, POSITIVE)
    assert table_values(model, "item_id").shape == (ITEMS + 1, WIDTH)
    assert len([w for w in model.weights if w.path.startswith("embedding_")]) == 1
