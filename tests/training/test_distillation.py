"""A student learns from labels and from a teacher's logits."""

import keras
import numpy as np
import pytest

from deeprec_tf import SparseFeat
from deeprec_tf.evaluation import CTREvaluation
from deeprec_tf.export import export_saved_model
from deeprec_tf.models import DIEN, DeepFM
from deeprec_tf.tables import table_values
from deeprec_tf.training import distill
from deeprec_tf.training.distillation import _HintLoss
from tests.export.samples import lively
from tests.models.samples import COLUMNS, LABELS, WITH_NEGATIVES, batch

FIELDS = [SparseFeat("user", 20), SparseFeat("item", 30)]
GENERATOR = np.random.default_rng(0)
X = {"user": GENERATOR.integers(0, 20, 300), "item": GENERATOR.integers(0, 30, 300)}
Y = GENERATOR.integers(0, 2, 300).astype("float32")


def small(seed=1, **options):
    keras.utils.set_random_seed(seed)
    return DeepFM(FIELDS, hidden_units=(6,), **{"dropout": 0.1, "optimizer": "sgd", **options})


def large():
    return lively(DeepFM(FIELDS, hidden_units=(9, 5), name="large"))


def logits(model, x):
    """By the inverse of the sigmoid, so with the bias of the prediction."""
    p = np.asarray(model.predict(x, verbose=0), "float64")[:, 0]
    return np.log(p) - np.log1p(-p)


def weights_of(model):
    return [*model.get_weights(), *(v.numpy() for v in model.optimizer.variables)]


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_no_hints_is_a_plain_fit_to_the_bit(optimizer):
    plain, hinted = small(optimizer=optimizer), small(optimizer=optimizer)
    keras.utils.set_random_seed(2)
    wanted = plain.fit(X, Y, epochs=2, batch_size=64, validation_split=0.2, verbose=0).history
    keras.utils.set_random_seed(2)
    history = distill(
        large(), hinted, X, Y, hint_weight=0, epochs=2, batch_size=64, validation_split=0.2,
        verbose=0,
    ).history
    assert history == wanted
    for ours, theirs in zip(weights_of(hinted), weights_of(plain), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_hint_of_no_weight_moves_nothing():
    """The path with hints: order of rows, dropout and optimizer are those of a plain fit."""
    plain, hinted = small(optimizer="adam"), small(optimizer="adam")
    keras.utils.set_random_seed(2)
    wanted = plain.fit(X, Y, epochs=2, batch_size=64, validation_split=0.2, verbose=0).history
    keras.utils.set_random_seed(2)
    history = distill(
        large(), hinted, X, Y, hint_weight=1e-30, epochs=2, batch_size=64, validation_split=0.2,
        verbose=0,
    ).history
    for name in wanted:
        np.testing.assert_allclose(history[name], wanted[name], rtol=1e-5)
    for ours, theirs in zip(weights_of(hinted), weights_of(plain), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("temperature", [None, 1.0, 2.5])
def test_the_loss_of_one_batch_by_hand(temperature):
    teacher, student = large(), lively(small(dropout=0.0), seed=5)
    student.get_layer("probability").bias.assign([0.7])
    teacher.get_layer("probability").bias.assign([-0.4])
    student.compile(keras.optimizers.SGD(0.0), student.loss)  # the weights stay
    x, y = {name: values[:40] for name, values in X.items()}, Y[:40]
    history = distill(
        teacher, student, x, y, hint_weight=0.3, temperature=temperature, batch_size=40, verbose=0
    ).history
    own_logits, z = logits(student, x), logits(teacher, x)
    if temperature is None:
        hint = np.mean((own_logits - z) ** 2)
    else:
        p, q = (1 / (1 + np.exp(-value / temperature)) for value in (z, own_logits))
        divergence = p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))
        hint = temperature**2 * np.mean(divergence)
    own = np.mean(np.log1p(np.exp(own_logits)) - y * own_logits)
    np.testing.assert_allclose(history["hint_loss"], [hint], rtol=1e-4)
    np.testing.assert_allclose(history["loss"], [own + 0.3 * hint], rtol=1e-4)


@pytest.mark.parametrize("temperature", [None, 2.0])
def test_from_hints_alone_the_student_learns_the_logits(temperature):
    teacher = large()
    student = small(optimizer=keras.optimizers.Adam(0.02))
    before = np.mean((logits(student, X) - logits(teacher, X)) ** 2)
    noise = GENERATOR.integers(0, 2, 300)  # labels that say nothing
    distill(
        teacher, student, X, noise, hint_weight=1000.0, temperature=temperature, epochs=80,
        batch_size=100, verbose=0,
    )
    after = np.mean((logits(student, X) - logits(teacher, X)) ** 2)
    assert after < 0.1 * before
    assert np.corrcoef(logits(student, X), logits(teacher, X))[0, 1] > 0.95


def test_teacher_and_students_graph_stay_as_they_were(tmp_path):
    teacher, student = large(), small()
    before, names = teacher.get_weights(), [weight.path for weight in student.weights]
    loss, metrics = student.loss, [m.name for m in student.metrics]
    distill(teacher, student, X, Y, verbose=0)
    for ours, theirs in zip(teacher.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert [weight.path for weight in student.weights] == names
    assert student.loss is loss and [m.name for m in student.metrics] == metrics
    assert set(student.input) == {"user", "item"}
    steps = int(student.optimizer.iterations.numpy())
    assert steps == 2  # 300 rows of 256
    scores = student.evaluate(X, Y, verbose=0, return_dict=True)
    student.save(tmp_path / "student.keras")
    again = keras.saving.load_model(tmp_path / "student.keras")
    assert again.evaluate(X, Y, verbose=0, return_dict=True) == scores
    assert int(again.optimizer.iterations.numpy()) == steps
    export_saved_model(student, tmp_path / "served")
    student.fit(X, Y, verbose=0)
    assert int(student.optimizer.iterations.numpy()) == 2 * steps


def test_callbacks_score_and_save_the_student(tmp_path):
    student = small()
    path = tmp_path / "best.keras"
    history = distill(
        large(), student, X, Y, validation_data=(X, Y), epochs=2, verbose=0,
        callbacks=[
            CTREvaluation((X, Y)),
            keras.callbacks.ModelCheckpoint(path),
            keras.callbacks.EarlyStopping("val_auc", mode="max", patience=0),
        ],
    ).history
    own = student.evaluate(X, Y, verbose=0, return_dict=True)
    np.testing.assert_allclose(history["val_loss"][-1], own["loss"], rtol=1e-5)
    saved = keras.saving.load_model(path)
    assert set(saved.input) == {"user", "item"}
    np.testing.assert_allclose(saved.predict(X, verbose=0), student.predict(X, verbose=0))


def test_inputs_of_training_alone_and_of_the_other_model_may_differ():
    teacher = lively(DIEN(WITH_NEGATIVES, ["item_id"], hidden_units=(5,)))
    student = DIEN(COLUMNS, ["item_id"], interest_units=2, hidden_units=(4,))
    x = batch(WITH_NEGATIVES)
    del x["neg_hist_item_id"]
    assert distill(teacher, student, x, LABELS, verbose=0).history["hint_loss"][0] > 0
    with_auxiliary = DIEN(WITH_NEGATIVES, ["item_id"], hidden_units=(4,))
    teacher = lively(DIEN(COLUMNS, ["item_id"], hidden_units=(5,)))
    history = distill(teacher, with_auxiliary, batch(WITH_NEGATIVES), LABELS, verbose=0).history
    assert history["hint_loss"][0] > 0


def test_redrawn_inputs_that_the_teacher_reads_get_new_hints():
    teacher, student = large(), small(optimizer=keras.optimizers.SGD(0.0), dropout=0.0)
    items = [X["item"], np.full(300, 7)]
    history = distill(
        teacher, student, X, Y, epochs=2, verbose=0, batch_size=300,
        redraw=lambda epoch: {"item": items[epoch]},
    ).history
    wanted = np.mean(
        (logits(student, X | {"item": items[1]}) - logits(teacher, X | {"item": items[1]})) ** 2
    )
    np.testing.assert_allclose(history["hint_loss"][1], wanted, rtol=1e-4)
    assert abs(history["hint_loss"][0] - wanted) > 0.1 * wanted


def test_redrawn_inputs_beside_a_validation_split():
    teacher, student = large(), small()
    history = distill(
        teacher, student, X, Y, epochs=2, verbose=0, validation_split=0.5,
        redraw=lambda epoch: {"item": np.full(150, epoch + 1)},
    ).history
    assert len(history["val_loss"]) == 2


def test_shared_lower_layers_are_the_teachers_tables():
    teacher, student = large(), small(optimizer=keras.optimizers.SGD(0.0))
    distill(teacher, student, X, Y, share_lower_layers=True, hint_weight=0, verbose=0)
    for name in ("user", "item"):
        np.testing.assert_array_equal(table_values(student, name), table_values(teacher, name))
    trained = small(optimizer="adam")
    distill(teacher, trained, X, Y, share_lower_layers=True, verbose=0)
    moved = np.abs(table_values(trained, "user") - table_values(teacher, "user")).max()
    assert 0 < moved < 0.1, "copied, then trained on"


def test_a_replica_without_rows_adds_nothing():
    layer = _HintLoss(small().get_layer("probability"), 0.3, None)
    none = np.zeros((0, 1), "float32")
    layer(none, none, none, training=True)
    np.testing.assert_array_equal(layer.losses, [0.0])


def test_errors():
    teacher, student = large(), small()
    with pytest.raises(TypeError, match="x must be a dict of arrays or a DataFrame, got ndarray"):
        distill(teacher, student, np.zeros((2, 2)), Y)
    with pytest.raises(ValueError, match="hint_weight must not be negative, got -1"):
        distill(teacher, student, X, Y, hint_weight=-1)
    with pytest.raises(ValueError, match="temperature must be positive"):
        distill(teacher, student, X, Y, temperature=0)
    with pytest.raises(ValueError, match="teacher's task is 'regression', the student's 'binary'"):
        distill(DeepFM(FIELDS, hidden_units=(4,), task="regression"), student, X, Y)
    with pytest.raises(ValueError, match="0 prediction layers, not one"):
        inputs = keras.Input((1,), name="user")
        distill(keras.Model(inputs, keras.layers.Dense(1)(inputs)), student, X, Y)
    with pytest.raises(ValueError, match=r"table 'item' has the shape \(30, 3\) in the teacher"):
        narrow = DeepFM([SparseFeat("user", 20, embedding_dim=3),
                         SparseFeat("item", 30, embedding_dim=3)], hidden_units=(4,))  # fmt: skip
        distill(narrow, student, X, Y, share_lower_layers=True)
    with pytest.raises(ValueError, match="no embedding table of one name"):
        others = DeepFM([SparseFeat("a", 5), SparseFeat("b", 5)], hidden_units=(4,))
        distill(others, student, X, Y, share_lower_layers=True)
    with pytest.raises(ValueError, match="validation_data must be"):
        distill(teacher, student, X, Y, validation_data=[1, 2])
    with pytest.raises(ValueError, match="input 'item'.* is missing"):
        distill(teacher, student, {"user": X["user"]}, Y)
    bare = small()
    bare.compiled = False
    with pytest.raises(ValueError, match="compile the student first"):
        distill(teacher, bare, X, Y)
    with pytest.raises(TypeError, match="student must be a model of a builder"):
        distill(teacher, keras.Model(inputs, inputs), X, Y)
