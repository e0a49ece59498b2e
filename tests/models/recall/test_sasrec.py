import keras
import numpy as np
import pytest

from deeprec_tf import DenseFeat, SparseFeat, VarLenSparseFeat, next_item_columns
from deeprec_tf.candidates import Sampled
from deeprec_tf.export import item_encoder, user_encoder
from deeprec_tf.models import SASRec
from deeprec_tf.tables import set_table_values, table_values

ITEMS = 20
COLUMNS = next_item_columns(ITEMS, maxlen=8, embedding_dim=8)


def walks(rows=64, steps=6, seed=0, items=ITEMS):
    """Users who go through the catalogue one by one: the next item is the last plus one."""
    start = np.random.default_rng(seed).integers(1, items + 1, size=(rows, 1))
    path = (start + np.arange(steps + 1) - 1) % items + 1
    return {"hist_item_id": path[:, :steps], "item_id": path[:, steps]}


def test_it_learns_a_walk_at_every_position():
    model = SASRec(*COLUMNS, dropout=0.0, optimizer="adam")
    model.optimizer.learning_rate = 0.02
    x = walks()
    losses = model.fit(x, epochs=15, batch_size=16, verbose=0).history["loss"]
    assert losses[0] > 2.0 and losses[-1] < 0.2
    short = {"hist_item_id": np.array([[7, 8, 0, 0]]), "item_id": np.array([9])}
    user = user_encoder(model).predict({"hist_item_id": short["hist_item_id"]}, verbose=0)
    scores = user["user_vector"] @ table_values(model, "item_id").T
    assert scores[0, 1:].argmax() + 1 == 9


def test_the_user_is_the_last_state_and_the_item_its_row():
    model = SASRec(*COLUMNS)
    x = walks(rows=5)
    user = user_encoder(model).predict({"hist_item_id": x["hist_item_id"]}, verbose=0)
    item = item_encoder(model).predict({"item_id": x["item_id"]}, verbose=0)["item_vector"]
    np.testing.assert_allclose(item, table_values(model, "item_id")[x["item_id"]], rtol=1e-6)
    np.testing.assert_allclose(
        model.predict(x, verbose=0)[:, 0], (user["user_vector"] * item).sum(1), atol=1e-6
    )
    empty = user_encoder(model).predict({"hist_item_id": np.zeros((2, 3), int)}, verbose=0)
    assert not empty["user_vector"].any()


def test_the_loss_is_the_mean_over_all_positions():
    model = SASRec(*COLUMNS)
    set_table_values(model, "item_id", np.zeros((ITEMS + 1, 8)))  # all items alike
    x = walks(rows=4)
    x["hist_item_id"][0, 2:] = 0
    assert model.evaluate(x, verbose=0) == pytest.approx(np.log(ITEMS), rel=1e-5)


def test_weights_weigh_the_rows():
    model, x = SASRec(*COLUMNS), walks(rows=4)
    rows = model.evaluate(x, sample_weight=np.ones(4), verbose=0)
    assert rows == pytest.approx(model.evaluate(x, verbose=0), rel=1e-6)
    alone = [
        model.evaluate({name: values[[row]] for name, values in x.items()}, verbose=0)
        for row in range(4)
    ]  # rows of equal length: each is the mean over its own positions
    weights = np.array([1.0, 0.5, 0.0, 2.0])
    weighed = model.evaluate(x, sample_weight=weights, verbose=0)
    assert weighed == pytest.approx(float(weights @ alone) / 4, rel=1e-5)
    assert model.evaluate(x, weights, verbose=0) == pytest.approx(weighed, rel=1e-6)


def test_the_positive_does_not_leak_into_the_scores_of_its_row():
    model = SASRec(*COLUMNS)
    x = walks(rows=3)
    one = user_encoder(model).predict({"hist_item_id": x["hist_item_id"]}, verbose=0)
    assert "item_id" not in user_encoder(model).input
    assert np.isfinite(one["user_vector"]).all()


def test_features_of_the_history_come_from_their_column_or_the_catalogue():
    item, category = SparseFeat("item_id", ITEMS + 1), SparseFeat("cate_id", 5)
    text = DenseFeat("text", 3)
    generator = np.random.default_rng(0)
    table = {
        "cate_id": generator.integers(1, 5, ITEMS + 1),
        "text": generator.normal(size=(ITEMS + 1, 3)).astype("float32"),
    }
    past = VarLenSparseFeat(SparseFeat("hist_item_id", ITEMS + 1, embedding_name="item_id"), 8)
    of_past = VarLenSparseFeat(SparseFeat("hist_cate_id", 5, embedding_name="cate_id"), 8)
    x = walks(rows=6)
    x |= {"cate_id": table["cate_id"][x["item_id"]], "text": table["text"][x["item_id"]]}
    answers = []
    for users in ([past], [past, of_past]):
        keras.utils.set_random_seed(1)
        model = SASRec(users, [item, category, text], hidden_size=8, item_table=table)
        if of_past in users:
            x["hist_cate_id"] = table["cate_id"][x["hist_item_id"]]
        answers.append(model.predict(x, verbose=0))
        model.fit(x, verbose=0)
    np.testing.assert_allclose(*answers, rtol=1e-5)
    with pytest.raises(ValueError, match="SASRec: 'text' is wanted of items"):
        SASRec([past], [item, category, text], item_table={"cate_id": table["cate_id"]})


def test_histories_are_found_by_the_table_they_share():
    columns = [SparseFeat("item_id", ITEMS + 1), SparseFeat("cate", 5)]

    def pasts(prefix):
        return [
            VarLenSparseFeat(SparseFeat(f"{prefix}{name}", size, embedding_name=table), 8)
            for name, size, table in (("items", ITEMS + 1, "item_id"), ("cates", 5, "cate"))
        ]

    named = [
        VarLenSparseFeat(SparseFeat(f"hist_{c.name}", c.vocabulary_size, embedding_name=c.name), 8)
        for c in columns
    ]
    x = walks(rows=6)
    ids = x["hist_item_id"]
    kinds = np.random.default_rng(0).integers(1, 5, ITEMS + 1)
    x["cate"] = kinds[x["item_id"]]
    answers = []
    for users in (named, pasts("past_")):
        keras.utils.set_random_seed(1)
        model = SASRec(users, columns, negatives="in_batch")
        rows = x | dict(zip([c.name for c in users], [ids, kinds[ids]], strict=True))
        rows = {name: rows[name] for name in model.input}
        answers.append([model.evaluate(rows, verbose=0), *model.predict(rows, verbose=0)[:, 0]])
    np.testing.assert_array_equal(*answers)
    with pytest.raises(ValueError, match="both 'past_cates' and 'old_cates' could be the history"):
        SASRec([*pasts("past_"), pasts("old_")[1]], columns)


def test_the_papers_form():
    model = SASRec(*COLUMNS, original=True, loss="bce", negatives=Sampled(1, each=True))
    block = model.get_layer("block_0")
    assert not hasattr(block.attention, "output_kernel")
    assert np.isfinite(model.fit(walks(), verbose=0).history["loss"]).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: SASRec([SparseFeat("user", 3)], COLUMNS[1]), "SASRec: 'item_id' needs its histor"),
        (lambda: SASRec(*COLUMNS, num_heads=3), "cannot be split into 3 heads"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
