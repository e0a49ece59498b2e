import keras
import numpy as np
import pytest
import tensorflow as tf

from deeprec_tf.optimizers import SparseAdagrad, SparseAdam, sparse_form


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("adam", SparseAdam),
        ("Adam", SparseAdam),
        ("ADAGRAD", SparseAdagrad),
        (keras.optimizers.Adam(), SparseAdam),
        (keras.optimizers.Adagrad(), SparseAdagrad),
    ],
)
def test_keras_forms_become_row_sparse(given, expected):
    assert type(sparse_form(given)) is expected


@pytest.mark.parametrize(
    "given",
    [
        "sgd", "adamw", "rmsprop", None,
        keras.optimizers.SGD(), keras.optimizers.AdamW(), keras.optimizers.Nadam(),
        SparseAdam(lazy=False), keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD()),
    ],
    ids=lambda given: given if isinstance(given, str | None) else type(given).__name__,
)
def test_everything_else_is_left_alone(given):
    assert sparse_form(given) is given


def test_the_configuration_is_kept():
    adam = keras.optimizers.Adam(
        0.25, beta_1=0.5, beta_2=0.75, epsilon=0.125, amsgrad=True, weight_decay=0.5, clipnorm=2.0,
        use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=3, loss_scale_factor=4.0, name="a",
    )
    assert sparse_form(adam).get_config() == {**adam.get_config(), "lazy": True}
    adagrad = keras.optimizers.Adagrad(0.25, initial_accumulator_value=0.5, global_clipnorm=1.0)
    assert sparse_form(adagrad).get_config() == adagrad.get_config()


def test_accumulated_gradients_ask_for_dense_adam():
    assert not sparse_form(keras.optimizers.Adam(gradient_accumulation_steps=2)).lazy


def test_schedules_and_callables_are_kept():
    schedule = keras.optimizers.schedules.ExponentialDecay(0.5, decay_steps=1, decay_rate=0.5)
    form = sparse_form(keras.optimizers.Adam(schedule))
    form.iterations.assign(2)
    assert float(form.learning_rate) == 0.125

    @keras.saving.register_keras_serializable(package="deeprec_tf_tests")
    def rate():
        return 0.75

    assert float(sparse_form(keras.optimizers.Adagrad(rate)).learning_rate) == 0.75


def test_exclusions_from_weight_decay_are_kept():
    adam = keras.optimizers.Adam(weight_decay=0.5)
    adam.exclude_from_weight_decay(var_names=["table"])
    table = keras.Variable(np.ones((2, 2)), name="table")
    form = sparse_form(adam)
    form.build([table])
    form.apply([tf.IndexedSlices(tf.zeros((1, 2)), [1])], [table])
    np.testing.assert_array_equal(table.numpy(), 1.0)


@pytest.mark.parametrize("optimizer", [keras.optimizers.Adam(0.1), keras.optimizers.Adagrad(0.1)])
def test_the_state_of_a_built_optimizer_is_kept(optimizer):
    ours, theirs = (keras.Variable(np.ones((2, 2)), name="kernel") for _ in range(2))
    gradients = [tf.constant([[1.0, 2.0], [3.0, -4.0]])]
    optimizer.build([ours])
    optimizer.apply(gradients)
    theirs.assign(ours)
    form = sparse_form(optimizer)
    assert int(form.iterations) == 1
    optimizer.apply(gradients)
    continued = ours.numpy()
    ours.assign(theirs)
    form.apply(gradients)
    np.testing.assert_allclose(ours.numpy(), continued, atol=1e-6)


def test_the_optimizer_inside_loss_scaling_is_turned():
    wrapped = keras.optimizers.LossScaleOptimizer(
        keras.optimizers.Adam(0.5), initial_scale=4.0, dynamic_growth_steps=7, name="scaling")
    form = sparse_form(wrapped)
    assert type(form.inner_optimizer) is SparseAdam
    assert (form.initial_scale, form.dynamic_growth_steps, form.name) == (4.0, 7, "scaling")
    assert float(form.learning_rate) == 0.5
