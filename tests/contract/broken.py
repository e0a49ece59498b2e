"""A small sound behavior model, and the ways to break it that the checks must notice."""

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from deeprec_tf import (
    DenseFeat,
    RecModel,
    SparseFeat,
    VarLenSparseFeat,
    build_embedding_layers,
    build_input_layers,
)
from deeprec_tf.layers import PaddingMask, PredictionLayer, SequencePooling
from deeprec_tf.tasks import compiled
from tests.contract.data import Subject

COLUMNS = [
    SparseFeat("item_id", 11, embedding_dim=4),
    VarLenSparseFeat(SparseFeat("hist_item_id", 11, embedding_dim=4, embedding_name="item_id"), 9),
    DenseFeat("price", 1),
]


def subject(builder=None, **options):
    """Subject of the small model, with options to break it, or of another builder."""
    return Subject("Small", builder or Small, COLUMNS, (COLUMNS,), options)


def Small(
    feature_columns, *, mask=True, twist=None, last=None, head=None, compile_it=True,
    optimizer="adam", loss=None, metrics=None, jit_compile="auto", name="small",
):
    """Sum of the behaviors beside the target; `twist`, `last` and `head` replace layers.

    Args:
        feature_columns: `COLUMNS`.
        mask: whether padding is left out of the sum.
        twist: makes the layer between the pooled vector and the tower.
        last: makes an identity layer on the prediction from nothing; called with
            (prediction, behaviors, mask).
        head: makes the prediction layer.
        compile_it: whether to compile.
        optimizer: as in Keras.
        loss: as in Keras.
        metrics: as in Keras.
        jit_compile: as in Keras.
        name: name of the model.

    Returns:
        A model.

    Raises:
        ValueError: never.

    Example:
        >>> Small(COLUMNS).output_shape
        (None, 1)

    References:
        None.
    """
    inputs = build_input_layers(feature_columns)
    tables = build_embedding_layers(feature_columns)
    target = tables["item_id"](inputs["item_id"])
    behaviors = tables["item_id"](inputs["hist_item_id"])
    real = PaddingMask()(inputs["hist_item_id"])
    pooled = SequencePooling("sum")(behaviors, real) if mask else _SumOfAll()(behaviors)
    x = keras.layers.Concatenate()([target, pooled, inputs["price"]])
    x = keras.layers.Dense(8, activation="tanh", name="tower")(x)
    if twist is not None:
        x = twist()(x)
    logit = keras.layers.Dense(1, use_bias=False, name="logit")(x)
    output = (head or (lambda: PredictionLayer(name="probability")))()(logit)
    if last is not None:
        output = last()(output, behaviors, real)
    model = RecModel(inputs, output, feature_columns=feature_columns, name=name)
    if not compile_it:
        return model
    return compiled(
        model, optimizer=optimizer, loss=loss, metrics=metrics, jit_compile=jit_compile
    )


class _SumOfAll(keras.layers.Layer):
    """Padding counts."""

    def call(self, sequence):
        return ops.sum(sequence, axis=1)

    def compute_output_shape(self, shape):
        return (shape[0], shape[2])


class _Kept(keras.layers.Layer):
    """Base of layers that keep the shape."""

    def compute_output_shape(self, shape, *args):
        return shape


class LossOverPadding(_Kept):
    """An auxiliary loss that is averaged over padded steps too."""

    def call(self, prediction, behaviors, mask):
        self.add_loss(ops.mean(ops.square(behaviors - 1.0)))
        return prediction


class MaskedOutput(_Kept):
    """Sets an implicit mask."""

    supports_masking = True

    def compute_mask(self, inputs, previous=None):
        return ops.any(ops.not_equal(inputs, 0), axis=-1)

    def call(self, inputs):
        return inputs


class WeightsOfTheBatch(keras.layers.Layer):
    """Says of a row what depends on the other rows."""

    def __init__(self):
        super().__init__(name="twist")

    def call(self, x):
        return ops.tanh(x)

    def explain(self, x):
        return {"weights": x - ops.mean(x, axis=0)}


class NoWeights(WeightsOfTheBatch):
    """Divides by nothing."""

    def explain(self, x):
        return {"weights": x / 0.0}


class BatchMean(_Kept):
    """A row's answer depends on the rows beside it."""

    def call(self, inputs):
        return inputs - ops.mean(inputs, axis=0, keepdims=True)


class Noise(_Kept):
    """Random at inference."""

    def call(self, inputs):
        return inputs + keras.random.normal(ops.shape(inputs))


class EntropyStart(_Kept):
    """Starts from the machine's entropy, not from the seed."""

    def build(self, shape):
        values = np.random.default_rng().normal(size=shape[-1])
        self.scale = self.add_weight(
            shape=(shape[-1],), initializer=keras.initializers.Constant(values), name="scale"
        )

    def call(self, inputs):
        return inputs * self.scale


class Unread(_Kept):
    """Holds a weight that nothing reads."""

    def build(self, shape):
        self.extra = self.add_weight(shape=(3,), name="extra")

    def call(self, inputs):
        return inputs


class HostWeight(_Kept):
    """Holds what a compiled step on a GPU cannot read."""

    def build(self, shape):
        self.extra = self.add_weight(shape=(), dtype="int32", initializer="ones", trainable=False)

    def call(self, inputs):
        return inputs * ops.cast(self.extra, inputs.dtype)


class BiasUnderSoftmax(_Kept):
    """Holds a weight that moves nothing."""

    def build(self, shape):
        self.extra = self.add_weight(shape=(), initializer="zeros", name="extra")

    def call(self, inputs):
        return inputs * (1.0 + 0.0 * self.extra)


class HalfPrecisionOverflow(_Kept):
    """Finite in float32 only, and only where something was read."""

    def call(self, inputs):
        return inputs / ops.cast(ops.cast(inputs, "float32") != 0, inputs.dtype) * (
            1.0 if inputs.dtype == "float32" else float("nan")
        )


class PythonInGraph(_Kept):
    """Runs Python code, which XLA can't compile and ONNX has no form for."""

    def call(self, inputs):
        if isinstance(inputs, keras.KerasTensor):
            return inputs
        noise = tf.stop_gradient(tf.numpy_function(lambda x: 0 * x, [inputs], tf.float32))
        return inputs + tf.ensure_shape(noise, inputs.shape)


class NoJit(_Kept):
    """Tells Keras to leave jit_compile off."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_jit = False

    def call(self, inputs):
        return inputs


class OtherUnderXla(_Kept):
    """Computes another thing under a compiler."""

    def call(self, inputs):
        if isinstance(inputs, keras.KerasTensor) or tf.executing_eagerly():
            return inputs
        compiling = tf.__internal__.get_enclosing_xla_context() is not None
        return inputs * (3.0 if compiling else 1.0)


class OtherInGraph(_Kept):
    """Computes another thing once it is traced, as a cached Python value does."""

    def call(self, inputs):
        if isinstance(inputs, keras.KerasTensor) or tf.executing_eagerly():
            return inputs
        return inputs * 1.5
