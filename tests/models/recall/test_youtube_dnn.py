import numpy as np
import pytest

from deeprec_tf import DenseFeat, SparseFeat, VarLenSparseFeat, next_item_columns
from deeprec_tf.candidates import Sampled
from deeprec_tf.export import item_encoder, user_encoder
from deeprec_tf.models import YouTubeDNN, YoutubeDNN
from deeprec_tf.tables import set_table_values, table_values

ITEMS = 12
COLUMNS = next_item_columns(ITEMS, maxlen=6, embedding_dim=8)
AGE = DenseFeat("example_age")
GENERATOR = np.random.default_rng(0)
X = {
    "hist_item_id": GENERATOR.integers(1, ITEMS + 1, (6, 4)),
    "item_id": GENERATOR.integers(1, ITEMS + 1, 6),
    "example_age": GENERATOR.normal(size=6).astype("float32"),
}
X["hist_item_id"][:, 2:] = 0


def build(*, columns=COLUMNS, **options):
    return YoutubeDNN([*columns[0], AGE], columns[1], hidden_units=(8,), **options)


def encoded(model, x=X):
    user = user_encoder(model)
    item = item_encoder(model)
    return (
        user.predict({name: x[name] for name in user.input}, verbose=0)["user_vector"],
        item.predict({name: x[name] for name in item.input}, verbose=0)["item_vector"],
    )


def test_given_negatives_have_the_softmax_weights_as_the_positive_has():
    drawn = SparseFeat("neg_item_id", ITEMS + 1, embedding_dim=8, embedding_name="item_id")
    columns = COLUMNS[0], [*COLUMNS[1], VarLenSparseFeat(drawn, 2)]
    model = build(columns=columns, tied=False, negatives="given", temperature=0.5)
    set_table_values(model, "softmax_item_id", GENERATOR.normal(size=(ITEMS + 1, 8)))
    negatives = (X["item_id"][:, None] + [1, 2]) % ITEMS + 1  # never the positive
    users, positives = encoded(model)
    others = table_values(model, "softmax_item_id")[negatives]
    scores = np.einsum("bd,bkd->bk", users, np.append(positives[:, None], others, 1)) / 0.5
    wanted = np.mean(np.log(np.exp(scores).sum(axis=1)) - scores[:, 0])
    loss = model.evaluate({**X, "neg_item_id": negatives}, verbose=0)
    assert loss == pytest.approx(wanted, rel=1e-5)


def test_the_user_is_a_tower_over_the_mean_of_what_was_watched_and_the_example_age():
    model = build()
    set_table_values(model, "item_id", GENERATOR.normal(size=(ITEMS + 1, 8)))
    table = table_values(model, "item_id").astype("float64")
    weights = [weight.numpy() for weight in model.get_layer("user_tower").weights]
    wanted = []
    for row in range(6):
        mean = sum(table[i] for i in X["hist_item_id"][row, :2]) / 2
        inner = np.concatenate([mean, X["example_age"][row, None]]) @ weights[0] + weights[1]
        wanted.append(np.maximum(inner, 0) @ model.get_layer("user_projection").weights[0].numpy())
    user, item = encoded(model)
    np.testing.assert_allclose(user, wanted, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(item, table[X["item_id"]], rtol=1e-6)
    np.testing.assert_allclose(
        model.predict(X, verbose=0)[:, 0], (user * item).sum(axis=1), atol=1e-5
    )


def test_the_loss_is_the_softmax_over_all_items_without_padding():
    model = build()
    user, _ = encoded(model)
    scores = user @ table_values(model, "item_id")[1:].T
    wanted = np.log(np.exp(scores).sum(1)) - scores[np.arange(6), X["item_id"] - 1]
    assert model.evaluate(X, verbose=0) == pytest.approx(wanted.mean(), rel=1e-5)


def test_separate_softmax_weights():
    model = build(tied=False)
    _, item = encoded(model)
    softmax = table_values(model, "softmax_item_id")
    assert not np.allclose(softmax, table_values(model, "item_id"))
    np.testing.assert_allclose(item, softmax[X["item_id"]], rtol=1e-6)
    before = table_values(model, "item_id")
    model.fit(X, verbose=0)
    changed = np.flatnonzero(np.any(table_values(model, "item_id") != before, axis=1))
    assert set(changed) == set(X["hist_item_id"][:, :2].ravel()), "the history's alone"


def test_the_items_have_no_bias():
    paths = [weight.path for weight in build(negatives=Sampled(3)).trainable_weights]
    assert sorted(path.split("/")[0] for path in paths) == [
        "embedding_item_id", "user_projection", "user_tower", "user_tower",
    ]


def test_cosines_have_a_temperature_of_their_own():
    model = build(l2_normalize=True)
    for vectors in encoded(model):
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, rtol=1e-5)
    assert model.get_layer("row_loss").temperature == 0.05
    assert build(l2_normalize=True, temperature=0.2).get_layer("row_loss").temperature == 0.2
    assert build().get_layer("row_loss").temperature == 1.0


def test_it_learns_what_follows():
    start = np.random.default_rng(0).integers(1, ITEMS + 1, size=(64, 1))
    path = (start + np.arange(4) - 1) % ITEMS + 1
    x = {"hist_item_id": path[:, :3], "item_id": path[:, 3], "example_age": np.zeros(64, "float32")}
    model = build()
    model.optimizer.learning_rate = 0.02
    model.fit(x, epochs=30, batch_size=16, verbose=0)
    user, _ = encoded(model, x)
    best = (user @ table_values(model, "item_id")[1:].T).argmax(axis=1) + 1
    assert np.mean(best == x["item_id"]) > 0.9


def test_the_other_name_is_the_same_builder():
    assert YouTubeDNN is YoutubeDNN


PRICE = DenseFeat("price")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: YoutubeDNN(COLUMNS[0], [PRICE]), "YoutubeDNN: the first of item_feature_columns"),
        (lambda: build(columns=(COLUMNS[0], [*COLUMNS[1], PRICE])), "'price' is wanted of items"),
        (lambda: build(temperature="learned"), "negatives='all' is for .* fixed temperature"),
        (
            lambda: YoutubeDNN(
                [VarLenSparseFeat(SparseFeat("hist_item_id", 9), 5, combiner="none")], COLUMNS[1]
            ),
            "YoutubeDNN: 'hist_item_id' has combiner 'none'",
        ),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
