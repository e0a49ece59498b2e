"""CatalogueLoss and RetrievalLoss: the loss of each row."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from deeprec_tf.layers import CatalogueLoss, RetrievalLoss
from deeprec_tf.layers.retrieval import _kernels
from deeprec_tf.losses import BCE, Softmax, Triplet
from tests.layers.contract import check_layer
from tests.reference import recall as twin

GENERATOR = np.random.default_rng(0)
ITEMS, WIDTH = 9, 4
TABLE = GENERATOR.normal(size=(ITEMS, WIDTH)).astype("float32")
ROW_LABELS = np.array([3, 8, 1, 3, 5], "int32")
STEP_LABELS = np.array([[2, 3, 8], [0, 0, 0], [1, 0, 0], [7, 7, 0]], "int32")


def queries_of(labels):
    return np.random.default_rng(1).normal(size=(*labels.shape, WIDTH)).astype("float32")


def in_graph(layer, *arguments, **options):
    """Values and the gradients of queries and of the last array, as `fit` computes them."""

    @tf.function
    def run(*arguments):
        with tf.GradientTape() as tape:
            tape.watch([arguments[0], arguments[-1]])
            losses = layer(*arguments, training=True, **options)
            total = tf.reduce_sum(losses * tf.range(1.0, losses.shape[0] + 1.0)[:, None])
        return losses, tape.gradient(total, [arguments[0], arguments[-1]])

    return run(*map(tf.constant, arguments))


@pytest.mark.parametrize("labels", [ROW_LABELS, STEP_LABELS])
def test_catalogue_loss(labels):
    queries = queries_of(labels)
    time_axes = (1,) if labels.ndim == 2 else ()
    layer = CatalogueLoss(0.5)
    got = check_layer(layer, queries, labels, TABLE, time_axes=time_axes)
    wanted = twin.catalogue_loss(queries, labels, TABLE.astype("float64"), 0.5)
    np.testing.assert_allclose(got[:, 0], wanted, rtol=1e-5)


def gradients_by_formula(queries, labels, weights):
    """In float64 by automatic differentiation: losses of rows, and the gradients of their sum."""
    with tf.GradientTape() as tape:
        q, items = tf.constant(queries, "float64"), tf.constant(TABLE, "float64")
        tape.watch([q, items])
        logits = tf.matmul(tf.reshape(q, (-1, WIDTH)), items[1:], transpose_b=True) / 0.5
        flat = labels.reshape(-1)
        each = tf.nn.sparse_softmax_cross_entropy_with_logits(np.maximum(flat - 1, 0), logits)
        each = tf.reshape(tf.where(flat > 0, each, 0.0), (len(labels), -1))
        share = 1.0 if labels.ndim == 1 else len(labels) / (labels > 0).sum()
        plain = tf.reduce_sum(each, axis=1) * share
        total = tf.reduce_sum(plain * weights)
    return plain, *tape.gradient(total, [q, items])


@pytest.mark.parametrize("labels", [ROW_LABELS, STEP_LABELS])
@pytest.mark.parametrize(("most_logits", "chunk"), [(1 << 20, 256), (17, 256), (1 << 20, 2)])
@pytest.mark.parametrize("weights", ["even", "of rows"])
@pytest.mark.parametrize("form", ["graph", "XLA", "without training"])
def test_the_gradient_by_hand_is_that_of_the_formula(
    labels, most_logits, chunk, weights, form, monkeypatch
):
    """In one chunk and in several, for one number behind all positions and for their own."""
    monkeypatch.setattr(_kernels, "CHUNK", chunk)
    passes, passed = [], _kernels._passed
    monkeypatch.setattr(_kernels, "_passed", lambda *x: passes.append(1) or passed(*x))
    queries = queries_of(labels)
    weight = np.arange(1.0, len(labels) + 1) if weights == "of rows" else np.full(len(labels), -0.7)
    layer = CatalogueLoss(0.5, most_logits=most_logits)

    @tf.function(jit_compile=form == "XLA")
    def run(queries, items):
        with tf.GradientTape() as tape:
            tape.watch([queries, items])
            losses = layer(queries, labels, items, training=form != "without training")
            total = tf.reduce_sum(losses[:, 0] * weight.astype("float32"))
        return losses, *tape.gradient(total, [queries, items])

    losses, of_queries, of_items = run(tf.constant(queries), tf.constant(TABLE))
    plain, wanted_queries, wanted_items = gradients_by_formula(queries, labels, weight)
    np.testing.assert_allclose(losses[:, 0], plain, rtol=1e-5)
    np.testing.assert_allclose(of_queries, wanted_queries, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(of_items, wanted_items, rtol=1e-4, atol=1e-6)
    assert len(passes) == 2, "one in the forward pass, one for the gradient where it is needed"


@pytest.mark.parametrize("rows", ["even", "with weights"])
def test_a_mean_over_positions_takes_one_pass(rows, monkeypatch):
    """A pass for the gradient would be infinite here."""
    passed = _kernels._passed

    def no_second(queries, items, weights, chunk):
        found = passed(queries, items, weights, chunk)
        if weights is None or weights.op.type == "Cast":  # of the positions that are real
            return found
        return found[0], *(part / 0.0 for part in found[1:])

    monkeypatch.setattr(_kernels, "_passed", no_second)
    queries = queries_of(STEP_LABELS)
    weight = np.ones(len(STEP_LABELS)) if rows == "even" else np.arange(1.0, len(STEP_LABELS) + 1)

    @tf.function
    def run(queries):
        with tf.GradientTape() as tape:
            tape.watch(queries)
            losses = CatalogueLoss()(queries, STEP_LABELS, TABLE, training=True)
            total = tf.reduce_mean(losses[:, 0] * weight.astype("float32"))
        return tape.gradient(total, queries)

    assert np.isfinite(run(tf.constant(queries))).all() == (rows == "even")


def test_no_position_at_all_has_no_gradient():
    labels = np.zeros_like(STEP_LABELS)
    losses, gradients = in_graph(CatalogueLoss(), queries_of(labels), labels, TABLE)
    assert not np.any(losses) and not any(np.any(gradient) for gradient in gradients)


def test_the_memory_of_a_large_catalogue_is_that_of_a_few_chunks():
    positions, items = 3000, 60_000
    command = [sys.executable, "-m", "tests.layers.retrieval.catalogue_memory_run"]
    run = subprocess.run(
        [*command, str(positions), str(items)], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert float(run.stdout) < positions * items * 4 / 2**20 / 3  # of 687 MB of logits


def test_large_logits_stay_finite():
    queries = queries_of(ROW_LABELS) * 1e4
    losses, (of_queries, _) = in_graph(CatalogueLoss(), queries, ROW_LABELS, TABLE)
    assert np.isfinite(losses).all() and np.isfinite(of_queries).all()


def sets_of(labels):
    """A shared set with a duplicate of a positive and padding, and one a position."""
    generator = np.random.default_rng(2)
    shared = np.array([3, 0, 4, 8, 6, 4], "int32")
    own = generator.integers(0, ITEMS, size=(*labels.shape, 3)).astype("int32")
    log_q = generator.normal(size=6).astype("float32")
    return [(shared, TABLE[shared], log_q), (own, TABLE[own])]


def as_twin(sets):
    return [(ids, vectors.astype("float64"), *(log_q or [None])) for ids, vectors, *log_q in sets]


SEEN = np.array([[4, 2], [0, 0], [6, 0], [0, 0], [8, 4]], "int32")


@pytest.mark.parametrize("labels", [ROW_LABELS, STEP_LABELS])
@pytest.mark.parametrize("loss", [Softmax(), BCE(), Triplet(0.3)])
@pytest.mark.parametrize(
    "options", [
        {}, {"seen": True}, {"hardest": [2, 1]}, {"similar": [0.3, None]},
        {"similar": [0.3, 0.5], "has_bias": True},
    ],
)  # fmt: skip
def test_retrieval_loss(labels, loss, options):
    queries, positives, sets = queries_of(labels), TABLE[labels], sets_of(labels)
    log_q = np.random.default_rng(3).normal(size=labels.shape).astype("float32")
    seen = SEEN[: len(labels)] if "seen" in options else None
    hardest = options.get("hardest", ())
    similar, has_bias = options.get("similar", ()), options.get("has_bias", False)
    layer = RetrievalLoss(loss, 0.5, hardest=hardest, similar=similar, has_bias=has_bias)
    functions = {
        "Softmax": twin.softmax_loss, "BCE": twin.bce,
        "Triplet": lambda p, n: twin.triplet(p, n, 0.3) if n else 0.0,
    }
    wanted = twin.retrieval_loss(
        functions[type(loss).__name__], queries.astype("float64"), positives.astype("float64"),
        labels, as_twin(sets), temperature=0.5, positive_log_q=log_q, seen=seen, hardest=hardest,
        similar=similar, has_bias=has_bias,
    )
    arguments = (queries, positives, labels, sets, log_q, seen)
    np.testing.assert_allclose(layer(*arguments)[:, 0], wanted, rtol=1e-4, atol=1e-6)
    for jit in (False, True):
        run = tf.function(lambda: layer(*arguments, training=True), jit_compile=jit)
        np.testing.assert_allclose(run()[:, 0], wanted, rtol=1e-4, atol=1e-6)


def test_the_batch_as_candidates_leaves_duplicates_of_the_positive_out():
    queries, positives = queries_of(ROW_LABELS), TABLE[ROW_LABELS]
    layer = RetrievalLoss(Softmax())
    got = layer(queries, positives, ROW_LABELS, [(ROW_LABELS, positives)])
    scores = queries @ positives.T
    scores[np.equal.outer(ROW_LABELS, ROW_LABELS) & ~np.eye(5, dtype=bool)] = -np.inf
    wanted = np.log(np.exp(scores).sum(axis=1)) - np.diag(scores)
    np.testing.assert_allclose(got[:, 0], wanted, rtol=1e-5)


def test_all_items_as_candidates_with_uniform_correction_are_the_full_softmax():
    queries = queries_of(ROW_LABELS)
    ids, log_q = np.arange(1, ITEMS, dtype="int32"), np.zeros(ITEMS - 1, "float32") - 2.0
    sampled = RetrievalLoss(Softmax())(
        queries, TABLE[ROW_LABELS], ROW_LABELS, [(ids, TABLE[ids], log_q)],
        positive_log_q=np.full(5, -2.0, "float32"),
    )
    np.testing.assert_allclose(sampled, CatalogueLoss()(queries, ROW_LABELS, TABLE), rtol=1e-5)


def test_temperature_comes_before_the_correction():
    query, item = np.ones((1, 1), "float32"), np.ones((1, 1), "float32")
    got = RetrievalLoss(Softmax(), 0.1)(
        query, item, np.array([1]), [(np.array([2]), item, np.array([5.0], "float32"))]
    )
    np.testing.assert_allclose(got, np.log1p(np.exp((10 - 5.0) - 10)), rtol=1e-3)


def test_learned_temperature():
    queries, positives = queries_of(ROW_LABELS), TABLE[ROW_LABELS]
    arguments = (queries, positives, ROW_LABELS, [(ROW_LABELS, positives)])
    layer = RetrievalLoss(Softmax(), "learned")
    np.testing.assert_allclose(
        layer(*arguments), RetrievalLoss(Softmax(), 0.1)(*arguments), rtol=1e-5
    )
    assert [weight.name for weight in layer.trainable_weights] == ["log_scale"]
    layer.log_scale.assign(6.0)  # held at a hundred, but not for good
    np.testing.assert_allclose(
        layer(*arguments), RetrievalLoss(Softmax(), 0.01)(*arguments), rtol=1e-4
    )
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(*arguments))
    assert np.asarray(tape.gradient(loss, layer.log_scale.value)) != 0
    layer.log_scale.assign(-2.0)  # and at one
    np.testing.assert_allclose(layer(*arguments), RetrievalLoss(Softmax())(*arguments), rtol=1e-5)
    logits = RetrievalLoss(BCE(), "learned")
    logits(*arguments)
    assert [weight.name for weight in logits.trainable_weights] == ["log_scale", "bias"]


def test_half_precision():
    labels = ROW_LABELS
    queries, sets = tf.cast(queries_of(labels), "bfloat16"), sets_of(labels)
    for layer in (
        RetrievalLoss(Softmax(), dtype="mixed_bfloat16"), CatalogueLoss(dtype="mixed_bfloat16"),
    ):
        arguments = (queries, labels, TABLE)
        if isinstance(layer, RetrievalLoss):
            arguments = (queries, TABLE[labels], labels, sets)
        assert layer(*arguments).dtype == tf.float32


def test_configuration():
    import keras

    layer = RetrievalLoss(Triplet(0.3), 0.2, hardest=[None, 2], name="row_loss")
    saved = keras.saving.serialize_keras_object(layer)
    again = keras.saving.deserialize_keras_object(saved)
    assert again.get_config() == layer.get_config() and again.loss == Triplet(0.3)


@pytest.mark.parametrize("layer", [CatalogueLoss, lambda t: RetrievalLoss(Softmax(), t)])
def test_errors(layer):
    with pytest.raises(ValueError, match="temperature must be above 0"):
        layer(0.0)


def test_a_temperature_of_numpy_is_a_number():
    layer = RetrievalLoss(Softmax(), np.float32(0.25))
    assert type(layer.temperature) is float and layer.temperature == 0.25
