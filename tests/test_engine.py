import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from deeprec_tf import (
    DenseFeat,
    RecModel,
    SparseFeat,
    VarLenSparseFeat,
    build_embedding_layers,
    build_input_layers,
    embedding_lookup,
)
from deeprec_tf.layers import PredictionLayer
from deeprec_tf.models import DIEN, WideDeep
from deeprec_tf.optimizers import SparseAdagrad, SparseAdam
from deeprec_tf.tables import set_table_values, table_values
from tests.models.samples import LABELS, WITH_NEGATIVES, batch

COLUMNS = [SparseFeat("user", 8, embedding_dim=4), SparseFeat("item", 6, embedding_dim=4),
           DenseFeat("price")]  # fmt: skip
ROWS = 21
GENERATOR = np.random.default_rng(0)
X = {
    "user": GENERATOR.integers(0, 8, size=ROWS),
    "item": GENERATOR.integers(0, 6, size=ROWS),
    "price": GENERATOR.normal(size=ROWS),
}
Y = GENERATOR.integers(0, 2, size=ROWS)


def built(columns=COLUMNS, **options):
    keras.utils.set_random_seed(1)
    return WideDeep(columns, **{"hidden_units": (4,), "metrics": [], **options})


def fitted(x, y, **options):
    model = built()
    history = model.fit(x, y, **{"batch_size": 8, "shuffle": False, "verbose": 0, **options})
    return model, history.history


def assert_same_model(first, second):
    for a, b in zip(first.weights, second.weights, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=a.path)


@pytest.fixture(scope="module")
def reference():
    return fitted(X, Y)


@pytest.fixture(scope="module")
def trained(reference):
    """A trained model, to be read only."""
    return reference[0]


# ---- what fit takes ----------------------------------------------------------------------


def as_dataset(size=8):
    return tf.data.Dataset.from_tensor_slices(
        ({"user": X["user"].astype("int32"), "item": X["item"].astype("int32"),
          "price": X["price"].astype("float32")[:, None]}, Y.astype("float32"))
    ).batch(size)  # fmt: skip


@pytest.mark.parametrize(
    "make",
    [
        lambda: (pd.DataFrame(X), pd.Series(Y)),
        lambda: (X, Y[:, None]),
        lambda: (X, Y.astype("float64").tolist()),
        lambda: ({name: list(values) for name, values in X.items()}, Y.astype(bool)),
        lambda: (X, pd.Series(Y, index=np.arange(ROWS) + 100)),
        lambda: (as_dataset(), None),
    ],
    ids=["frame", "column", "lists", "list inputs", "index", "dataset"],
)
def test_inputs_of_every_kind_train_the_same(make, reference):
    model, history = fitted(*make())
    assert history["loss"] == pytest.approx(reference[1]["loss"], rel=1e-6)
    assert_same_model(model, reference[0])


def test_labels_of_both_ranks_in_turn(reference):
    """Keras alone fails when labels change their rank between calls."""
    model = built()
    options = {"batch_size": 8, "shuffle": False, "verbose": 0}
    model.fit(X, Y, **options)
    assert_same_model(model, reference[0])
    model.fit(X, Y[:, None], **options)
    model.evaluate(X, pd.Series(Y), verbose=0)
    model.evaluate(X, Y[:, None], verbose=0)


def test_evaluate_and_predict_agree_with_each_other(trained):
    p = trained.predict(X, batch_size=5, verbose=0)
    assert p.shape == (ROWS, 1) and p.dtype == "float32"
    cross_entropy = -np.mean(np.log(np.where(Y == 1, p[:, 0], 1 - p[:, 0]).astype("float64")))
    assert trained.evaluate(X, Y, batch_size=5, verbose=0) == pytest.approx(cross_entropy, rel=1e-5)
    for x in (pd.DataFrame(X), as_dataset().map(lambda x, y: x), X):
        np.testing.assert_allclose(trained.predict(x, verbose=0), p, atol=1e-7)
    np.testing.assert_allclose(trained.predict_on_batch(X), p, atol=1e-7)
    assert trained.test_on_batch(X, Y) == pytest.approx(cross_entropy, rel=1e-5)


def test_sample_weight(trained):
    weight = np.linspace(0, 2, ROWS)
    p = trained.predict(X, verbose=0)[:, 0].astype("float64")
    losses = -np.log(np.where(Y == 1, p, 1 - p))
    got = trained.evaluate(X, Y, sample_weight=weight, batch_size=ROWS, verbose=0)
    assert got == pytest.approx(np.mean(weight * losses), rel=1e-5)


def test_weight_zero_leaves_a_row_out_of_training():
    """A mean over 21 rows of which 10 count, against one over these 10."""
    masked = built(optimizer=keras.optimizers.SGD(0.21))
    masked.fit(X, Y, sample_weight=np.arange(ROWS) < 10, batch_size=ROWS, verbose=0)
    head = built(optimizer=keras.optimizers.SGD(0.1))
    head.fit({n: v[:10] for n, v in X.items()}, Y[:10], batch_size=ROWS, verbose=0)
    for a, b in zip(masked.weights, head.weights, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_class_weight_doubles_positives():
    plain = built().fit(X, Y, batch_size=ROWS, verbose=0).history["loss"][0]
    doubled = built().fit(X, Y, batch_size=ROWS, verbose=0, class_weight={0: 2.0, 1: 2.0})
    assert doubled.history["loss"][0] == pytest.approx(2 * plain, rel=1e-5)


def test_validation_split_takes_the_last_rows_as_keras_does(reference):
    model, history = fitted(X, Y, validation_split=0.3)
    cut = int(ROWS * 0.7)
    head = {name: values[:cut] for name, values in X.items()}
    tail = {name: values[cut:] for name, values in X.items()}
    alone, _ = fitted(head, Y[:cut])
    assert_same_model(model, alone)
    assert history["val_loss"][0] == pytest.approx(
        model.evaluate(tail, Y[cut:], verbose=0), rel=1e-5
    )
    inputs = keras.layers.Input((1,))
    dense = keras.Model(inputs, keras.layers.Dense(1)(inputs))
    dense.compile(loss="mse")
    seen = []
    probe = keras.callbacks.LambdaCallback(on_train_begin=lambda logs: seen.append(probe.params))
    dense.fit(np.zeros((ROWS, 1)), np.zeros(ROWS), validation_split=0.3, batch_size=1, verbose=0,
              callbacks=[probe])  # fmt: skip
    assert seen[0]["steps"] == cut


def test_validation_split_with_weights_and_lists():
    weight = np.ones(ROWS)
    _, history = fitted(X, list(Y), validation_split=0.5, sample_weight=weight)
    assert np.isfinite(history["val_loss"]).all()


def test_validation_data_of_every_kind(trained):
    wanted = trained.evaluate(X, Y, verbose=0)
    model = built()
    model.set_weights(trained.get_weights())
    model.compile(keras.optimizers.SGD(0.0), "binary_crossentropy")
    ones = np.ones(ROWS)
    for data in ((X, Y), (pd.DataFrame(X), Y[:, None]), (X, Y, ones), as_dataset()):
        history = model.fit(X, Y, validation_data=data, verbose=0).history
        assert history["val_loss"][0] == pytest.approx(wanted, rel=1e-5)


# ---- errors ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda m: m.fit(X, np.where(Y, np.nan, 0.0)), ValueError,
         r"wide_deep.fit: the labels hold NaN or infinity in row \d+"),
        (lambda m: m.fit([X["user"]], Y), TypeError, "fit: inputs must be a dict of arrays"),
        (lambda m: m.predict(np.zeros((3, 3))), TypeError, "predict: inputs must be a dict"),
        (lambda m: m.predict({"user": X["user"]}), ValueError, "predict: the input 'item'"),
        (lambda m: m.fit({**X, "user": X["user"] + 1}, Y), ValueError,
         r"fit: 'user' holds the id 8 in row \d+, outside 0..7"),
        (lambda m: m.fit({**X, "click": Y}, Y), ValueError, "'click' looks like a label"),
        (lambda m: m.fit(X, Y[:-1]), ValueError, "the labels 'y' have 20 rows"),
        (lambda m: m.fit(X, Y, sample_weight=np.ones(3)), ValueError, "sample_weight.* 3 rows"),
        (lambda m: m.evaluate(X, sample_weight=Y), ValueError, "sample_weight was given without y"),
        (lambda m: m.fit(X, Y, validation_split=1.5), ValueError, r"must lie in \(0, 1\), got 1.5"),
        (lambda m: m.fit(X, Y, validation_split=0.99), ValueError, "leaves one part empty"),
        (lambda m: m.fit(as_dataset(), validation_split=0.5), ValueError, "validation_split"),
        (lambda m: m.fit(as_dataset(), redraw=lambda epoch: {}), ValueError, "redraw needs x as"),
        (lambda m: m.train_on_batch({"user": X["user"]}, Y), ValueError, "train_on_batch: "),
    ],
)  # fmt: skip
def test_errors_name_the_call_and_the_input(call, error, message, trained):
    with pytest.raises(error, match=message):
        call(trained)


# ---- compiling ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("optimizer", "kind"),
    [
        ("adam", SparseAdam), ("Adam", SparseAdam), ("adagrad", SparseAdagrad),
        (keras.optimizers.Adam(0.5), SparseAdam), (keras.optimizers.Adagrad(0.5), SparseAdagrad),
        ("sgd", keras.optimizers.SGD), (keras.optimizers.Ftrl(0.5), keras.optimizers.Ftrl),
        (SparseAdam(0.5), SparseAdam),
    ],
)
def test_compile_takes_the_row_sparse_form(optimizer, kind):
    model = built()
    model.compile(optimizer, "binary_crossentropy")
    assert type(model.optimizer) is kind
    if not isinstance(optimizer, str):
        assert float(model.optimizer.learning_rate) == 0.5


def test_builder_arguments_reach_compile():
    model = built(optimizer=keras.optimizers.SGD(0.25), loss="mse", metrics=["mae"], name="mine")
    assert model.name == "mine" and model.loss == "mse"
    assert float(model.optimizer.learning_rate) == 0.25
    assert "mae" in model.fit(X, Y, verbose=0).history


@pytest.mark.parametrize("eagerly", [True, False])
def test_run_eagerly_reaches_the_part_that_predicts(eagerly):
    model = DIEN(WITH_NEGATIVES, ["item_id"], hidden_units=(4,), use_negsampling=True)
    model.run_eagerly = eagerly
    layer, traced = model.get_layer("probability"), []
    call = layer.call
    layer.call = lambda *args: (traced.append(tf.inside_function()), call(*args))[1]
    model.predict_on_batch(batch())
    assert traced == [not eagerly]


def test_default_metric_and_loss():
    model = WideDeep(COLUMNS, hidden_units=(4,))
    assert isinstance(model.loss, keras.losses.BinaryCrossentropy)
    assert "auc" in model.fit(X, Y, verbose=0).history


def test_reloaded_model_has_columns_and_optimizer(trained, tmp_path):
    trained.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded) is RecModel
    assert loaded.feature_columns == COLUMNS
    assert type(loaded.optimizer) is SparseAdam
    assert loaded._jit_asked == trained._jit_asked == "auto"  # not what that means here
    assert int(loaded.optimizer.iterations) == int(trained.optimizer.iterations) > 0
    for mine, other in zip(loaded.optimizer.variables, trained.optimizer.variables, strict=True):
        np.testing.assert_array_equal(mine, other, err_msg=mine.path)
    np.testing.assert_allclose(loaded.predict(X, verbose=0), trained.predict(X, verbose=0), 1e-6)


def test_pretrained_and_frozen_tables_survive_a_reload(tmp_path):
    vectors = GENERATOR.normal(size=(8, 4)).astype("float32")
    columns = [SparseFeat("user", 8, embedding_dim=4, pretrained=vectors, trainable=False),
               *COLUMNS[1:]]  # fmt: skip
    model = built(columns)
    model.fit(X, Y, verbose=0)
    np.testing.assert_array_equal(table_values(model, "user"), vectors)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(table_values(loaded, "user"), vectors)
    trained = {weight.path.split("/")[0] for weight in loaded.trainable_weights}
    assert "embedding_user" not in trained
    assert np.any(table_values(loaded, "user", linear=True)), "its linear weight is trained"
    assert loaded.feature_columns == columns, "pretrained arrays are no part of the comparison"


def test_weights_file_round_trip(trained, tmp_path):
    trained.save_weights(tmp_path / "model.weights.h5")
    other = built()
    other.optimizer.build(other.trainable_variables)
    other.load_weights(tmp_path / "model.weights.h5")
    assert_same_model(other, trained)
    assert int(other.optimizer.iterations) == int(trained.optimizer.iterations)


def test_weights_come_back_after_a_prediction(tmp_path):
    model = built()
    model.fit(X, Y, verbose=0)
    before = model.predict(X, verbose=0)
    model.save_weights(tmp_path / "model.weights.h5")
    model.fit(X, Y, verbose=0)
    assert np.any(model.predict(X, verbose=0) != before)
    model.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(model.predict(X, verbose=0), before)


# ---- the train step ----------------------------------------------------------------------


@pytest.mark.parametrize("with_auxiliary_loss", [False, True])
@pytest.mark.parametrize("loss", [None, "binary_crossentropy"])
def test_a_confident_mistake_still_has_a_gradient(loss, with_auxiliary_loss):
    """The loss is computed from the logit, since a sigmoid of 40 is 1 in float32."""
    if with_auxiliary_loss:
        model = DIEN(WITH_NEGATIVES, ["item_id"], hidden_units=(4,), auxiliary_weight=0.0,
                     loss=loss, optimizer=keras.optimizers.SGD(1.0))  # fmt: skip
        x, y = batch(WITH_NEGATIVES), 0 * LABELS
    else:
        model, x, y = built(loss=loss, optimizer=keras.optimizers.SGD(1.0)), X, 0 * Y
    bias = model.get_layer("probability").bias
    bias.assign([40.0])
    loss = model.train_on_batch(x, y, return_dict=True)["loss"]
    assert float(loss) == pytest.approx(40, rel=0.02)
    assert float(bias[0]) == pytest.approx(39, abs=1e-3)


@pytest.mark.parametrize("make", [keras.optimizers.RMSprop, keras.optimizers.Ftrl])
def test_foreign_optimizers_get_summed_rows(make):
    """One id in every row steps as far as a weight of its own that gets the whole gradient."""
    inputs = build_input_layers([SparseFeat("user", 2, embedding_dim=1)])
    tables = build_embedding_layers(
        [SparseFeat("user", 2, embedding_dim=1, embeddings_initializer="zeros")]
    )
    logit = tables["user"](inputs["user"])
    output = PredictionLayer(name="probability")(logit)
    model = RecModel(inputs, output, feature_columns=[SparseFeat("user", 2, embedding_dim=1)])
    model.compile(make(0.1), "binary_crossentropy")
    model.train_on_batch({"user": np.ones(50, int)}, np.ones(50))
    moved = model.get_layer("embedding_user").embeddings.numpy()
    bias = model.get_layer("probability").bias.numpy()
    assert abs(bias[0]) > 0.01
    np.testing.assert_allclose(moved, [[0], bias], atol=1e-6)


@pytest.mark.parametrize("make", [keras.optimizers.SGD, keras.optimizers.RMSprop])
def test_foreign_optimizers_take_a_loss_scale_factor(make):
    plain, scaled = (built(optimizer=make(0.1, loss_scale_factor=f)) for f in (None, 8.0))
    for model in (plain, scaled):
        model.fit(X, Y, shuffle=False, batch_size=8, verbose=0)
    for a, b in zip(plain.weights, scaled.weights, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4, err_msg=a.path)


def test_two_tasks():
    keras.utils.set_random_seed(1)
    inputs = build_input_layers(COLUMNS)
    x = embedding_lookup(inputs, build_embedding_layers(COLUMNS), COLUMNS)
    outputs = {
        name: PredictionLayer(name=name)(keras.layers.Dense(1)(x)) for name in ("ctr", "cvr")
    }
    model = RecModel(inputs, outputs, feature_columns=COLUMNS)
    model.compile("adam", {"ctr": "binary_crossentropy", "cvr": "binary_crossentropy"})
    y = {"ctr": Y, "cvr": Y[:, None] * 0}
    weight = {"ctr": np.ones(ROWS), "cvr": np.zeros(ROWS)}
    history = model.fit(X, y, sample_weight=weight, validation_split=0.3, verbose=0).history
    assert {"ctr_loss", "cvr_loss", "val_ctr_loss"} <= set(history)
    assert history["cvr_loss"] == [0.0]
    p = model.predict(X, verbose=0)
    assert set(p) == {"ctr", "cvr"} and p["ctr"].shape == (ROWS, 1)
    with pytest.raises(ValueError, match="'user' is a label and an input at once"):
        model.fit(X, {"user": Y}, verbose=0)


# ---- the order of the rows ---------------------------------------------------------------


def sgd(seed):
    model = built(optimizer=keras.optimizers.SGD(0.5))
    model.shuffle_seed = seed
    return model


def test_order_depends_on_seed_and_epoch_alone():
    whole, again, other = sgd(3), sgd(3), sgd(4)
    for model in (whole, again, other):
        model.fit(X, Y, batch_size=4, epochs=2, verbose=0)
    assert_same_model(whole, again)
    with pytest.raises(AssertionError):
        assert_same_model(whole, other)
    resumed = sgd(3)
    resumed.fit(X, Y, batch_size=4, epochs=1, verbose=0)
    resumed.fit(X, Y, batch_size=4, epochs=2, initial_epoch=1, verbose=0)
    assert_same_model(whole, resumed)
    repeated = sgd(3)
    for _ in range(2):
        repeated.fit(X, Y, batch_size=4, epochs=1, verbose=0)
    with pytest.raises(AssertionError):
        assert_same_model(whole, repeated)


def test_global_seed_reaches_the_order():
    seeds = []
    for seed in (5, 5, 6):
        keras.utils.set_random_seed(seed)
        model = WideDeep(COLUMNS, hidden_units=(), metrics=[])
        model.fit(X, Y, verbose=0)
        seeds.append(model.shuffle_seed)
    assert seeds[0] == seeds[1] != seeds[2]


def test_every_fit_draws_a_seed_unless_one_was_set():
    model = WideDeep(COLUMNS, hidden_units=(), metrics=[])
    seeds = []
    for _ in range(2):
        model.fit(X, Y, verbose=0)
        seeds.append(model.shuffle_seed)
    assert seeds[0] != seeds[1]
    model.shuffle_seed = 7
    for _ in range(2):
        model.fit(X, Y, verbose=0)
        assert model.shuffle_seed == 7


def test_redraw_replaces_inputs_epoch_by_epoch():
    epochs = []

    def redraw(epoch):
        epochs.append(epoch)
        return {"item": (X["item"] + epoch) % 6}

    drawn = sgd(3)
    drawn.fit(X, Y, batch_size=4, epochs=2, verbose=0, redraw=redraw)
    by_hand = sgd(3)
    for epoch in range(2):
        x = {**X, "item": (X["item"] + epoch) % 6}
        by_hand.fit(x, Y, batch_size=4, epochs=epoch + 1, initial_epoch=epoch, verbose=0)
    assert_same_model(drawn, by_hand)
    assert set(epochs) == {0, 1}


def test_redrawn_inputs_are_checked():
    with pytest.raises(Exception, match="holds the id 6 in row 0"):
        sgd(3).fit(X, Y, verbose=0, redraw=lambda epoch: {"item": np.full(ROWS, 6)})


def test_half_precision_is_loaded_and_goes_on_whatever_the_policy(tmp_path):
    """Keras would leave out the scale of the loss, and with it the optimizer's state."""
    keras.config.set_dtype_policy("mixed_float16")
    model = built()
    model.fit(X, Y, verbose=0)
    model.save(tmp_path / "half.keras")
    keras.config.set_dtype_policy("float32")
    again = keras.saving.load_model(tmp_path / "half.keras")
    assert isinstance(again.optimizer, keras.optimizers.LossScaleOptimizer)
    for one, other in zip(model.optimizer.variables, again.optimizer.variables, strict=True):
        np.testing.assert_array_equal(one, other)
    losses = [m.fit(X, Y, shuffle=False, verbose=0).history["loss"][0] for m in (model, again)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


# ---- strings -----------------------------------------------------------------------------


def test_strings_hash_alike_in_arrays_frames_and_datasets():
    feat = SparseFeat("city", 50, embedding_dim=4, use_hash=True, dtype="string")
    tags = VarLenSparseFeat(
        SparseFeat("tags", 50, embedding_dim=4, use_hash=True, dtype="string"), maxlen=3
    )
    x = {
        "city": np.array(["Rom", "Köln", "", "Rom"]),
        "tags": np.array([["a", "b", ""], ["", "", ""], ["c", "", ""], ["b", "a", ""]]),
    }
    model = built([feat, tags])
    model.fit(x, np.array([1, 0, 0, 1]), epochs=3, verbose=0)
    wanted = model.predict(x, verbose=0)
    frame = pd.DataFrame({"city": x["city"], "tags": x["tags"].tolist()})
    dataset = tf.data.Dataset.from_tensor_slices(x).batch(3)
    for other in (frame, dataset, {name: values.astype(object) for name, values in x.items()}):
        np.testing.assert_array_equal(model.predict(other, verbose=0), wanted)
    keys = {"city": np.array([5, 6, 0, 5]), "tags": np.zeros((4, 3), int)}
    with pytest.raises(TypeError, match="'city' has dtype 'string' but row 0 holds 5"):
        model.predict(keys, verbose=0)


def test_large_integers_are_hashed_not_truncated():
    feat = SparseFeat("user", 1000, embedding_dim=4, use_hash=True)
    model = built([feat])
    set_table_values(model, "user", GENERATOR.normal(size=(1000, 4)))
    p = model.predict({"user": np.array([5, 5 + 2**33, 2**62, 5])}, verbose=0)[:, 0]
    assert p[0] == p[3] and len(set(p.tolist())) == 3


@pytest.mark.parametrize("bad", [-1, 8, 2**40])
def test_an_id_outside_its_table_in_a_dataset_is_named(bad):
    model = built()
    x = {**X, "user": np.where(np.arange(ROWS) == 5, bad, X["user"])}
    dataset = tf.data.Dataset.from_tensor_slices((x, Y)).batch(4)
    message = r"wide_deep: column user has an id outside 0\.\.7\. Raise vocabulary_size"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        model.fit(dataset, verbose=0)


def test_a_clone_knows_its_columns():
    """Keras makes it of the graph alone, without the model's config."""
    model = DIEN(WITH_NEGATIVES, ["item_id"], hidden_units=(4,))
    clone = keras.models.clone_model(model)
    assert clone.feature_columns == model.feature_columns
    x = batch(WITH_NEGATIVES)
    clone.set_weights(model.get_weights())
    left = {name: values for name, values in x.items() if not name.startswith("neg_")}
    np.testing.assert_allclose(
        clone.predict(left, verbose=0), model.predict(left, verbose=0), atol=1e-6
    )
    with pytest.raises(ValueError, match="'price' holds NaN or infinity in row 0"):
        clone.fit(x | {"price": np.full_like(x["price"], np.nan)}, np.ones(len(x["price"])))
