import keras
import numpy as np
import pytest
import tensorflow as tf

from deeprec_tf.optimizers import SparseAdam
from tests.reference import optimizers as twin

OPTIONS = {
    "plain": {},
    "amsgrad, other rates": {"amsgrad": True, "beta_1": 0.5, "beta_2": 0.3, "epsilon": 0.01},
    "weight decay": {"weight_decay": 0.5},
    "clipnorm": {"clipnorm": 0.7},
    "clipvalue": {"clipvalue": 0.3},
    "global_clipnorm": {"global_clipnorm": 0.9},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_lazy_adam_is_the_twin(options, tables, steps, train):
    got = train(SparseAdam(0.05, **options), tables, steps)
    expected = twin.adam(tables, steps, learning_rate=0.05, **options)
    for ours, theirs, start in zip(got, expected, tables, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-6)
        assert np.array_equal(ours[6], start[6])                         # never touched


@pytest.mark.parametrize("mode", ["graph"], indirect=True)
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_dense_adam_is_the_twin_and_keras_fed_dense_gradients(
    options, tables, steps, train, as_dense
):
    got = train(SparseAdam(0.05, lazy=False, **options), tables, steps)
    keras_adam = train(keras.optimizers.Adam(0.05, **options), tables, steps, as_dense)
    expected = twin.adam(tables, steps, learning_rate=0.05, lazy=False, **options)
    np.testing.assert_allclose(got, keras_adam, atol=3e-6)
    np.testing.assert_allclose(got, expected, atol=2e-6)


@pytest.mark.parametrize("options", [{}, {"amsgrad": True, "epsilon": 0.01}], ids=["", "amsgrad"])
def test_weights_with_dense_gradients_take_the_step_of_keras(
    options, tables, steps, train, as_dense
):
    got = train(SparseAdam(0.05, **options), tables, steps, as_dense)
    keras_adam = train(keras.optimizers.Adam(0.05, **options), tables, steps, as_dense)
    expected = twin.adam(tables, steps, learning_rate=0.05, lazy=False, **options)
    np.testing.assert_allclose(got, keras_adam, atol=3e-6)
    np.testing.assert_allclose(got, expected, atol=2e-6)


def test_the_step_of_a_dense_weight_is_one_operation():
    kernel = keras.Variable(np.ones((7, 3), "float32"))
    optimizer = SparseAdam(0.05)
    optimizer.build([kernel])
    apply = tf.function(lambda gradient: optimizer.apply([gradient], [kernel]))
    graph = apply.get_concrete_function(tf.TensorSpec((7, 3))).graph
    of_its_size = [
        operation.type for operation in graph.get_operations()
        for tensor in operation.inputs if tensor.shape == (7, 3)
    ]
    assert set(of_its_size) - {"Identity", "IdentityN"} == {"ResourceApplyAdam"}


def test_lazy_and_dense_differ_in_the_rows_a_step_leaves_out(tables, steps, train):
    lazy, dense = (
        train(SparseAdam(0.05, lazy=lazy), tables[:1], [steps[0][:1], steps[1][:1]])[0]
        for lazy in (True, False)
    )
    np.testing.assert_allclose(lazy[0], dense[0], atol=1e-6)             # in both steps
    assert np.abs(lazy[1] - dense[1]).min() > 0.01                       # in the first only
    assert np.array_equal(lazy[6], dense[6])                             # in none


def test_keras_adam_takes_too_large_a_step_on_repeated_ids(tables, train):
    """16 equal gradients on one row: v is 16 g^2 where (16 g)^2 is meant, the step 4 times."""
    steps = [[([2] * 16, np.full((16, 3), 0.25, "float32"))]]
    start = tables[0]
    moved = {
        name: (train(optimizer, [start], steps)[0] - start)[2]
        for name, optimizer in {
            "keras": keras.optimizers.Adam(0.01),
            "lazy": SparseAdam(0.01),
            "dense": SparseAdam(0.01, lazy=False),
        }.items()
    }
    right = twin.adam([start], steps, learning_rate=0.01)[0][2] - start[2]
    np.testing.assert_allclose(right, -0.01, rtol=1e-5)
    np.testing.assert_allclose(moved["lazy"], right, rtol=1e-4)
    np.testing.assert_allclose(moved["dense"], right, rtol=1e-4)
    np.testing.assert_allclose(moved["keras"], 4 * right, rtol=1e-4)


def test_a_schedule_is_followed(tables, steps, train):
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, decay_steps=2, decay_rate=0.5)
    got = train(SparseAdam(schedule), tables, steps)
    expected = twin.adam(tables, steps, learning_rate=lambda step: 0.1 * 0.5 ** (step / 2))
    np.testing.assert_allclose(got, expected, atol=2e-6)


def test_a_loss_scale_factor_is_divided_out(tables, steps, train):
    scaled = [[(ids, 8 * values) for ids, values in step] for step in steps]
    got = train(SparseAdam(0.05, loss_scale_factor=8.0), tables, scaled)
    np.testing.assert_allclose(got, train(SparseAdam(0.05), tables, steps), atol=1e-6)


def test_under_a_loss_scale_optimizer(tables, steps, train):
    scaled = [[(ids, 8 * values) for ids, values in step] for step in steps]
    wrapped = keras.optimizers.LossScaleOptimizer(SparseAdam(0.05), initial_scale=8.0)
    got = train(wrapped, tables, scaled)
    np.testing.assert_allclose(got, train(SparseAdam(0.05), tables, steps), atol=1e-6)


def test_empty_gradients_move_nothing(tables, steps, train):
    nothing = [[([], np.zeros((0, 3), "float32")), steps[0][1]]]
    got = train(SparseAdam(0.05, global_clipnorm=0.5, weight_decay=0.1), tables, nothing)
    assert np.array_equal(got[0], tables[0])
    assert not np.array_equal(got[1], tables[1])


def test_tables_and_dense_weights_in_one_step(tables):
    """The table's decay is on its rows, the kernel's on all of it; None leaves a weight alone."""
    table, kernel, unused = (keras.Variable(tables[0]) for _ in range(3))
    optimizer = SparseAdam(0.1, weight_decay=0.5)
    optimizer.build([table, kernel, unused])
    with pytest.warns(UserWarning, match="Gradients do not exist"):
        optimizer.apply(
            [tf.IndexedSlices(tf.zeros((1, 3)), [1]), tf.zeros((7, 3)), None],
            [table, kernel, unused],
        )
    np.testing.assert_allclose(kernel.numpy(), tables[0] * 0.95, rtol=1e-6)
    np.testing.assert_allclose(table.numpy()[1], tables[0][1] * 0.95, rtol=1e-6)
    assert np.array_equal(np.delete(table.numpy(), 1, 0), np.delete(tables[0], 1, 0))
    assert np.array_equal(unused.numpy(), tables[0])


def test_excluded_variables_are_not_decayed(tables):
    table = keras.Variable(tables[0], name="table")
    optimizer = SparseAdam(0.1, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["table"])
    optimizer.build([table])
    optimizer.apply([tf.IndexedSlices(tf.zeros((1, 3)), [1])], [table])
    assert np.array_equal(table.numpy(), tables[0])


def test_the_moving_average_is_over_the_whole_table(tables, steps, train):
    optimizer = SparseAdam(0.05, use_ema=True, ema_momentum=0.5)
    final = train(optimizer, tables[:1], [step[:1] for step in steps[:2]])[0]
    first = train(SparseAdam(0.05), tables[:1], [steps[0][:1]])[0]
    average = next(v for v in optimizer.variables if "average" in v.path).numpy()
    np.testing.assert_allclose(average, (first + final) / 2, atol=1e-6)


def test_accumulation_of_rows_is_refused_and_of_dense_gradients_right(tables, train):
    halves = [[([1, 1], np.full((2, 3), g, "float32"))] for g in (1.0, 3.0)]
    with pytest.raises(ValueError, match=r"SparseAdam: gradient_accumulation_steps=2.*lazy=False"):
        train(SparseAdam(0.05, gradient_accumulation_steps=2), tables[:1], halves)
    dense = SparseAdam(0.05, gradient_accumulation_steps=2, lazy=False)
    mean = [[([1], np.full((1, 3), 4.0, "float32"))]]
    np.testing.assert_allclose(
        train(dense, tables[:1], halves),
        train(SparseAdam(0.05), tables[:1], mean),
        atol=1e-6,
    )


def test_configuration():
    optimizer = SparseAdam(0.5, amsgrad=True, clipnorm=1.0, weight_decay=0.1, lazy=False, name="a")
    config = optimizer.get_config()
    assert SparseAdam.from_config(config).get_config() == config
    assert config["lazy"] is False
    assert set(keras.optimizers.Adam().get_config()) | {"lazy"} == set(config)
    with pytest.raises(TypeError, match=r"lazy must be True or False, got 1"):
        SparseAdam(lazy=1)
