"""Batches of a user's own Python: `PyDataset`s and generators."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from deeprec_tf import DenseFeat, SparseFeat, VarLenSparseFeat
from deeprec_tf.models import BST, DIEN, DSSM, DeepFM
from tests.models.samples import COLUMNS, WITH_NEGATIVES, batch

SIZES = {"hidden_units": (4,)}
CITY = SparseFeat("city", 50, embedding_dim=4, use_hash=True, dtype="string")
Y = np.array([1, 0, 1, 0])


class Batches(keras.utils.PyDataset):
    """One batch, any number of times."""

    def __init__(self, content, number=1, **kwargs):
        super().__init__(**kwargs)
        self.content, self.number, self.begun = content, number, 0

    def __len__(self):
        return self.number

    def __getitem__(self, index):
        return self.content

    def on_epoch_begin(self):
        self.begun += 1


def rows_of(content):
    yield content


# Keras cannot tell beforehand how many batches a generator has, and warns at its end.
pytestmark = pytest.mark.filterwarnings("ignore:Your input ran out of data")
SOURCES = pytest.mark.parametrize("source", [Batches, rows_of])


def text_model():
    keras.utils.set_random_seed(0)
    return DeepFM([CITY, DenseFeat("price")], **SIZES)


def text_batch():
    return {"city": np.array(["a", "b", "c", "a"]), "price": np.arange(4.0)}


@SOURCES
def test_texts_train_and_predict_as_in_arrays(source):
    model, other = text_model(), text_model()
    model.fit(source((text_batch(), Y)), verbose=0)
    other.fit(text_batch(), Y, batch_size=4, shuffle=False, verbose=0)
    wanted = other.predict(text_batch(), verbose=0)
    np.testing.assert_allclose(model.predict(source((text_batch(),)), verbose=0), wanted, atol=1e-6)
    assert model.evaluate(source((text_batch(), Y)), verbose=0) == pytest.approx(
        other.evaluate(text_batch(), Y, verbose=0), abs=1e-5
    )


@SOURCES
def test_what_arrays_are_refused_for(source):
    model, bad = text_model(), text_batch() | {"price": np.array([0, np.nan, 1, 2])}
    good = source((text_batch(), Y))
    with pytest.raises(ValueError, match=r"fit: 'price' holds NaN or infinity in row 1"):
        model.fit(source((bad, Y)), verbose=0)
    with pytest.raises(ValueError, match=r"fit\(validation_data\): 'price' holds NaN"):
        model.fit(good, validation_data=source((bad, Y)), verbose=0)
    with pytest.raises(ValueError, match=r"evaluate: 'price' holds NaN or infinity in row 1"):
        model.evaluate(source((bad, Y)), verbose=0)
    with pytest.raises(ValueError, match=r"predict: 'price' holds NaN or infinity in row 1"):
        model.predict(source((bad,)), verbose=0)
    with pytest.raises(ValueError, match=r"fit: y is missing\. Give one label a row"):
        model.fit(source((text_batch(),)), verbose=0)


@SOURCES
def test_padding_in_front_is_refused(source):
    model = BST(COLUMNS, ["item_id"], num_heads=2, hidden_size=4, **SIZES)
    x = {n: v[:, ::-1] if "hist_" in n else v for n, v in batch(COLUMNS).items()}
    with pytest.raises(ValueError, match=r"'hist_item_id' has padding \(0\) before a real id"):
        model.fit(source((x, np.ones(len(x["item_id"])))), verbose=0)


@SOURCES
def test_predictions_need_no_negatives(source):
    model = DIEN(WITH_NEGATIVES, ["item_id"], **SIZES)
    x = batch(WITH_NEGATIVES)
    wanted = model.predict(x, verbose=0)
    left = {name: values for name, values in x.items() if not name.startswith("neg_")}
    np.testing.assert_allclose(model.predict(source((left,)), verbose=0), wanted, atol=1e-6)


@SOURCES
def test_a_recall_model_predicts_its_scores_alone_and_takes_weights_without_labels(source):
    item = SparseFeat("item_id", 9, embedding_dim=4)
    past = SparseFeat("hist_item_id", 9, embedding_dim=4, embedding_name="item_id")
    model = DSSM([VarLenSparseFeat(past, maxlen=3)], [item], hidden_units=(4,))
    x = {"item_id": np.arange(1, 5), "hist_item_id": np.full((4, 2), 3)}
    assert model.predict(source((x,)), verbose=0).shape == (4, 1)
    weights = np.array([0.0, 0.0, 0.0, 2.0], "float32")
    np.testing.assert_allclose(
        model.evaluate(source((x, None, weights)), verbose=0),
        model.evaluate(x, sample_weight=weights, verbose=0), rtol=1e-5,
    )  # fmt: skip
    model.fit(source((x,)), verbose=0)


def test_texts_are_not_hashed_in_another_process():
    source = Batches((text_batch(), Y), workers=2, use_multiprocessing=True)
    with pytest.raises(ValueError, match="cannot hash the texts of 'city' in another process"):
        text_model().fit(source, verbose=0)
    with pytest.raises(ValueError, match="predict: use_multiprocessing=True, but Tensor"):
        text_model().predict(source, verbose=0)


def test_what_a_source_says_of_itself():
    source = Batches((text_batch(), Y), number=3, workers=2)
    model = text_model()
    history = model.fit(source, epochs=2, verbose=0)
    assert source.begun == 2 and len(history.history["loss"]) == 2
    assert int(model.optimizer.iterations) == 6


@pytest.mark.parametrize("form", ["arrays", "dataset", "PyDataset", "split"])
def test_texts_in_what_validates(form):
    """Keras hands what `fit` has prepared to `evaluate` again."""
    model, x = text_model(), text_batch()
    data = tf.data.Dataset.from_tensor_slices((x, Y)).batch(2)
    options = {
        "arrays": {"validation_data": (x, Y)}, "dataset": {"validation_data": data},
        "PyDataset": {"validation_data": Batches((x, Y))}, "split": {"validation_split": 0.5},
    }[form]  # fmt: skip
    history = model.fit(x, Y, epochs=2, verbose=0, **options).history
    rows = slice(2, None) if form == "split" else slice(None)
    wanted = model.evaluate({n: v[rows] for n, v in x.items()}, Y[rows], verbose=0)
    assert history["val_loss"][-1] == pytest.approx(wanted[0], abs=1e-5)


def test_a_generator_validates_one_epoch():
    model = text_model()
    with pytest.raises(ValueError, match="is a generator, which is used up after one epoch"):
        model.fit(
            text_batch(), Y, epochs=2, validation_data=rows_of((text_batch(), Y)), verbose=0
        )
    model.fit(text_batch(), Y, validation_data=rows_of((text_batch(), Y)), verbose=0)
