"""What every model must do. A check takes a `Subject` and raises AssertionError."""

import contextlib
import doctest
import importlib
import inspect
import itertools
import re
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import deeprec_tf
from deeprec_tf.dense_part import forward_and_back
from deeprec_tf.engine import ROW_LOSS, RecModel
from deeprec_tf.evaluation import look_inside
from deeprec_tf.features import VarLenSparseFeat, input_specs
from deeprec_tf.graph import explainable_calls
from deeprec_tf.layers import BatchItems, CodeTokens, PredictionLayer, SampledItems
from deeprec_tf.layers.core.draws import DrawingLayer
from deeprec_tf.tables import set_table_values, table_values
from tests.contract.data import MAXLEN, ROWS, STEPS, lengthened, train, without_steps
from tests.docstrings import argument_problems

COMPILE_ARGUMENTS = ("optimizer", "loss", "metrics", "jit_compile", "name")
MOST_HYPERPARAMETERS = 12


# ---- helpers -----------------------------------------------------------------------------


def tensors(batch):
    return {name: tf.constant(array) for name, array in batch.items()}


def predictions(model, batch):
    """Output by name, float32 arrays, from a plain call; a recall model's without its losses."""
    with state_kept(model):
        return _arrays(model, model(clean(model, batch), training=False))


def _arrays(model, output):
    if model.has_row_loss:
        output = {name: value for name, value in output.items() if name != ROW_LOSS}
    output = output if isinstance(output, dict) else {"output": output}
    return {name: np.asarray(value) for name, value in output.items()}


def clean(model, batch):
    """Arrays as the model's input path hands them on."""
    return tensors(deeprec_tf.check_batch(model.feature_columns, batch))


def lifted(model, labels):
    """Labels as the model's input path hands them on."""
    return tf.nest.map_structure(tf.constant, model._labels("contract", labels))


def loss_of(model, batch, labels, training):
    """The whole loss, auxiliary parts included."""
    x, y = clean(model, batch), lifted(model, labels)
    with state_kept(model):
        value = model.compute_loss(x, y, model(x, training=training), None, training=training)
    return float(value)


@contextlib.contextmanager
def state_kept(model):
    """Puts moving averages and the state of random draws back at the end."""
    before = [np.array(weight) for weight in model.non_trainable_variables]
    try:
        yield
    finally:
        for weight, old in zip(model.non_trainable_variables, before, strict=True):
            weight.assign(old)


def assert_close(got, wanted, tolerance, what):
    assert got.keys() == wanted.keys(), f"{what}: outputs {sorted(got)} against {sorted(wanted)}"
    for name in wanted:
        worst = np.max(np.abs(np.asarray(got[name], "float64") - wanted[name]))
        assert worst <= tolerance, f"{what}: {name} differs by {worst:.2g}"


@contextlib.contextmanager
def dtype_policy(policy):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


# TensorFlow has no variables of these on a GPU.
HOST_DTYPES = ("int8", "int16", "int32", "uint8", "uint16")


# ---- checks ------------------------------------------------------------------------------


def check_build(subject):
    """Compiled; named inputs and outputs; float32 outputs without a mask."""
    model = subject.model
    assert isinstance(model, RecModel), "the builder must return a RecModel"
    assert model.compiled and model.optimizer is not None, "the model is not compiled"
    specs = input_specs(subject.used_columns)
    assert isinstance(model.input, dict), "inputs must be a dict by name"
    assert set(model.input) == set(specs), f"inputs {sorted(model.input)} are not the columns'"
    for name, tensor in model.input.items():
        assert tensor.name == name, f"the input {name!r} is named {tensor.name!r}"
        shape = (None, *specs[name].shape)
        assert tensor.shape == shape, f"the input {name!r} has shape {tensor.shape}, not {shape}"
    heads = [layer.output for layer in model.layers if isinstance(layer, PredictionLayer)]
    assert heads, "no PredictionLayer: exports find no place to cut"
    for output in keras.tree.flatten(model.outputs) + heads:
        assert output.dtype == "float32", f"an output is {output.dtype}, not float32"
        mask = getattr(output, "_keras_mask", None)
        assert mask is None, "an output carries a mask: Keras would leave rows out of the loss"
    for task, value in predictions(model, subject.batch()).items():
        kind = (subject.tasks or {}).get(task)
        wanted = (ROWS, kind if isinstance(kind, int) else 1)
        assert value.shape == wanted, f"predictions have shape {value.shape}"
        assert np.isfinite(value).all(), "predictions are not finite"
        assert np.ptp(value) > 0, "predictions do not depend on the inputs"
    for variable in [*model.variables, *model.optimizer.variables]:
        assert variable.dtype not in HOST_DTYPES, (
            f"{variable.path} is {variable.dtype}: it would lie in the host's memory, where a step "
            "that is compiled for a GPU cannot read it; see layers/core/constants.py"
        )


def check_fit(subject):
    """The loss on one fixed batch at least halves in 100 steps of Adam at 0.01."""
    _, losses = subject.trained()
    assert np.isfinite(losses).all(), "the loss is not finite"
    assert losses[-1] <= losses[0] / 2, f"the loss went from {losses[0]:.3f} to {losses[-1]:.3f}"


def check_saved_model(subject, path):
    """The inference cut as a SavedModel agrees to 1e-6, at other batch sizes and lengths."""
    from deeprec_tf.export import export_saved_model

    model = subject.lively
    export_saved_model(model, str(path))
    found = sorted(path.rglob("saved_model.pb"))
    assert found, "no SavedModel was written"
    loaded = tf.saved_model.load(str(found[-1].parent))
    serve = loaded.signatures["serving_default"]
    wanted = serve.structured_input_signature[1]
    for what, inputs in _serving_inputs(model, subject):
        assert set(wanted) == set(inputs), f"the signature takes {sorted(wanted)}"
        got = serve(**{n: tf.cast(v, wanted[n].dtype) for n, v in tensors(inputs).items()})
        assert_close(got, _inference(model, inputs), 1e-6, f"SavedModel{what}")


def check_onnx(subject, path):
    """The inference cut in onnxruntime agrees to 1e-5, at other batch sizes and lengths."""
    import onnxruntime

    from deeprec_tf.export import export_onnx

    model = subject.lively
    file = path / "model.onnx"
    export_onnx(model, str(file))
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    wanted = {entry.name: entry.type for entry in session.get_inputs()}
    kinds = {"tensor(int32)": "int32", "tensor(int64)": "int64", "tensor(float)": "float32"}
    names = [entry.name for entry in session.get_outputs()]
    for what, inputs in _serving_inputs(model, subject):
        assert set(wanted) == set(inputs), f"the ONNX model takes {sorted(wanted)}"
        values = session.run(names, {n: inputs[n].astype(kinds[wanted[n]]) for n in wanted})
        got = dict(zip(names, values, strict=True))
        assert_close(got, _inference(model, inputs), 1e-5, f"ONNX{what}")


def _serving_inputs(model, subject):
    """Inputs of the inference cut by what to say of them: longer than in training, and empty."""
    from deeprec_tf.export import inference_model

    batch = subject.batch(rows=ROWS - 5, steps=STEPS + 2, seed=1)
    names = inference_model(model).input
    empty = without_steps(subject.columns, batch)
    return [
        (what, {name: array[name] for name in names})
        for what, array in (("", batch), (" without a step", empty))
    ]


def _inference(model, inputs):
    from deeprec_tf.export import inference_model

    kept = [column for column in model.feature_columns if column.name in inputs]
    arrays = deeprec_tf.check_batch(kept, inputs)
    values = inference_model(model)(tensors(arrays))
    return {name: np.asarray(value) for name, value in values.items()}


def check_xla(subject):
    """`jit_compile=True` trains, agrees, and stays on."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras warns where it turns the compiler off; we fail
        model = subject.build(
            optimizer=keras.optimizers.Adam(0.01), metrics=[], jit_compile=True
        )
    assert model.jit_compile is True, "Keras turned jit_compile off: a layer does not support it"
    _, plain = subject.trained()
    batch, labels = subject.batch(), subject.labels()
    if any(isinstance(layer, DrawingLayer) and layer.seed_generator for layer in model.layers):
        # XLA draws other random numbers, so it is the losses without them that must agree.
        same = model
        if any(isinstance(layer, SampledItems) for layer in model.layers):
            same = subject.build(metrics=[], jit_compile=True, negatives="all")
        plain = [loss_of(same, batch, labels, training=False)]
        losses = [float(same.test_on_batch(batch, labels, return_dict=True)["loss"])]
        assert np.isfinite(train(model, batch, labels, 2)).all(), "the loss is not finite"
    else:
        losses = train(model, batch, labels, 2)
    worst = np.max(np.abs(np.array(losses) - plain[:2]) / np.abs(plain[:2]))
    assert worst <= 1e-4, f"losses under XLA are {losses}, without {plain[:2]}"
    got = model.predict_on_batch(subject.batch())
    wanted = predictions(model, subject.batch())
    got = got if isinstance(got, dict) else dict.fromkeys(wanted, got)
    assert_close(got, wanted, 1e-5, "XLA")


def check_mixed_precision(subject):
    """mixed_bfloat16 trains and is finite, also for users without behaviors; float32 comes out."""
    with dtype_policy("mixed_bfloat16"):
        model = subject.build(optimizer=keras.optimizers.Adam(0.01), metrics=[])
    model.run_eagerly = True
    batch, labels = subject.batch(), subject.labels()
    losses = train(model, batch, labels, 2)
    losses += train(model, subject.batch(empty=True), labels, 1)
    assert np.isfinite(losses).all(), f"losses are {losses}"
    for weight in model.weights:
        assert np.isfinite(weight.numpy()).all(), f"{weight.path} is not finite"
    for inputs in (batch, subject.batch(empty=True)):
        for name, value in predictions(model, inputs).items():
            assert value.dtype == "float32", f"{name} is {value.dtype}, not float32"
            assert np.isfinite(value).all(), f"{name} is not finite"


def check_padding(subject):
    """Noise in row 0 of the sequences' tables and longer padding move no prediction, no loss."""
    model, batch, labels = subject.model, subject.batch(), subject.labels()
    wanted = _answers(model, batch, labels)
    longer = lengthened(subject.columns, batch, MAXLEN - STEPS)
    before = _padded_tables(subject)
    try:
        for (name, linear), old in before.items():
            noisy = old.copy()
            noisy[0] = np.random.default_rng(1).normal(size=old.shape[1]) * 3
            set_table_values(model, name, noisy, linear=linear)
        got = _answers(model, {name: longer[name] for name in batch}, labels)
        _same_answers(got, wanted, "longer padding, noise in row 0")
    finally:
        for (name, linear), old in before.items():
            set_table_values(model, name, old, linear=linear)


def _padded_tables(subject):
    """Tables of sequences, and linear weights, by name and whether they are linear weights."""
    tables = {}
    names = {c.embedding_name for c in subject.used_columns if isinstance(c, VarLenSparseFeat)}
    optional = set()
    if any(isinstance(layer, CodeTokens) for layer in subject.model.layers):
        optional = {"item_id", "tokens"}  # items may have no vectors: their codes have
        names |= {"item_codes", *optional}
    for key in itertools.product(sorted(names), (False, True)):
        with contextlib.suppress(KeyError):  # the model has no table of this kind
            tables[key] = table_values(subject.model, key[0], linear=key[1])
    if any(layer.name == "item_tokens" for layer in subject.model.layers):
        names.discard("item_id")  # an item is its text
    missing = names.difference(optional, (name for name, _ in tables))
    assert not missing, f"the model has no table of the sequences {sorted(missing)}"
    return tables


def _answers(model, batch, labels):
    x, y = clean(model, batch), lifted(model, labels)
    with state_kept(model):
        output = model(x, training=False)
        answers = _arrays(model, output)
        if any(_draws_by_shape(layer) for layer in model.layers):
            return answers  # longer padding takes more draws, so other ones fall on the real steps
        answers["loss"] = np.asarray(model.compute_loss(x, y, output, None, training=False))
    answers["training loss"] = loss_of(model, batch, labels, training=True)
    return answers


def _draws_by_shape(layer):
    return isinstance(layer, BatchItems) or (isinstance(layer, SampledItems) and layer.each)


def _same_answers(got, wanted, what):
    assert_close(got, wanted, 2e-6, what)


def check_batch_order(subject):
    """Permuted rows give permuted predictions, and a row alone equals the row in the batch."""
    model, batch = subject.model, subject.batch()
    whole = predictions(model, batch)
    order = np.random.default_rng(3).permutation(ROWS)
    permuted = predictions(model, {name: array[order] for name, array in batch.items()})
    assert_close(permuted, {n: v[order] for n, v in whole.items()}, 2e-6, "permuted rows")
    for row in (0, 1, ROWS - 1):
        alone = predictions(model, {name: array[row : row + 1] for name, array in batch.items()})
        single = {n: v[row : row + 1] for n, v in whole.items()}
        assert_close(alone, single, 2e-6, f"row {row} alone")


def check_inside(subject):
    """One call gives finite weights, of a row alone as in the batch, and every column's part."""
    model, x = subject.lively, subject.batch()
    labels = None if model.has_row_loss else subject.labels()  # what it predicts is no probability
    if subject.tasks is not None:
        labels = {task: labels[task] for task, kind in subject.tasks.items() if kind == "binary"}
    if labels is None and not explainable_calls(model):
        with pytest.raises(ValueError, match="no layer that weighs its inputs"):
            look_inside(model, x)
        return
    whole = look_inside(model, x, labels, repeats=1)
    alone = look_inside(model, x, labels, repeats=1, batch_size=1)
    assert set(whole.layers) == {call.name for call in explainable_calls(model)}
    for name, arrays in whole.layers.items():
        for word, array in arrays.items():
            what = f"{name}: {word}"
            assert np.isfinite(array).all(), f"{what} is not finite"
            assert (name, word) not in whole.per_row or len(array) == ROWS, f"{what}: rows"
            assert_close({what: alone.layers[name][word]}, {what: array}, 1e-5, "alone")
    if labels is None:
        return
    losses = whole.importance.filter(regex="(auc_drop|log_loss_rise)$")
    assert np.isfinite(losses.to_numpy()).all() and losses.any(axis=None), "no column counts"


def check_seed(subject):
    """One seed twice gives equal weights and losses; another seed gives other weights."""
    runs = []
    for seed in (3, 3, 4):
        model = subject.build(seed=seed, metrics=[])
        model.run_eagerly = True
        start = [weight.numpy() for weight in model.weights]
        steps = 2 if seed == 3 else 0
        runs.append((start, train(model, subject.batch(), subject.labels(), steps)))
    (first, losses), (second, again), (other, _) = runs
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True)), (
        "two builds from one seed start from different weights"
    )
    assert losses == again, f"one seed gave the losses {losses} and {again}"
    assert any(not np.array_equal(a, b) for a, b in zip(first, other, strict=True)), (
        "the seed does not reach the weights"
    )


def check_gradient(subject):
    """Every trainable weight gets a finite gradient that is not zero."""
    model, batch = subject.model, subject.batch()
    x, y = clean(model, batch), lifted(model, subject.labels())
    with state_kept(model):
        gradients = forward_and_back(model, x, y, None).gradients
    for weight, gradient in zip(model.trainable_weights, gradients, strict=True):
        assert gradient is not None, f"{weight.path} has no gradient: nothing reads it"
        values = gradient.values if isinstance(gradient, tf.IndexedSlices) else gradient
        values = np.asarray(values)
        assert np.isfinite(values).all(), f"the gradient of {weight.path} is not finite"
        assert np.any(values != 0), f"the gradient of {weight.path} is zero"


def check_docs(subject):
    """Docstring and signature agree, every argument is used, and the example runs."""
    builder = subject.builder
    problems = argument_problems(builder)
    parameters = inspect.signature(builder).parameters
    keyword_only = [p for p in parameters.values() if p.kind is p.KEYWORD_ONLY]
    missing = [name for name in COMPILE_ARGUMENTS if name not in parameters]
    hyperparameters = [p.name for p in keyword_only if p.name not in COMPILE_ARGUMENTS]
    if missing:
        problems.append(f"compile arguments {missing} are missing")
    if len(hyperparameters) > MOST_HYPERPARAMETERS:
        problems.append(f"{len(hyperparameters)} hyperparameters, at most {MOST_HYPERPARAMETERS}")
    if any(p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL) for p in parameters.values()):
        problems.append("*args or **kwargs swallow misspelt arguments")
    for section in ("Returns:", "Raises:", "Example:", "References:"):
        if not re.search(rf"^\s*{section}", builder.__doc__ or "", re.M):
            problems.append(f"the docstring has no section {section!r}")
    assert not problems, "; ".join(problems)
    globs = {name: getattr(deeprec_tf, name) for name in deeprec_tf.__all__}
    globs |= vars(importlib.import_module(builder.__module__))
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    report = []
    for example in doctest.DocTestFinder().find(builder, builder.__name__, globs=globs):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            runner.run(example, out=report.append)
    assert runner.tries > 0, "the docstring has no example"
    assert not runner.failures, "".join(report)


# In the order of their cost. Those of FILES take a folder besides.
CHECKS = {
    "docs": check_docs,
    "build": check_build,
    "gradient": check_gradient,
    "padding": check_padding,
    "batch_order": check_batch_order,
    "inside": check_inside,
    "seed": check_seed,
    "mixed_precision": check_mixed_precision,
    "fit": check_fit,
    "xla": check_xla,
    "saved_model": check_saved_model,
    "onnx": check_onnx,
}
FILES = {"saved_model", "onnx"}
# What every variant of a model is put through; the rest is done once a model.
LIGHT = ("build", "gradient", "padding", "batch_order")
