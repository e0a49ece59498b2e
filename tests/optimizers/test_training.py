"""Row-sparse optimizers in training: whole models, what the traced step touches, saved state."""

import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
import tensorflow as tf

from deeprec_tf.layers.core.table_embedding import TableEmbedding
from deeprec_tf.optimizers import SparseAdagrad, SparseAdam, sum_repeated_rows
from tests.devices import cpu_only, sums_in_any_order

ROWS = 1009          # no other size in the model
GENERATOR = np.random.default_rng(0)
IDS = GENERATOR.integers(0, 40, (32, 5))
LABELS = GENERATOR.normal(size=(32, 1)).astype("float32")
SCHEDULE = keras.optimizers.schedules.CosineDecay(0.02, decay_steps=20)
OPTIMIZERS = {
    "adam": lambda: SparseAdam(0.02),
    "adam, all on rows": lambda: SparseAdam(
        SCHEDULE, amsgrad=True, weight_decay=0.1, global_clipnorm=0.1),
    "adagrad": lambda: SparseAdagrad(0.05),
    "adagrad, all on rows": lambda: SparseAdagrad(0.05, weight_decay=0.1, clipnorm=0.1),
}
optimizers = pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
all_on_rows = pytest.mark.parametrize(
    "make", [make for name, make in OPTIMIZERS.items() if "rows" in name], ids=["adam", "adagrad"])


def model(optimizer, *, jit_compile=False, layer=TableEmbedding, **table):
    keras.utils.set_random_seed(0)
    ids = keras.Input((5,), dtype="int32")
    vectors = layer(ROWS, 4, name="table", **table)(ids)
    built = keras.Model(ids, keras.layers.Dense(1)(keras.layers.Flatten()(vectors)))
    built.compile(optimizer, "mse", jit_compile=jit_compile)
    return built


def fit(built, epochs=2):
    history = built.fit(IDS, LABELS, batch_size=16, epochs=epochs, shuffle=False, verbose=0)
    return history.history["loss"]


def traced_step(built, jit_compile):
    def step(ids, labels):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(built(ids, training=True) - labels))
        gradients = tape.gradient(loss, built.trainable_variables)
        built.optimizer.apply(gradients, built.trainable_variables)

    built.optimizer.build(built.trainable_variables)
    step = tf.function(step, jit_compile=jit_compile)
    arguments = tf.constant(IDS[:16], tf.int32), tf.constant(LABELS[:16])
    return step, arguments


def operations_of_table_size(built, jit_compile):
    step, arguments = traced_step(built, jit_compile)
    return [
        operation.type
        for operation in step.get_concrete_function(*arguments).graph.get_operations()
        for output in operation.outputs
        if output.shape.rank and output.shape[0] == ROWS
    ]


@all_on_rows
def test_graph_and_xla_train_alike(make):
    weights = []
    for jit_compile in (False, True):
        built = model(make(), jit_compile=jit_compile)
        losses = fit(built, epochs=3)
        assert built.jit_compile is jit_compile
        assert losses[-1] < losses[0]
        weights.append(built.get_weights())
    for graph, xla in zip(*weights, strict=True):
        np.testing.assert_allclose(graph, xla, atol=1e-6)


@pytest.mark.parametrize("jit_compile", [False, True])
@optimizers
def test_no_operation_of_a_step_has_the_size_of_the_table(make, jit_compile):
    assert operations_of_table_size(model(make()), jit_compile) == []


def test_the_check_above_sees_whole_tables():
    keras_adam = operations_of_table_size(model(keras.optimizers.Adam()), False)
    keras_table = model(SparseAdam(), layer=keras.layers.Embedding)
    assert {"AddV2", "Sqrt", "RealDiv"} <= set(keras_adam)
    assert "ReadVariableOp" in operations_of_table_size(keras_table, False)


@optimizers
def test_the_compiled_step_is_static_and_copies_no_table(make):
    step, arguments = traced_step(model(make()), jit_compile=True)
    graph = step.get_concrete_function(*arguments).graph
    for operation in graph.get_operations():
        assert operation.type not in ("Unique", "Where")
        assert all(output.shape.is_fully_defined() for output in operation.outputs)
    program = step.experimental_get_compiler_ir(*arguments)(stage="optimized_hlo")
    of_table_size = [
        line for line in program.splitlines() if line.split("= ")[-1].startswith(f"f32[{ROWS},")
    ]
    assert any(" scatter(" in line for line in of_table_size)
    assert not any(" copy(" in line for line in of_table_size)


MANY = 5003          # rows of a table for which a batch is updated in blocks


def steps_on_many_rows(make, jit_compile):
    generator = np.random.default_rng(5)
    table = keras.Variable(generator.normal(size=(MANY, 4)).astype("float32"), name="table")
    optimizer = make()
    optimizer.build([table])

    @tf.function(jit_compile=jit_compile)
    def apply(ids, values):
        optimizer.apply([tf.IndexedSlices(values, ids, tf.constant([MANY, 4]))], [table])

    for highest in (3, 60, 2000, MANY, MANY):
        ids = tf.constant(generator.integers(0, highest, 3000), tf.int32)
        values = tf.constant(generator.normal(size=(3000, 4)), tf.float32)
        apply(ids, values)
    return [table.numpy(), *(variable.numpy() for variable in optimizer.variables)], (
        apply, (ids, values))


@cpu_only("XLA writes the loop otherwise")
@optimizers
def test_updates_in_blocks_are_those_of_graph_mode_and_copy_no_table(make):
    expected, _ = steps_on_many_rows(make, jit_compile=False)
    got, (step, arguments) = steps_on_many_rows(make, jit_compile=True)
    for one, two in zip(got, expected, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=2e-6)
    program = step.experimental_get_compiler_ir(*arguments)(stage="optimized_hlo")
    lines = [line.split("= ")[-1] for line in program.splitlines()]
    assert any(" while(" in line for line in lines)
    assert not any(line.startswith(f"f32[{MANY},") and " copy(" in line for line in lines)


@sums_in_any_order
@all_on_rows
def test_a_model_saved_in_the_middle_trains_on_to_the_same_weights(make, tmp_path):
    built = model(make())
    fit(built, epochs=1)
    built.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.optimizer.get_config() == built.optimizer.get_config()
    assert type(loaded.optimizer) is type(built.optimizer)
    fit(built, epochs=1)
    fit(loaded, epochs=1)
    for one, two in zip(built.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_frozen_table_stays_and_the_rest_trains():
    built = model(SparseAdam(0.05, weight_decay=0.1), trainable=False)
    before = built.get_weights()
    losses = fit(built)
    assert np.array_equal(built.get_weights()[0], before[0])
    assert losses[-1] < losses[0]
    assert len(built.optimizer.variables) == 2 + 2 * 2               # no moments of the table


def test_a_table_in_a_full_softmax_has_a_dense_gradient_and_trains():
    ids = keras.Input((5,), dtype="int32")
    table = TableEmbedding(ROWS, 4)
    user = keras.layers.GlobalAveragePooling1D()(table(ids))
    built = keras.Model(ids, user)
    optimizer = SparseAdam(0.01)
    before = table.embeddings.numpy()
    with tf.GradientTape() as tape:
        logits = built(IDS) @ tf.transpose(table.embeddings.value)
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(IDS[:, 0], logits))
    optimizer.apply(tape.gradient(loss, built.trainable_variables), built.trainable_variables)
    assert (table.embeddings.numpy() != before).all()


@sums_in_any_order
def test_seeds_give_equal_weights():
    one, two = model(SparseAdam(0.02)), model(SparseAdam(0.02))
    assert fit(one, epochs=1) == fit(two, epochs=1)
    for left, right in zip(one.get_weights(), two.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize("static_shapes", [False, True])
@pytest.mark.parametrize(
    "make", [keras.optimizers.RMSprop, keras.optimizers.Ftrl, keras.optimizers.AdamW],
    ids=lambda make: make.__name__,
)
def test_foreign_optimizers_are_right_once_rows_are_summed(make, static_shapes):
    ids, values = tf.constant([2, 5, 2, 2]), tf.random.normal((4, 3))
    slices = tf.IndexedSlices(values, ids, tf.constant([7, 3]))
    moved = []
    for gradient in (
        tf.convert_to_tensor(slices), sum_repeated_rows(slices, static_shapes=static_shapes), slices
    ):
        table = keras.Variable(tf.ones((7, 3)))
        optimizer = make(0.1)
        optimizer.build([table])
        for _ in range(3):
            optimizer.apply([gradient], [table])
        moved.append(table.numpy())
    dense, summed, repeated = moved
    np.testing.assert_allclose(summed, dense, atol=1e-6)
    assert np.abs(repeated - dense).max() > 1e-3                     # Keras's own error


MIRRORED = """
    import keras, numpy as np, tensorflow as tf
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    from tests.optimizers.test_training import fit, model
    from deeprec_tf.optimizers import SparseAdam
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    make = lambda: SparseAdam(0.02, weight_decay=0.1, loss_scale_factor=8.0)
    one = model(make())
    with strategy.scope():
        two = model(make())
    np.testing.assert_allclose(fit(one), fit(two), rtol=1e-5)
    for left, right in zip(one.get_weights(), two.get_weights(), strict=True):
        np.testing.assert_allclose(left, right, atol=1e-6)
"""


def test_two_replicas_train_as_one():
    """Ids of the two halves repeat each other; a process of its own, as a strategy needs."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(MIRRORED)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
