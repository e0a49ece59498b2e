import keras
import numpy as np
import pytest

from deeprec_tf import DenseFeat, SparseFeat, VarLenSparseFeat
from deeprec_tf.layers import LossBalance
from deeprec_tf.models import SharedBottom
from tests.layers.contract import randomize
from tests.models.crosses import COLUMNS, X, flat_of, weights_of
from tests.reference.core import sigmoid
from tests.reference.multitask import softmax, tower

SIZES = {"hidden_units": (4, 3), "task_hidden_units": (2,)}
KINDS = {"click": "binary", "amount": "regression", "kind": 3}


def answers(model):
    return model.predict(dict(X), verbose=0)


def test_numbers():
    model = SharedBottom(COLUMNS, task_names=list(KINDS), task_types=list(KINDS.values()), **SIZES)
    randomize(model)
    w = weights_of(model)
    shared = tower(w, "bottom", flat_of(model))
    logits = {
        task: tower(w, f"{task}_tower", shared) @ w[f"{task}_logit/kernel"] + w[f"{task}/bias"]
        for task in KINDS
    }
    got = answers(model)
    assert set(got) == set(KINDS)
    np.testing.assert_allclose(got["click"][:, 0], [sigmoid(v) for v in logits["click"][:, 0]],
                               atol=1e-5)  # fmt: skip
    np.testing.assert_allclose(got["amount"], logits["amount"], atol=1e-5)
    np.testing.assert_allclose(got["kind"], [softmax(v) for v in logits["kind"]], atol=1e-5)


def test_classes_may_be_counted_by_numpy(tmp_path):
    model = SharedBottom(COLUMNS, task_names=["kind"], task_types=[np.int64(3)], **SIZES)
    assert answers(model).shape[1] == 3
    model.fit(dict(X), np.arange(len(answers(model))) % 3, verbose=0)
    model.save(tmp_path / "model.keras")


def test_permuted_tasks_permute_the_outputs():
    """Tasks are told apart by their names alone."""
    model = SharedBottom(COLUMNS, task_names=["click", "buy"], **SIZES)
    turned = SharedBottom(COLUMNS, task_names=["buy", "click"], **SIZES)
    randomize(model)
    by_path = {weight.path: weight for weight in model.weights}
    for weight in turned.weights:
        weight.assign(by_path[weight.path])
    first, second = answers(model), answers(turned)
    for task in first:
        np.testing.assert_array_equal(first[task], second[task])


def test_histories_are_inputs_too():
    past = VarLenSparseFeat(SparseFeat("hist_item", 4, embedding_dim=3), maxlen=3)
    model = SharedBottom([SparseFeat("user", 5), past, DenseFeat("price")], **SIZES)
    x = {"user": [1, 2], "hist_item": [[1, 0, 0], [0, 0, 0]], "price": [0.1, 0.2]}
    answers = model.predict({name: np.array(values) for name, values in x.items()}, verbose=0)
    assert np.isfinite(answers["ctr"]).all()
    with pytest.raises(ValueError, match="hist_item"):
        SharedBottom([VarLenSparseFeat(past.sparsefeat, 3, combiner="none")])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task_names": ["a", "a"]}, "task_names must be different names"),
        ({"task_names": []}, "task_names must be different names"),
        ({"task_types": ["binary"]}, "task_types has 1 entries for the 2 tasks"),
        ({"task_types": ["binary", "clicks"]}, "the type of task 'cvr' must be .*, got 'clicks'"),
        ({"task_types": ["binary", 2]}, "number of classes from 3 on, got 2"),
        ({"task_names": ["ctr", "user"]}, "the column 'user' is named like the layer 'user'"),
        ({"task_names": ["ctr", "bottom"]}, "are named 'bottom'. Rename the task"),
        ({"loss_weighting": [1.0, -1.0]}, "weights must be finite and at least 0"),
        ({"loss_weighting": "equal"}, "loss_weighting must be one of .*, got 'equal'"),
        (
            {"loss_weighting": LossBalance(weights=(1, 2, 3))},
            r"a weight for each of the tasks .*, got \(1.0, 2.0, 3.0\)",
        ),
        ({"loss_weighting": [1.0]}, "a weight for each of the tasks"),
        ({"loss_weighting": {"ctr": 1.0}}, "a weight for each of the tasks"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        SharedBottom(COLUMNS, **{**SIZES, **options})


def test_the_batch_normalization_is_in_every_layer():
    model = SharedBottom(COLUMNS, batch_norm=True, dropout=0.1, **SIZES)
    norms = [
        layer for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    assert len(norms) == 2 + 2 * 1
