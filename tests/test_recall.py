"""What recall models share: sets of candidates beside each other, features of items, bad input."""

import math

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from deeprec_tf import DenseFeat, SparseFeat, VarLenSparseFeat, next_item_columns
from deeprec_tf.candidates import Given, InBatch, Sampled
from deeprec_tf.evaluation import evaluate_retrieval
from deeprec_tf.export import item_encoder, user_encoder
from deeprec_tf.models import (
    DSSM,
    BERT4Rec,
    ComiRec,
    FaceBookDSSM,
    GRU4Rec,
    SASRec,
    YoutubeDNN,
    YoutubeSBC,
)
from deeprec_tf.tables import table_values

ITEMS, ROWS = 40, 64
USERS, COLUMNS = next_item_columns(ITEMS, maxlen=6, embedding_dim=8)
GENERATOR = np.random.default_rng(0)
SHARES = 1.0 / np.arange(1, ITEMS + 1)
SHARES /= SHARES.sum()
COUNTS = np.concatenate([[0], SHARES * 1e4])
X = {
    "hist_item_id": np.tile([[3, 5, 0, 0]], (ROWS, 1)),
    "item_id": GENERATOR.choice(ITEMS, size=ROWS, p=SHARES) + 1,
}


def user():
    return [SparseFeat("user", 3)]


def loss_of_equal_scores(sets):
    x = {"user": np.zeros(ROWS, int), "item_id": X["item_id"]}
    model = DSSM(user(), COLUMNS, hidden_units=(4,), negatives=sets, temperature=1e6)
    return model.evaluate(x, batch_size=ROWS, verbose=0)


@pytest.mark.parametrize(
    "sets",
    [
        [InBatch(counts=COUNTS), Sampled(2000)],
        [InBatch(counts=COUNTS), Sampled(2000, "popularity", counts=COUNTS)],
    ],
)
def test_corrected_sets_count_what_they_are_drawn_for(sets):
    """With equal scores each set estimates the catalogue's sum of exponentials: two give twice."""
    logs = np.log(SHARES[X["item_id"] - 1] * ROWS)  # what the positive is corrected by
    wanted = np.mean(np.log(np.exp(-logs) + 2 * ITEMS) + logs)
    assert loss_of_equal_scores(sets) == pytest.approx(wanted, abs=0.25)


@pytest.mark.parametrize(
    ("sets", "expected_count"),
    [
        ([Sampled(2000), InBatch(counts=COUNTS)], 2000 / ITEMS),  # the first that corrects
        ([InBatch(counts=COUNTS, correct_positive=False), Sampled(2000)], 1.0),
        ([Sampled(2000), InBatch(counts=COUNTS, correct_positive=False)], 1.0),
    ],
)
def test_what_the_positive_is_corrected_by(sets, expected_count):
    log = math.log(expected_count)
    wanted = math.log(math.exp(-log) + 2 * ITEMS) + log
    assert loss_of_equal_scores(sets) == pytest.approx(wanted, abs=0.25)


@pytest.mark.parametrize("order", [1, -1])
def test_given_negatives_are_compared_with_the_positive_as_if_neither_were_corrected(order):
    given = VarLenSparseFeat(SparseFeat("neg_item_id", ITEMS + 1, embedding_name="item_id"), 2)
    item = X["item_id"]
    x = {"user": np.zeros(ROWS, int), "item_id": item}
    x["neg_item_id"] = np.stack([item % ITEMS + 1, (item + 1) % ITEMS + 1], axis=1)
    model = DSSM(
        user(), [*COLUMNS, given], hidden_units=(4,), temperature=1e6,
        negatives=[InBatch(counts=COUNTS), Given()][::order],
    )  # fmt: skip
    logs = np.log(SHARES[item - 1] * ROWS)
    wanted = []
    for row in range(ROWS):
        others = -logs[item != item[row]]
        terms = np.concatenate([np.full(3, -logs[row]), others])
        wanted.append(np.log(np.exp(terms).sum()) + logs[row])
    assert model.evaluate(x, batch_size=ROWS, verbose=0) == pytest.approx(np.mean(wanted), rel=1e-4)


def test_the_memory_of_a_model_trained_at_every_step_holds_earlier_batches():
    model = SASRec(USERS, COLUMNS, negatives=InBatch(memory=600), jit_compile=False)
    found = []
    for _ in range(4):  # 64 rows of two items and what comes next
        model.train_on_batch(X)
        found.append(int((np.asarray(model.get_layer("memory_0").ids) != 0).sum()))
    assert found == [128, 256, 384, 512]


def test_the_batch_corrects_the_softmax_alone():
    x = {"user": np.arange(ROWS) % 3, "item_id": X["item_id"]}
    for loss in ("triplet", "bpr"):
        corrected, plain = (
            keras.utils.set_random_seed(1) or DSSM(
                user(), COLUMNS, hidden_units=(4,), loss=loss, negatives=one
            ).evaluate(x, batch_size=ROWS, verbose=0)
            for one in (InBatch(counts=COUNTS), InBatch())
        )
        assert corrected == plain
    asked = DSSM(user(), COLUMNS, loss="bpr", negatives=InBatch(counts=COUNTS, correct=True))
    assert any(layer.name == "log_q_0" for layer in asked.layers)
    with pytest.raises(ValueError, match="InBatch: correct=True needs counts or frequency"):
        InBatch(correct=True)


@pytest.mark.parametrize("builder", ["rows", "steps"])
@pytest.mark.parametrize(
    "options", [{}, {"number": 5}, {"memory": 30}, {"number": 5, "memory": 30},
                {"number": 7, "correct_positive": False}],
)  # fmt: skip
@pytest.mark.parametrize("beside", [(), (Sampled(6),)])
def test_estimated_frequencies_that_equal_the_counts_give_the_same_loss(builder, options, beside):
    rows, generator = 8, np.random.default_rng(3)
    history = generator.integers(1, ITEMS + 1, (rows, 3))
    x = {"user": np.arange(rows) % 3, "hist_item_id": history, "item_id": X["item_id"][:rows]}
    positives = rows if builder == "rows" else 3 * rows
    shares = generator.uniform(1.0, 2.0, ITEMS)
    shares /= shares.sum()  # so that no item is in every batch
    values = []
    for frequency in ({"counts": np.append(0, shares * 1e5)}, {"frequency": "streaming"}):
        keras.utils.set_random_seed(4)
        sets = [InBatch(**frequency, **options), *beside]
        if builder == "rows":
            model = DSSM(user(), COLUMNS, hidden_units=(4,), negatives=sets)
        else:
            model = SASRec(USERS, COLUMNS, negatives=sets, dropout=0.0)
        names = [tensor.name for tensor in model.inputs]
        for layer in model.layers:
            if layer.name == "log_q_0" and "frequency" in frequency:
                layer.last_seen.assign(np.ones(ITEMS + 1, "int32"))
                layer.gap.assign(np.append(1, 1 / (shares * positives)))
                layer.count.assign(np.ones(ITEMS + 1))
            if layer.name == "memory_0":  # two thirds full
                layer.ids.assign(np.append(np.arange(1, 21), np.zeros(10)).astype("int32"))
                layer.vectors.assign(np.random.default_rng(1).normal(size=layer.vectors.shape))
        values.append(
            model.evaluate({name: x[name] for name in names}, batch_size=rows, verbose=0)
        )
    assert values[0] == pytest.approx(values[1], rel=1e-5)


def test_sets_with_and_without_correction_do_not_compare():
    with pytest.raises(ValueError, match="SASRec: some of the negatives are corrected"):
        SASRec(USERS, COLUMNS, negatives=[InBatch(), Sampled(5)])
    SASRec(USERS, COLUMNS, negatives=[InBatch(), Sampled(5, correct=False)])


def test_gbce_wants_uniform_items():
    with pytest.raises(ValueError, match="loss='gbce' is calibrated for items drawn uniformly"):
        SASRec(USERS, COLUMNS, loss="gbce", negatives="in_batch")


def test_gbce_wants_all_that_is_drawn():
    with pytest.raises(ValueError, match="SASRec: loss='gbce' .* hardest= does not go with it"):
        SASRec(USERS, COLUMNS, loss="gbce", negatives=Sampled(16, hardest=4))


def test_infonce_is_the_papers_equation_over_cosines():
    x = {"user": np.arange(ROWS) % 3, "item_id": np.arange(ROWS) % ITEMS + 1}
    x = {name: values[:ITEMS] for name, values in x.items()}  # no item twice
    model = DSSM(user(), COLUMNS, hidden_units=(4,), loss="infonce")
    users = user_encoder(model).predict({"user": x["user"]}, verbose=0)["user_vector"]
    items = item_encoder(model).predict({"item_id": x["item_id"]}, verbose=0)["item_vector"]
    wanted = 0.0
    for row in range(ITEMS):
        density = [math.exp(float(users[row] @ item) / 0.05) for item in items]
        wanted -= math.log(density[row] / sum(density)) / ITEMS
    assert model.evaluate(x, batch_size=ITEMS, verbose=0) == pytest.approx(wanted, rel=1e-4)


def test_a_triplet_is_one_of_cosines():
    assert DSSM(user(), COLUMNS, loss="triplet").get_layer("row_loss").temperature == 1.0
    assert DSSM(user(), COLUMNS, loss="bce").get_layer("row_loss").temperature == "learned"
    assert DSSM(user(), COLUMNS).get_layer("row_loss").temperature == 0.05


def test_start_values_of_the_history_are_those_of_the_items():
    values = GENERATOR.normal(size=(ITEMS + 1, 8))
    past = SparseFeat(
        "hist_item_id", ITEMS + 1, embedding_dim=8, embedding_name="item_id", pretrained=values
    )
    model = SASRec([VarLenSparseFeat(past, 6)], COLUMNS)
    np.testing.assert_allclose(table_values(model, "item_id"), values, rtol=1e-6)


@pytest.mark.parametrize(
    ("builder", "options"),
    [
        (DSSM, {}),
        (FaceBookDSSM, {}),
        (YoutubeSBC, {}),
        (YoutubeDNN, {"negatives": "in_batch"}),
        (SASRec, {"negatives": "in_batch"}),
    ],
)
def test_the_table_of_the_items_is_kept_where_the_loss_reads_none_of_it(builder, options):
    category = SparseFeat("category", 5, embedding_dim=8)
    past = SparseFeat("hist_category", 5, embedding_dim=8, embedding_name="category")
    users = [*USERS, VarLenSparseFeat(past, 6)]
    table = {"category": np.arange(ITEMS + 1) % 5}
    x = {**X, "hist_category": X["hist_item_id"] % 5, "category": X["item_id"] % 5}
    if builder in (DSSM, FaceBookDSSM, YoutubeSBC):
        options = {**options, "hidden_units": (4,)}
    model = builder(users, [*COLUMNS, category], item_table=table, **options)
    assert np.isfinite(model.fit(x, verbose=0).history["loss"]).all()
    asked = {name: x[name][:5] for name in ("hist_item_id", "hist_category")}
    given = {"item_id": np.arange(1, ITEMS + 1), "category": table["category"][1:]}
    found = evaluate_retrieval(model, asked, x["item_id"][:5], k=20)
    assert found == evaluate_retrieval(model, asked, x["item_id"][:5], k=20, items=given)


def test_items_may_have_lists(tmp_path):
    genres = VarLenSparseFeat(SparseFeat("genres", 7, embedding_dim=8), 3)
    table = {"genres": np.random.default_rng(0).integers(1, 7, (ITEMS + 1, 3))}
    table["genres"][:, 2] = 0
    x = {**X, "genres": table["genres"][X["item_id"]]}
    for negatives in ("all", Sampled(4, each=True), Sampled(4)):
        model = SASRec(USERS, [*COLUMNS, genres], item_table=table, negatives=negatives)
        assert np.isfinite(model.fit(x, verbose=0).history["loss"]).all()
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))


@pytest.mark.parametrize("more", ["length_name", "weight_name"])
def test_lists_of_items_may_have_lengths_and_weights(more):
    genres = VarLenSparseFeat(SparseFeat("genres", 7, embedding_dim=8), 3, **{more: "more"})
    lists = np.random.default_rng(0).integers(1, 7, (ITEMS + 1, 3))
    lists[::2, 2] = 0
    given = {"length_name": (lists > 0).sum(1), "weight_name": np.ones(lists.shape) + lists}
    table = {"genres": lists, "more": given[more]}
    x = {**X, **{name: values[X["item_id"]] for name, values in table.items()}}
    model = SASRec(USERS, [*COLUMNS, genres], item_table=table)
    assert np.isfinite(model.fit(x, verbose=0).history["loss"]).all()
    some = {"item_id": np.arange(1, 6), **{name: values[1:6] for name, values in table.items()}}
    vectors = item_encoder(model).predict(some, verbose=0)["item_vector"]
    users = user_encoder(model).predict({"hist_item_id": X["hist_item_id"][:1]}, verbose=0)
    scores = model.predict({**x, **some, "hist_item_id": X["hist_item_id"][:5]}, verbose=0)
    np.testing.assert_allclose(scores[:, 0], vectors @ users["user_vector"][0], rtol=1e-4)
    with pytest.raises(ValueError, match="the input 'more' of VarLenSparseFeat.* is missing"):
        SASRec(USERS, [*COLUMNS, genres], item_table={"genres": lists})


def test_a_table_may_be_a_data_frame():
    price = DenseFeat("price")
    table = pd.DataFrame({"price": np.linspace(0, 1, ITEMS + 1)})
    model = SASRec(USERS, [*COLUMNS, price], item_table=table)
    x = {**X, "price": table["price"].to_numpy()[X["item_id"]]}
    assert np.isfinite(model.fit(x, verbose=0).history["loss"]).all()


def test_a_user_without_a_history_is_known_by_the_rest():
    model = SASRec([*USERS, *user()], COLUMNS)
    x = {"hist_item_id": np.zeros((3, 4), int), "user": np.arange(3), "item_id": np.full(3, 5)}
    assert np.ptp(model.predict(x, verbose=0)) > 0


def test_data_sets_without_labels_and_short_batches():
    data = tf.data.Dataset.from_tensor_slices({k: v[:13] for k, v in X.items()}).batch(6)
    model = SASRec(USERS, COLUMNS, negatives=Sampled(4))
    assert np.isfinite(model.fit(data, verbose=0).history["loss"]).all()
    assert np.isfinite(model.evaluate(data, verbose=0))
    empty = {"hist_item_id": np.zeros((4, 3), int), "item_id": np.arange(1, 5)}
    assert model.evaluate(empty, verbose=0) == 0.0


def test_a_loss_that_xla_might_refuse_stays_outside():
    from deeprec_tf.dense_part import _may_be_compiled
    from deeprec_tf.losses import RankingLoss, Softmax

    class Own(RankingLoss):
        def call(self, positive, negatives, mask):
            return tf.numpy_function(lambda p: p, [positive], tf.float32)

    for loss, wanted in ((Softmax(), True), (Own(), False)):
        model = DSSM(user(), COLUMNS, loss=loss, temperature=1.0)
        assert _may_be_compiled(model.get_layer("row_loss")) is wanted


@pytest.mark.parametrize("call", ["predict", "predict_on_batch"])
@pytest.mark.parametrize("x", [[1, 2], np.ones((2, 2))])
def test_inputs_without_names(call, x):
    message = f"sasrec.{call}: inputs must be a dict of arrays by name.*, got {type(x).__name__}"
    with pytest.raises(TypeError, match=message):
        getattr(SASRec(USERS, COLUMNS), call)(x)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: DSSM(user(), [SparseFeat("item_id", 41, use_hash=True)]), "'item_id' is hashed"),
        (
            lambda: SASRec(USERS, COLUMNS).fit({**X, "hist_item_id": X["hist_item_id"][:, ::-1]}),
            r"'hist_item_id' has padding \(0\) before a real id in row 0: \[0, 0, 5, 3\]",
        ),
        (lambda: SASRec(USERS, COLUMNS, metrics=["mse"]), "metrics=.*RetrievalEvaluation"),
        (lambda: SASRec(USERS, COLUMNS).fit(X, {"score": np.ones(ROWS)}), "the model has one outp"),
        (lambda: SASRec(USERS, COLUMNS, item_table={"cat": [1]}), "item_table has 'cat', which is"),
        (
            lambda: SASRec(
                USERS, [*COLUMNS, SparseFeat("brand", 9, use_hash=True, dtype="string")],
                item_table={"brand": np.full(41, "a", object)},
            ),
            "item_table has 'brand', a column of texts; it holds numbers. Encode",
        ),
        (lambda: DSSM([*user(), *COLUMNS], COLUMNS), "both have 'item_id', so the user's side"),
        (lambda: SASRec(USERS, COLUMNS, temperature="warm"), "temperature must be above 0, got 'w"),
        (lambda: DSSM(user(), COLUMNS, temperature=math.inf), "temperature must be above 0.*inf"),
        (lambda: SASRec(USERS, COLUMNS, num_layers=0), "SASRec: num_layers must be a whole number"),
        (lambda: BERT4Rec(USERS, COLUMNS, num_heads=0), "BERT4Rec: num_heads must be a whole num"),
        (lambda: GRU4Rec(USERS, COLUMNS, hidden_size=0), "GRU4Rec: hidden_size must be a whole"),
        (lambda: ComiRec(USERS, COLUMNS, attention_units=0), "must be at least 1, got 0"),
        (lambda: SASRec(USERS, COLUMNS, jit_compile="yes"), "jit_compile must be 'auto', True or"),
        (
            lambda: SASRec(
                USERS, [*COLUMNS, SparseFeat("cat", 3)], item_table={"cat": np.full(41, 5)}
            ),
            "item_table.*'cat'",
        ),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
