import keras
import pytest

from deeprec_tf import RecModel, SparseFeat, VarLenSparseFeat
from deeprec_tf.graph import (
    columns_of_inputs,
    inference_outputs,
    inputs_of,
    joint_output,
    prediction_outputs,
)
from deeprec_tf.layers import PredictionLayer
from deeprec_tf.models import DIEN
from tests.models.samples import WITH_NEGATIVES


@pytest.fixture(scope="module")
def dien():
    return DIEN(WITH_NEGATIVES, ["item_id"], hidden_units=(2,))


def test_inputs_of_the_prediction_leave_out_the_negatives(dien):
    (output,) = inference_outputs(dien).values()
    assert {tensor.name for tensor in inputs_of([output])} == {"item_id", "hist_item_id", "price"}
    assert {t.name for t in inputs_of([dien.output])} == set(dien.input)


def test_joint_is_the_output_of_its_layer(dien):
    assert joint_output(dien, "probability") is dien.get_layer("probability").output
    with pytest.raises(ValueError, match="dien: there is no joint 'user_vector'"):
        joint_output(dien, "user_vector")


def test_joint_applied_twice_is_refused():
    inputs = keras.Input((2,), name="x")
    layer = keras.layers.Dense(2, name="logit")
    model = keras.Model(inputs, layer(layer(inputs)), name="twice")
    with pytest.raises(ValueError, match="twice: the joint 'logit' is applied 2 times, not once"):
        joint_output(model, "logit")


def test_a_call_outside_the_model_does_not_count():
    inputs = keras.Input((2,), name="x")
    layer = keras.layers.Dense(2, name="logit")
    model = keras.Model(inputs, layer(inputs))
    layer(keras.Input((2,)))
    assert joint_output(model, "logit") is model.output


def test_models_without_a_prediction():
    inputs = keras.Input((2,), name="x")
    output = keras.layers.Dense(2)(inputs)
    assert inference_outputs(keras.Model(inputs, {"score": output})).keys() == {"score"}
    with pytest.raises(ValueError, match="tower: there is no PredictionLayer to cut the model at"):
        inference_outputs(RecModel(inputs, output, name="tower"))


def test_a_layer_that_serves_answers_for_the_model():
    class Doubled(keras.layers.Layer):
        def call(self, x, bias=0.0):
            return x + bias

        def serve(self, x, bias=0.0):
            return {"doubled": keras.layers.Rescaling(2.0)(x)}

    inputs = keras.Input((1,), name="x")
    output = PredictionLayer("regression", name="score")(Doubled()(inputs, bias=1.0))
    model = keras.Model(inputs, output)
    assert list(prediction_outputs(model)) == ["score"]
    served = inference_outputs(model)
    assert list(served) == ["doubled"]
    assert keras.Model(inputs, served)(keras.ops.ones((1, 1)))["doubled"].numpy().item() == 2.0


def test_columns_of_inputs_drop_what_is_gone():
    timed = VarLenSparseFeat(SparseFeat("past", 5), 4, length_name="n", weight_name="w")
    user = SparseFeat("user", 3)
    (kept,) = columns_of_inputs([timed, user], ["past", "n"])
    assert kept == VarLenSparseFeat(SparseFeat("past", 5), 4, length_name="n")
