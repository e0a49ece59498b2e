"""Losses, metrics and balancing of several tasks through the engine."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from deeprec_tf.layers import GradNorm, MetaBalance, PCGrad
from deeprec_tf.models import MMoE, SharedBottom
from deeprec_tf.multitask import LOSS_WEIGHTINGS
from tests.contract.checks import dtype_policy
from tests.layers.contract import randomize
from tests.models.crosses import COLUMNS, LABELS, X
from tests.reference.multitask import meta_balance, pcgrad

NAN = np.nan
Y = {"click": LABELS, "pay": np.array([1.0, NAN, -2.0, NAN, 0.5, 3.0], "float32")}
TASKS = {"task_names": ("click", "pay"), "task_types": ("binary", "regression")}
SIZES = {"hidden_units": (4,), "task_hidden_units": (3,)}


def built(**options):
    model = SharedBottom(COLUMNS, **TASKS, **SIZES, **options)
    state = [weight.numpy() for weight in model.loss_balance.weights]
    randomize(model, scale=0.4)
    model.loss_balance.set_weights(state)
    return model


def separate(model, x=X, y=Y, weights=None):
    """Each task's loss by hand, and its gradient of each weight, dense."""
    x = {name: tf.constant(values) for name, values in x.items()}
    found = {}
    for task in model.loss_balance.tasks:
        known = ~np.isnan(y[task])
        w = np.ones(len(known)) if weights is None else weights[task]
        with tf.GradientTape() as tape:
            p = tf.cast(model(x)[task][:, 0], "float32")
            label = tf.constant(np.where(known, y[task], 0), "float32")
            if task == "click":
                rows = -label * tf.math.log(p) - (1 - label) * tf.math.log(1 - p)
            else:
                rows = tf.square(p - label)
            loss = tf.reduce_sum(rows * tf.constant(known * w, "float32")) / known.sum()
        variables = [weight.value for weight in model.trainable_weights]
        gradients = tape.gradient(loss, variables, unconnected_gradients="none")
        found[task] = float(loss), [
            None if g is None else np.asarray(tf.convert_to_tensor(g), "float64")
            for g in gradients
        ]
    return found


def step_of(model, y=Y, jit_compile=False):
    """What one step of plain descent at rate 1 changes, weight by weight."""
    model.compile(keras.optimizers.SGD(1.0), metrics=[], jit_compile=jit_compile)
    before = [weight.numpy().astype("float64") for weight in model.trainable_weights]
    model.train_on_batch(dict(X), y)
    return [a - w.numpy() for a, w in zip(before, model.trainable_weights, strict=True)]


@pytest.mark.parametrize("weights", [None, {"pay": np.arange(6.0)}, np.arange(6.0)])
def test_losses_are_means_over_the_rows_with_a_label(weights):
    model = built()
    ones = {"click": np.ones(6), "pay": np.ones(6)}
    by_task = ones | (weights if isinstance(weights, dict) else {})
    if isinstance(weights, np.ndarray):
        by_task = dict.fromkeys(ones, weights)
    wanted = {task: loss for task, (loss, _) in separate(model, weights=by_task).items()}
    logs = model.evaluate(dict(X), Y, sample_weight=weights, verbose=0, return_dict=True)
    for task, loss in wanted.items():
        np.testing.assert_allclose(logs[f"{task}_loss"], loss, rtol=1e-5)
    np.testing.assert_allclose(logs["loss"], sum(wanted.values()), rtol=1e-5)
    known = ~np.isnan(Y["pay"])
    error = (model.predict(dict(X), verbose=0)["pay"][:, 0] - Y["pay"])[known]
    np.testing.assert_allclose(logs["pay_rmse"], np.sqrt(np.mean(error**2)), rtol=1e-5)


@pytest.mark.parametrize("method", sorted(LOSS_WEIGHTINGS))
def test_batches_without_labels_of_a_task(method):
    """What they would otherwise do shows in the weights: drift, or NaN."""
    model = built(loss_weighting=method)
    y = {"click": LABELS, "pay": np.full(6, NAN)}
    losses = model.fit(dict(X), y, epochs=4, verbose=0).history["loss"]
    assert np.isfinite(losses).all() and losses[-1] < losses[0]
    assert all(np.isfinite(weight.numpy()).all() for weight in model.weights)
    balance = model.loss_balance
    if method == "uncertainty":
        assert balance.log_variances.numpy()[1] == 0
    if method == "metabalance":
        assert not balance.norms.numpy()[:, 1].any()
    if method == "gradnorm":
        np.testing.assert_array_equal(balance.task_weights, [1, 1])


@pytest.mark.parametrize("how", ["loss_weights", "sample_weight"])
@pytest.mark.parametrize("method", sorted(LOSS_WEIGHTINGS))
def test_a_task_without_weight_is_as_one_without_labels(method, how):
    models = [built(loss_weighting=method) for _ in range(2)]
    weights = [{"pay": 0.0} if how == "loss_weights" else None, None]
    rows = [{"pay": np.zeros(6)} if how == "sample_weight" else None, None]
    labels = [Y, {**Y, "pay": np.full(6, NAN)}]
    for model, weight, sample_weight, y in zip(models, weights, rows, labels, strict=True):
        if isinstance(model.loss_balance, PCGrad):
            model.loss_balance.seed_generator.state.assign([1, 2])
        model.compile(keras.optimizers.SGD(0.1), metrics=[], loss_weights=weight)
        model.fit(
            dict(X), y, sample_weight=sample_weight, epochs=3, batch_size=6, shuffle=False,
            verbose=0,
        )
    for weight, wanted in zip(models[0].weights, models[1].weights, strict=True):
        np.testing.assert_allclose(weight, wanted, atol=1e-6, err_msg=weight.path)


@pytest.mark.parametrize("method", sorted(LOSS_WEIGHTINGS))
def test_an_overflow_in_half_precision_is_survived(method):
    """A loss scale that is too large makes gradients infinite; Keras leaves such steps out."""
    keras.utils.set_random_seed(2)
    with dtype_policy("mixed_float16"):
        model = SharedBottom(
            COLUMNS, **TASKS, **SIZES, loss_weighting=method, metrics=[],
            optimizer=keras.optimizers.LossScaleOptimizer(
                keras.optimizers.Adam(0.01), initial_scale=2.0**24
            ),
        )
    y = {**Y, "pay": 300 * Y["pay"]}
    history = model.fit(dict(X), y, epochs=40, verbose=0).history
    assert int(model.optimizer.iterations) < 40 and model.optimizer.dynamic_scale < 2.0**24
    assert history["click_loss"][-1] < history["click_loss"][0] or method in ("fixed", "dwa")
    assert all(np.isfinite(weight.numpy()).all() for weight in model.weights)


def test_epoch_means_weigh_batches_by_their_labels():
    model = built()
    wanted = {task: loss for task, (loss, _) in separate(model).items()}
    logs = model.evaluate(dict(X), Y, batch_size=2, verbose=0, return_dict=True)
    np.testing.assert_allclose(logs["pay_loss"], wanted["pay"], rtol=1e-5)
    np.testing.assert_allclose(logs["loss"], sum(wanted.values()), rtol=1e-5)


def test_fixed_weights():
    for weighting in ([2.0, 0.25], {"pay": 0.25, "click": 2.0}):
        model = built(loss_weighting=weighting)
        of = separate(model)
        logs = model.evaluate(dict(X), Y, verbose=0, return_dict=True)
        np.testing.assert_allclose(
            logs["loss"], 2 * of["click"][0] + 0.25 * of["pay"][0], rtol=1e-5
        )
        np.testing.assert_allclose(logs["pay_loss"], of["pay"][0], rtol=1e-5)
        model.compile("adam", loss_weights={"pay": 2.0})  # they stay, and these come on top
        logs = model.evaluate(dict(X), Y, verbose=0, return_dict=True)
        np.testing.assert_allclose(
            logs["loss"], 2 * of["click"][0] + 0.5 * of["pay"][0], rtol=1e-5
        )


class Batches(keras.utils.PyDataset):
    """Labels (B,), as a generator gives them."""

    def __len__(self):
        return 2

    def __getitem__(self, place):
        rows = slice(3 * place, 3 * place + 3)
        return (
            {name: values[rows] for name, values in X.items()},
            {task: values[rows] for task, values in Y.items()},
        )


def test_labels_of_one_axis_from_anywhere():
    model = built()
    wanted = model.evaluate(dict(X), Y, batch_size=3, verbose=0, return_dict=True)
    got = model.evaluate(Batches(), verbose=0, return_dict=True)
    for name, value in wanted.items():
        np.testing.assert_allclose(got[name], value, rtol=1e-5, err_msg=name)
    model.fit(Batches(), epochs=1, verbose=0, validation_data=Batches())


def test_losses_of_rows_and_of_numbers():
    model = built()
    wanted = {task: loss for task, (loss, _) in separate(model).items()}
    model.compile("adam", loss={"click": "binary_crossentropy",
                                "pay": lambda y, p: tf.square(y - p)})  # fmt: skip
    logs = model.evaluate(dict(X), Y, verbose=0, return_dict=True)
    np.testing.assert_allclose(logs["pay_loss"], wanted["pay"], rtol=1e-5)
    model.compile("adam", loss={"click": "binary_crossentropy",
                                "pay": lambda y, p: tf.reduce_mean(y - p)})  # fmt: skip
    with pytest.raises(ValueError, match="'pay' gives one number a batch"):
        model.evaluate(dict(X), Y, verbose=0)


def test_one_task_is_a_model_of_one_output():
    model = SharedBottom(COLUMNS, task_names=["click"], **SIZES)
    assert model.loss_balance is None
    history = model.fit(dict(X), LABELS, epochs=2, verbose=0).history
    assert set(history) == {"loss", "auc"}
    assert model.predict(dict(X), verbose=0).shape == (6, 1)


def test_labels_as_a_data_frame():
    import pandas as pd

    frame = pd.DataFrame(Y)
    model = built()
    wanted = model.evaluate(dict(X), Y, verbose=0)
    np.testing.assert_allclose(model.evaluate(dict(X), frame, verbose=0), wanted, rtol=1e-6)
    model.fit(dict(X), frame, sample_weight=frame.notna() * 1.0, validation_split=0.34, verbose=0)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_pcgrad_step(jit_compile):
    model = built(loss_weighting=PCGrad(seed=1))
    payments = model.predict(dict(X), verbose=0)["pay"][:, 0]
    for error in (-2.0, 2.0):  # one of them turns the gradient of "pay" against that of "click"
        y = {"click": LABELS, "pay": payments + error}
        of = separate(model, y=y)
        one, two = of["click"][1], of["pay"][1]
        shared = [i for i in range(len(one)) if one[i] is not None and two[i] is not None]
        flat = [np.concatenate([g[i].ravel() for i in shared]) for g in (one, two)]
        if flat[0] @ flat[1] < 0:
            break
    assert flat[0] @ flat[1] < 0, "the tasks of this test must conflict"
    wanted = pcgrad(flat, [[1], [0]])
    got = step_of(model, y, jit_compile)
    np.testing.assert_allclose(
        np.concatenate([got[i].ravel() for i in shared]), wanted, atol=1e-5
    )
    for i, (a, b) in enumerate(zip(one, two, strict=True)):
        if i not in shared:
            np.testing.assert_allclose(got[i], a if b is None else b, atol=1e-5)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_meta_balance_step(jit_compile):
    model = built(loss_weighting=MetaBalance(0.6))
    of = separate(model)
    got = step_of(model, jit_compile=jit_compile)
    for change, main, other in zip(got, of["click"][1], of["pay"][1], strict=True):
        if main is None or other is None:
            wanted = other if main is None else main
        else:
            norms = [np.linalg.norm(main), np.linalg.norm(other)]
            _, factors = meta_balance([0.0, 0.0], norms, 0.6, 0.9, "both")
            wanted = main + factors[1] * other
        np.testing.assert_allclose(change, wanted, atol=1e-5)


def test_grad_norm_reads_the_last_shared_layer():
    model = built(loss_weighting=GradNorm(1.0))
    of = separate(model)
    paths = [weight.path for weight in model.trainable_weights]
    places = [paths.index("bottom/dense_0/kernel"), paths.index("bottom/dense_0/bias")]
    norms = [
        np.sqrt(sum(np.sum(np.square(g[i])) for i in places)) for _, g in of.values()
    ]
    seen = []
    balance = model.loss_balance
    observe = balance.observe
    def noted(losses, present, norms):
        seen.append((losses, norms))
        observe(losses, present, norms)

    balance.observe = noted
    model.compile(keras.optimizers.SGD(1.0), metrics=[], run_eagerly=True)
    model.train_on_batch(dict(X), Y)
    np.testing.assert_allclose(seen[0][0], [loss for loss, _ in of.values()], rtol=1e-5)
    np.testing.assert_allclose(seen[0][1], norms, rtol=1e-4)
    np.testing.assert_allclose(np.sum(balance.task_weights), 2.0, rtol=1e-6)
    np.testing.assert_allclose(balance.first_losses, [loss for loss, _ in of.values()], rtol=1e-5)


def test_grad_norm_without_a_shared_layer_reads_the_tables():
    model = SharedBottom(COLUMNS, hidden_units=(), loss_weighting="gradnorm")
    assert all(name.startswith("embedding") for name in model.loss_balance.shared_layers)
    model.fit(dict(X), {"ctr": LABELS, "cvr": LABELS}, epochs=2, verbose=0)
    assert np.isfinite(model.loss_balance.task_weights).all()


def test_penalties_are_added_as_they_are():
    """Whatever the tasks weigh, the gradient of a penalty is not scaled."""
    changes = []
    for penalty in (0.0, 0.5):
        model = built(loss_weighting=MetaBalance(1.0))
        variable = model.get_layer("bottom").blocks[0][0].kernel
        variable.regularizer = keras.regularizers.L2(penalty) if penalty else None
        kernel = variable.numpy()
        paths = [weight.path for weight in model.trainable_weights]
        changes.append(step_of(model)[paths.index("bottom/dense_0/kernel")])
    np.testing.assert_allclose(changes[1] - changes[0], 2 * 0.5 * kernel, atol=1e-5)


@pytest.mark.parametrize("method", sorted(LOSS_WEIGHTINGS))
def test_every_method_trains_under_xla_and_half_precision_and_resumes(method, tmp_path):
    def trained(policy, eagerly=False, **options):
        keras.utils.set_random_seed(3)
        with dtype_policy(policy):
            model = MMoE(COLUMNS, **TASKS, loss_weighting=method, expert_units=(4,),
                         task_hidden_units=(3,), **options)  # fmt: skip
        model.run_eagerly = eagerly
        history = model.fit(dict(X), Y, batch_size=3, epochs=3, shuffle=False, verbose=0)
        return model, history.history["loss"]

    model, plain = trained("float32", eagerly=True)
    assert plain[-1] < plain[0]
    compiled, losses = trained("float32", jit_compile=True)
    assert compiled.jit_compile is True
    np.testing.assert_allclose(losses, plain, rtol=1e-4)
    _, losses = trained("mixed_bfloat16", eagerly=True)
    np.testing.assert_allclose(losses, plain, rtol=0.05)

    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    again.run_eagerly = True
    for one, two in zip(model.loss_balance.weights, again.loss_balance.weights, strict=True):
        np.testing.assert_array_equal(one, two)
    more = [
        m.fit(dict(X), Y, batch_size=3, epochs=2, shuffle=False, verbose=0).history["loss"]
        for m in (model, again)
    ]
    np.testing.assert_allclose(more[0], more[1], rtol=1e-6)


def test_a_loud_task_no_longer_drowns_a_quiet_one():
    """A regression in the thousands against a click; the fixed sum learns nothing of the click."""
    generator = np.random.default_rng(0)
    rows = 512
    x = {name: generator.integers(0, size, rows) for name, size in
         (("user", 5), ("item", 4), ("city", 3))}  # fmt: skip
    x["price"] = generator.normal(size=(rows, 2)).astype("float32")
    y = {
        "quiet": (x["price"][:, 0] + 0.5 * generator.normal(size=rows) > 0).astype("float32"),
        "loud": 20 * generator.normal(size=rows) + 20 * x["user"],
    }

    def quiet_loss(method):
        keras.utils.set_random_seed(1)
        model = SharedBottom(
            COLUMNS, task_names=("quiet", "loud"), task_types=("binary", "regression"),
            hidden_units=(4,), activation="tanh", task_hidden_units=(), loss_weighting=method,
            optimizer=keras.optimizers.Adam(0.02), metrics=[],
        )
        history = model.fit(x, y, batch_size=64, epochs=10, verbose=0).history
        return history["quiet_loss"][-1], model.loss_balance

    fixed, _ = quiet_loss("fixed")
    assert fixed > 0.67
    for method in (GradNorm(1.0, learning_rate=0.1), MetaBalance(1.0), PCGrad(seed=0)):
        balanced, _ = quiet_loss(method)
        assert balanced < fixed - 0.04, f"{type(method).__name__}: {balanced} against {fixed}"
    _, balance = quiet_loss("uncertainty")  # its Adam needs more steps than these to end
    assert balance.log_variances.numpy()[1] > 1 > balance.log_variances.numpy()[0]


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ({"click": LABELS}, "y lacks the task 'pay'"),
        ({**Y, "buy": LABELS}, "y names 'buy'; the tasks are"),
        ({**Y, "click": 2 * LABELS}, r"y\['click'\] is 2 in row 0, outside 0..1"),
        ({**Y, "pay": [1, 2, np.inf, 1, 1, 1]}, r"y\['pay'\] holds infinity in row 2"),
        ({**Y, "pay": np.ones((6, 2))}, r"y\['pay'\] has 2 columns"),
    ],
)
def test_label_errors(y, message):
    with pytest.raises(ValueError, match=message):
        built().fit(dict(X), y, verbose=0)


def test_classes_outside_their_range():
    model = SharedBottom(COLUMNS, task_names=["kind", "pay"], task_types=[3, "regression"], **SIZES)
    with pytest.raises(ValueError, match=r"is 3 in row 1, outside the classes 0..2"):
        model.fit(dict(X), {"kind": [0, 3, 1, 1, 1, 1], "pay": Y["pay"]}, verbose=0)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 3, 1, 1, 1, 1], "y is 3 in row 1, outside the classes 0..2"),
        ([0, 1, -1, 1, 1, 1], "y is -1 in row 2, outside the classes 0..2"),
        ([0, 1, 2, 0.5, 1, 1], "y is 0.5 in row 3, outside the classes 0..2"),
        ([0, 1, 2, NAN, 1, 1], "NaN or infinity in row 3"),
    ],
)
def test_classes_of_a_single_task_outside_their_range(labels, message):
    model = SharedBottom(COLUMNS, task_names=["kind"], task_types=[3], **SIZES)
    with pytest.raises(ValueError, match=f"shared_bottom.fit: .*{message}"):
        model.fit(dict(X), labels, verbose=0)
    model.fit(dict(X), [0, 1, 2, 0, 1, 2], verbose=0)


def test_a_class_that_the_loss_ignores():
    model = SharedBottom(COLUMNS, task_names=["kind"], task_types=[3], **SIZES)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(ignore_class=-1))
    loss = model.fit(dict(X), [0, 1, -1, 0, 1, 2], verbose=0).history["loss"][0]
    assert np.isfinite(loss)


def test_which_layers_count_as_shared():
    from deeprec_tf.models import AITM, ESMM, PLE

    def shared(model):
        return set(model.loss_balance.shared_layers)

    assert shared(MMoE(COLUMNS, num_experts=2)) == {"expert_0", "expert_1"}
    assert shared(PLE(COLUMNS, num_layers=2)) == {"level_1_shared_expert_0"}
    tables = {layer.name for layer in ESMM(COLUMNS).layers if layer.name.startswith("embedding")}
    for model in (ESMM(COLUMNS), AITM(COLUMNS), PLE(COLUMNS, num_shared_experts=0)):
        assert {name.rstrip("_0123456789") for name in shared(model)} == {
            name.rstrip("_0123456789") for name in tables
        }
    assert shared(ESMM(COLUMNS, hidden_units=(3,))) == {"bottom"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": {"click": "mse"}}, "loss has nothing for the task 'pay'"),
        ({"loss": {"buy": "mse"}}, "loss names 'buy'"),
        ({"loss": ["mse"]}, "loss has 1 entries for the tasks"),
        ({"loss_weights": {"buy": 1.0}}, "loss_weights names 'buy'"),
        ({"loss_weights": [1.0]}, "loss_weights has 1 entries for the tasks"),
        ({"loss_weights": {"pay": -1.0}}, "finite numbers from 0 on, got -1.0 for 'pay'"),
        ({"loss_weights": {"pay": "x"}}, "finite numbers from 0 on, got 'x' for 'pay'"),
        ({"metrics": {"buy": ["mae"]}}, "metrics names 'buy'"),
    ],
)
def test_compile_errors(options, message):
    with pytest.raises(ValueError, match=message):
        built().compile("adam", **options)


def test_compile_again_as_keras_has_it():
    model = built()
    model.compile(
        "adam", loss={"click": "binary_crossentropy", "pay": keras.losses.Huber()},
        loss_weights={"pay": 0.5}, metrics={"click": ["accuracy", keras.metrics.AUC(name="area")]},
    )
    logs = model.evaluate(dict(X), Y, verbose=0, return_dict=True)
    assert set(logs) == {"loss", "click_loss", "pay_loss", "click_accuracy", "click_area"}
    np.testing.assert_allclose(logs["loss"], logs["click_loss"] + 0.5 * logs["pay_loss"], rtol=1e-6)
    model.compile("adam", loss_weights=0.0)
    assert model.evaluate(dict(X), Y, verbose=0, return_dict=True)["loss"] == 0.0
    model.compile("adam", metrics=["mae"], loss_weights={})  # none but 1
    logs = model.evaluate(dict(X), Y, verbose=0, return_dict=True)
    error = np.abs(model.predict(dict(X), verbose=0)["pay"][:, 0] - Y["pay"])
    np.testing.assert_allclose(logs["pay_mae"], np.nanmean(error), rtol=1e-5)


def test_datasets_of_batches():
    model = built()
    dataset = tf.data.Dataset.from_tensor_slices((dict(X), Y)).batch(2)
    wanted = model.evaluate(dict(X), Y, batch_size=2, verbose=0, return_dict=True)
    got = model.evaluate(dataset, verbose=0, return_dict=True)
    for name, value in wanted.items():
        np.testing.assert_allclose(got[name], value, rtol=1e-5)
    model.fit(dataset, epochs=1, verbose=0)
    for labels, message in (({"click": LABELS}, "must be a dict with"), (LABELS, "must be a dict")):
        broken = tf.data.Dataset.from_tensor_slices((dict(X), labels)).batch(2)
        for call in (model.fit, model.evaluate):
            where = f"{model.name}.{call.__name__}: the data set's labels {message}"
            with pytest.raises(ValueError, match=where):
                call(broken, verbose=0)
        predictions = model.predict(broken, verbose=0), model.predict(dict(X), verbose=0)
        np.testing.assert_allclose(predictions[0]["pay"], predictions[1]["pay"], rtol=1e-6)
    weights = {"PAY": np.ones(6)}
    broken = tf.data.Dataset.from_tensor_slices((dict(X), Y, weights)).batch(2)
    with pytest.raises(ValueError, match="sample_weight names 'PAY'"):
        model.fit(broken, verbose=0)


def test_weight_errors():
    with pytest.raises(ValueError, match=r"sample_weight has the shape \(6, 2\)"):
        built().fit(dict(X), Y, sample_weight=np.ones((6, 2)), verbose=0)
    for call in (built().train_on_batch, built().test_on_batch):
        with pytest.raises(ValueError, match=f"{call.__name__}: sample_weight holds NaN"):
            call(dict(X), Y, sample_weight=np.full(6, NAN))
    for weights in (1.0, np.float32(2), {"pay": 1.0}):
        with pytest.raises(ValueError, match="fit: sample_weight is the single value .*one weight"):
            built().fit(dict(X), Y, sample_weight=weights, verbose=0)
    for weights in (["a"] * 6, {"pay": ["a"] * 6}):
        with pytest.raises(TypeError, match="fit: sample_weight must hold numbers, got dtype <U1"):
            built().fit(dict(X), Y, sample_weight=weights, verbose=0)


def test_none_among_weights_is_no_weights():
    model, weights = built(), np.arange(6.0)
    wanted = model.evaluate(dict(X), Y, sample_weight={"click": weights}, verbose=0)
    with_none = {"click": weights, "pay": None}
    np.testing.assert_allclose(
        model.evaluate(dict(X), Y, sample_weight=with_none, verbose=0), wanted, rtol=1e-6
    )
    np.testing.assert_allclose(
        model.evaluate(dict(X), Y, sample_weight={"click": None}, verbose=0),
        model.evaluate(dict(X), Y, verbose=0), rtol=1e-6,
    )  # fmt: skip
    model.fit(dict(X), Y, sample_weight=with_none, validation_split=0.5, verbose=0)


def test_none_among_labels_is_a_task_that_lacks():
    for call in (built().fit, built().evaluate, built().test_on_batch):
        quiet = {} if call.__name__ == "test_on_batch" else {"verbose": 0}
        with pytest.raises(ValueError, match=rf"{call.__name__}: y lacks the task 'pay'"):
            call(dict(X), {"click": LABELS, "pay": None}, **quiet)
    with pytest.raises(ValueError, match="y lacks the task 'pay'"):
        built().fit(dict(X), {"click": LABELS, "pay": None}, validation_split=0.5, verbose=0)
    for single in (1.0, np.array(1.0)):
        with pytest.raises(ValueError, match=r"y\['pay'\] is the single value .* one label a row"):
            built().evaluate(dict(X), {"click": LABELS, "pay": single}, verbose=0)
    model = SharedBottom(COLUMNS, task_names=["click"], **SIZES)
    with pytest.raises(ValueError, match=r"fit: y is the single value 1\. Give one label a row"):
        model.fit(dict(X), 1, verbose=0)


def test_metrics_without_labels_are_nan():
    from deeprec_tf.models import ESMM

    y = {"ctr": LABELS, "ctcvr": LABELS}
    dataset = tf.data.Dataset.from_tensor_slices((dict(X), y)).batch(3)
    model = ESMM(COLUMNS)
    for data in ((dict(X), y), (dataset,)):
        stop = keras.callbacks.EarlyStopping("val_cvr_auc", mode="max", patience=1)
        history = model.fit(
            *data, validation_data=data[0] if len(data) == 1 else data, epochs=3, verbose=0,
            callbacks=[stop],
        ).history
        assert np.isnan(history["cvr_auc"]).all() and np.isnan(history["val_cvr_auc"]).all()
        assert np.isfinite([history["ctr_auc"], history["ctcvr_auc"], history["loss"]]).all()
        assert 1 <= len(history["loss"]) < 3


def test_weights_of_numpy_and_a_loss_that_sums():
    one = built(loss_weighting=np.array([1.0, 0.5]))
    other = built(loss_weighting=[1.0, 0.5])
    assert one.evaluate(X, Y, verbose=0) == other.evaluate(X, Y, verbose=0)
    one.compile("sgd", loss_weights={"click": np.float32(1), "pay": np.float32(0.5)})
    losses = {task: keras.losses.MeanSquaredError(reduction="sum") for task in Y}
    with pytest.raises(ValueError, match="the loss of 'click' has reduction='sum', but a task's"):
        one.compile("sgd", loss=losses)
