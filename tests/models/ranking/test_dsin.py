import keras
import numpy as np
import pytest

from deeprec_tf import SparseFeat, VarLenSparseFeat
from deeprec_tf.models import DSIN
from tests.layers.contract import randomize
from tests.models.samples import ITEM, ITEMS, PRICE, WIDTH, history
from tests.reference import transformer as twins

SESSIONS, SIZE = 4, 3


def sessions(name="hist_item_id", **options):
    return history(name, **{"group": SIZE, **options})


COLUMNS = [ITEM, sessions(), PRICE]
SMALL = {"num_heads": 2, "hidden_units": (4,)}
# A row of full sessions, one without any, one of two short ones, one of a single item.
LENGTHS = np.array([[3, 3, 3, 3], [0] * 4, [2, 1, 0, 0], [1, 0, 0, 0]])


def batch(seed=0):
    generator = np.random.default_rng(seed)
    ids = generator.integers(1, ITEMS, size=(4, SESSIONS, SIZE))
    return {
        "item_id": generator.integers(1, ITEMS, size=4),
        "hist_item_id": ids * (np.arange(SIZE) < LENGTHS[..., None]),
        "price": generator.normal(size=(4, 2)).astype("float32"),
    }


@pytest.fixture
def model():
    model = DSIN(COLUMNS, ["item_id"], **SMALL)
    randomize(model, scale=0.5)
    return model


def part(model, name, x):
    return keras.Model(model.input, model.get_layer(name).output)(x).numpy()


def test_prediction_is_that_of_the_equations(model):
    w = {weight.path: weight.numpy().astype("float64") for weight in model.weights}
    x = batch()
    np.testing.assert_allclose(model.predict(x, verbose=0), twins.dsin(w, x, heads=2), atol=1e-4)


def test_a_user_without_sessions_has_no_interests(model):
    x = batch()
    for name in ("activated_interest", "activated_interplay"):
        got = part(model, name, x)
        assert np.all(got[1] == 0) and np.all(np.abs(got[[0, 2, 3]]).max(axis=1) > 0)


def test_empty_sessions_get_no_weight(model):
    """The trap of a softmax over all K sessions."""
    x = batch()
    for name in ("interest_relevance", "interplay_relevance"):
        weights = part(model, name, x)
        np.testing.assert_allclose(weights.sum(axis=1), [1, 0, 1, 1], atol=1e-6)
        assert np.all(weights[2, 2:] == 0) and weights[3, 0] == pytest.approx(1)


def test_the_interplay_knows_later_sessions_but_no_padding(model):
    x = batch()
    later = {**x, "hist_item_id": x["hist_item_id"].copy()}
    later["hist_item_id"][2, 1, 0] = x["hist_item_id"][2, 1, 0] % (ITEMS - 1) + 1
    moved = np.abs(part(model, "session_interplay", later) - part(model, "session_interplay", x))
    assert moved[2, 0].max() > 1e-4, "the backward direction sees the second session"
    assert np.all(part(model, "session_interest", later)[2, 0]
                  == part(model, "session_interest", x)[2, 0])  # fmt: skip
    more = {**x, "hist_item_id": np.pad(x["hist_item_id"], [(0, 0), (0, 2), (0, 0)])}
    np.testing.assert_allclose(
        part(model, "session_interplay", more)[:, :SESSIONS],
        part(model, "session_interplay", x), atol=1e-6,
    )


def test_where_a_session_ends_counts(model):
    """The same four items as one session and three, or two and two."""
    x = batch()
    x["hist_item_id"][2] = [[1, 2, 3], [4, 0, 0], [0] * 3, [0] * 3]
    other = {**x, "hist_item_id": x["hist_item_id"].copy()}
    other["hist_item_id"][2] = [[1, 2, 0], [3, 4, 0], [0] * 3, [0] * 3]
    moved = model.predict(other, verbose=0) - model.predict(x, verbose=0)
    assert np.abs(moved[2]) > 1e-5


def test_every_item_column_enters_sessions_and_target():
    cate = SparseFeat("cate_id", 5, embedding_dim=2)
    past = VarLenSparseFeat(
        SparseFeat("hist_cate_id", 5, embedding_dim=2, embedding_name="cate_id"), 6, group=SIZE
    )
    model = DSIN([*COLUMNS, cate, past], ["item_id", "cate_id"], num_heads=3, lstm_units=2)
    assert model.get_layer("interest_relevance").kernel.shape == (WIDTH + 2, WIDTH + 2)
    assert model.get_layer("interplay_relevance").kernel.shape == (WIDTH + 2, 4)


def test_any_width_goes_with_any_heads():
    model = DSIN(COLUMNS, ["item_id"], num_heads=3, hidden_size=9)
    assert model.get_layer("session_interest").output.shape == (None, None, 9)


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        ([ITEM, sessions(group=1)], {}, "DSIN: 'hist_item_id' has group=1, but .* sessions"),
        (COLUMNS, {"num_heads": 3}, "DSIN: the interests are 4 wide, which num_heads=3 does not"),
        (COLUMNS, {"hidden_size": 7}, "DSIN: the interests are 7 wide, which num_heads=2"),
        ([ITEM], {}, "DSIN: 'item_id' needs its history, but no column 'hist_item_id'"),
        ([*COLUMNS, VarLenSparseFeat(SparseFeat("tags", 5), 3, combiner="none")], {},
         "DSIN: 'tags' .*stays a sequence"),
    ],
)  # fmt: skip
def test_errors(columns, options, message):
    with pytest.raises(ValueError, match=message):
        DSIN(columns, ["item_id"], **{**SMALL, **options})
