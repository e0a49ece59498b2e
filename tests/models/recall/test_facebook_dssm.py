import numpy as np
import pytest

from deeprec_tf import SparseFeat, VarLenSparseFeat
from deeprec_tf.candidates import Given, InBatch, Sampled
from deeprec_tf.export import item_encoder, user_encoder
from deeprec_tf.losses import Triplet
from deeprec_tf.models import FaceBookDSSM, FacebookDSSM
from tests.reference import recall as twin

USER, ITEM, CATEGORY = SparseFeat("user", 9), SparseFeat("item_id", 12), SparseFeat("cate_id", 5)
GENERATOR = np.random.default_rng(0)
CATEGORIES = GENERATOR.integers(1, 5, 12)


def negatives_of(column, table=None):
    name, size = f"neg_{column.name}", column.vocabulary_size
    return VarLenSparseFeat(SparseFeat(name, size, embedding_name=table or column.name), maxlen=3)


NEGATIVES = [negatives_of(ITEM), negatives_of(CATEGORY)]
X = {"user": np.arange(6), "item_id": np.array([1, 2, 3, 1, 5, 6])}
X["neg_item_id"] = np.array([[7, 8, 2], [9, 0, 0], [0, 0, 0], [1, 10, 0], [3, 4, 6], [11, 11, 7]])
X |= {"cate_id": CATEGORIES[X["item_id"]]}
X |= {"neg_cate_id": np.where(X["neg_item_id"] > 0, CATEGORIES[X["neg_item_id"]], 0)}
WITHOUT = {name: X[name] for name in ("user", "item_id", "cate_id")}
SOME = {name: X[name] for name in (*WITHOUT, "neg_item_id")}


def build(items=(ITEM, CATEGORY), users=(USER,), **options):
    return FaceBookDSSM(list(users), list(items), hidden_units=(8, 4), **options)


def encoded(model):
    """Users, positives, and any item's vector by its id."""
    user = user_encoder(model).predict({"user": X["user"]}, verbose=0)["user_vector"]
    everything = {"item_id": np.arange(12), "cate_id": CATEGORIES}
    return user, item_encoder(model).predict(everything, verbose=0)["item_vector"]


def triplets(user, table, negatives, margin):
    losses = []
    for row, item in enumerate(X["item_id"]):
        scores = [float(user[row] @ table[i]) for i in negatives[row]]
        positive = float(user[row] @ table[item])
        losses.append(twin.triplet(positive, scores, margin) if scores else 0.0)
    return np.mean(losses)


def test_the_batch_and_its_hardest_two_are_the_negatives():
    model = build(loss=Triplet(0.3))
    user, table = encoded(model)
    negatives = []
    for row, item in enumerate(X["item_id"]):
        others = [i for i in X["item_id"] if i != item]
        hardest = sorted(others, key=lambda i: -(user[row] @ table[i]))[:2]
        negatives.append([*others, *hardest])
    assert model.evaluate(WITHOUT, verbose=0) == pytest.approx(
        triplets(user, table, negatives, 0.3), rel=1e-4
    )


def test_given_negatives_go_through_the_items_own_tower():
    model = build((ITEM, CATEGORY, *NEGATIVES), negatives="given")
    user, table = encoded(model)
    np.testing.assert_allclose(np.linalg.norm(table, axis=1), 1.0, rtol=1e-5)
    negatives = [
        [i for i in row if i not in (0, item)]
        for row, item in zip(X["neg_item_id"], X["item_id"], strict=True)
    ]
    wanted = triplets(user, table, negatives, 0.2)
    assert wanted > 0 and model.evaluate(X, verbose=0) == pytest.approx(wanted, rel=1e-4)
    # Features that no column has come from the catalogue, to the same loss.
    other = build(
        (ITEM, CATEGORY, NEGATIVES[0]), negatives=Given(), item_table={"cate_id": CATEGORIES}
    )
    other.set_weights(_weights_like(model, other))
    assert other.evaluate(SOME, verbose=0) == pytest.approx(wanted, rel=1e-4)


def _weights_like(model, other):
    by_path = {weight.path: weight.numpy() for weight in model.weights}
    return [by_path.get(weight.path, weight.numpy()) for weight in other.weights]


def test_the_joint_is_the_positive_alone_and_serving_knows_no_negatives():
    model = build((ITEM, CATEGORY, *NEGATIVES))
    kinds = [type(one).__name__ for one in model.get_layer("row_loss").hardest or [None]]
    assert kinds == ["NoneType", "int", "NoneType"]
    assert len(model.get_layer("item_vector")._inbound_nodes) == 1
    assert set(item_encoder(model).input) == {"item_id", "cate_id"}
    scores = model.predict(WITHOUT, verbose=0)
    user, table = encoded(model)
    np.testing.assert_allclose(scores[:, 0], (user * table[X["item_id"]]).sum(1), atol=1e-6)


def test_softmax_has_a_temperature():
    assert build(loss="softmax").get_layer("row_loss").temperature == 0.05
    assert build().get_layer("row_loss").temperature == 1.0
    assert build(loss="triplet").get_layer("row_loss").loss == Triplet(0.2)


def test_the_other_name_is_the_same_builder():
    assert FacebookDSSM is FaceBookDSSM


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: build(negatives="given"), "negatives='given' needs a column 'neg_item_id'"),
        (lambda: build((ITEM, *NEGATIVES[:1]), negatives=InBatch()), "negatives has no 'given'"),
        (lambda: build((ITEM, negatives_of(ITEM, "own"))), "'neg_item_id' must share the table"),
        (lambda: build((ITEM,), (USER, NEGATIVES[0])), "'neg_item_id' holds negatives of the item"),
        (lambda: build((ITEM, CATEGORY, NEGATIVES[0])), "'cate_id' is wanted of items"),
        (lambda: build(negatives=Sampled(3)), "FaceBookDSSM: 'cate_id' is wanted of items"),
        (lambda: build(negatives="random"), "'given', an AllItems, InBatch, Sampled or Given"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# ---- further tasks -------------------------------------------------------------------------

CLICKS = np.array([1, 0, 1, 1, 0, np.nan], "float32")
PAYS = np.array([2.0, 0, 1, 3, 0, 1], "float32")
REWARDS = np.array([1, 0, 1, 1, 0, 1], "float32")


def test_further_tasks_have_cosines_of_their_own():
    model = build(num_tasks=3, task_types=["binary", "regression"])
    plain = build()
    for weight in plain.weights:
        twin_weight = next(w for w in model.weights if w.path == weight.path)
        twin_weight.assign(weight)
    y = {"task_1": CLICKS, "task_2": PAYS, "score": REWARDS}
    logs = model.evaluate(WITHOUT, y, verbose=0, return_dict=True)
    alone = plain.evaluate(WITHOUT, REWARDS, verbose=0)
    assert logs["score_loss"] == pytest.approx(alone, rel=1e-5)

    answers = model.predict(WITHOUT, verbose=0)
    assert set(answers) == {"score", "task_1", "task_2"}
    user, table = encoded(model)
    known = ~np.isnan(CLICKS)
    wanted = {}
    for task in ("task_1", "task_2"):
        maps = [model.get_layer(f"{task}_{side}").kernel.numpy() for side in ("user", "item")]
        u, v = user @ maps[0], table[X["item_id"]] @ maps[1]
        cosine = np.sum(u * v, 1) / np.linalg.norm(u, axis=1) / np.linalg.norm(v, axis=1)
        wanted[task] = np.exp(model.get_layer(f"{task}_logit").log_gain.numpy()) * cosine
    p = 1 / (1 + np.exp(-wanted["task_1"]))
    np.testing.assert_allclose(answers["task_1"][:, 0], p, rtol=1e-4)
    np.testing.assert_allclose(answers["task_2"][:, 0], wanted["task_2"], rtol=1e-4, atol=1e-5)
    entropy = -np.where(CLICKS == 1, np.log(p), np.log(1 - p))[known].mean()
    assert logs["task_1_loss"] == pytest.approx(entropy, rel=1e-4)
    error = np.mean(np.square(wanted["task_2"] - PAYS))
    assert logs["task_2_loss"] == pytest.approx(error, rel=1e-4)
    assert logs["loss"] == pytest.approx(alone + entropy + error, rel=1e-4)
    assert "task_1_auc" in logs and "task_2_rmse" in logs


def test_further_tasks_train_save_and_cut(tmp_path):
    import keras

    model = build(num_tasks=2)
    y = {"task_1": CLICKS}  # rewards are ones where they are left out
    losses = model.fit(WITHOUT, y, epochs=20, verbose=0).history
    assert losses["task_1_loss"][-1] < losses["task_1_loss"][0]
    assert losses["score_loss"][-1] < losses["score_loss"][0]
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    for name, values in model.predict(WITHOUT, verbose=0).items():
        np.testing.assert_array_equal(again.predict(WITHOUT, verbose=0)[name], values)
    vectors = user_encoder(again).predict({"user": X["user"]}, verbose=0)
    assert vectors["user_vector"].shape == (6, 4)
    again.fit(WITHOUT, y, epochs=1, verbose=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_tasks": 0}, "num_tasks must be a whole number from 1 on, got 0"),
        ({"num_tasks": 2, "task_types": ["binary"] * 2}, "task_types has 2 entries for the 1"),
        ({"task_types": ["binary"]}, "task_types has 1 entries for the 0 tasks"),
        ({"num_tasks": 2, "task_types": [4]}, "a further task is 'binary' or 'regression'"),
    ],
)
def test_task_errors(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "y is missing|y lacks|must be a dict"),
        ({"score": REWARDS}, "y lacks the task 'task_1'"),
        ({"task_1": CLICKS, "score": CLICKS}, "'score'. is NaN in row 5"),
    ],
)
def test_task_label_errors(y, message):
    with pytest.raises(ValueError, match=message):
        build(num_tasks=2).fit(WITHOUT, y, verbose=0)
