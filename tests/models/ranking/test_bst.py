import keras
import numpy as np
import pytest

from deeprec_tf import DenseFeat, VarLenDenseFeat, get_model
from deeprec_tf.models import BST
from tests.contract.checks import CHECKS
from tests.contract.data import Subject
from tests.layers.contract import randomize
from tests.models.samples import COLUMNS, ITEM, MAXLEN, WITH_NEGATIVES, batch, history
from tests.reference import transformer as twins

SMALL = {"num_heads": 2, "hidden_size": 6, "position_width": 3, "hidden_units": (4,)}
TIMES = [DenseFeat("timestamp", dtype="int64"), VarLenDenseFeat("hist_timestamp", MAXLEN,
                                                                dtype="int64")]  # fmt: skip
HOUR = 3600


def built(columns=COLUMNS, **options):
    model = BST(columns, ["item_id"], **{**SMALL, **options})
    randomize(model, scale=0.5)
    return model


def weights_of(model):
    return {weight.path: weight.numpy().astype("float64") for weight in model.weights}


def with_times(x):
    """Target times, and a history before each; some items within one bucket."""
    ago = np.array([900, 40, 3, 1, 0]) * HOUR + 7
    now = 1_700_000_000 + np.arange(4) * 1000
    return {
        **x, "timestamp": now, "hist_timestamp": (now[:, None] - ago) * (x["hist_item_id"] > 0),
    }


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("readout", ["target", "flatten", "mean"])
def test_prediction_is_that_of_the_equations(readout, layers):
    model, x = built(readout=readout, num_layers=layers), batch()
    wanted = twins.bst(
        weights_of(model), x, heads=2, readout=readout, layers=layers, maxlen=MAXLEN
    )
    np.testing.assert_allclose(model.predict(x, verbose=0), wanted, atol=1e-4)


def test_prediction_with_time_positions():
    columns = [*COLUMNS, *TIMES]
    model, x = built(columns, time_column="timestamp", time_unit=HOUR), with_times(batch())
    wanted = twins.bst(
        weights_of(model), x, heads=2, readout="target", layers=1, maxlen=MAXLEN, time_unit=HOUR
    )
    np.testing.assert_allclose(model.predict(x, verbose=0), wanted, atol=1e-4)


def interest(model, x):
    return keras.Model(model.input, model.get_layer("block_0").output)(x).numpy()[:, 0]


def test_the_target_is_part_of_the_sequence():
    """The trap of a Transformer over the history alone, beside a pooling by the target."""
    model, x = built(), batch()
    block = model.get_layer("block_0")
    items = keras.Model(model.input, model.get_layer("items").output)(x).numpy()
    table = model.get_layer("embedding_item_id").embeddings.numpy()
    np.testing.assert_allclose(items[:, -1], table[x["item_id"]], atol=1e-6)
    alone = interest(model, x)[1:2]  # without a history the target looks at itself
    assert np.isfinite(alone).all() and block.num_heads == 2


def test_what_an_item_says_depends_on_the_target():
    """A sum of what target and history say apart would have equal differences."""
    model, x = built(), batch()
    rows = {name: np.repeat(array[:1], 4, axis=0) for name, array in x.items()}
    rows["item_id"] = np.array([1, 1, 2, 2])
    rows["hist_item_id"][[0, 2], 0], rows["hist_item_id"][[1, 3], 0] = 3, 4
    got = interest(model, rows)
    assert np.abs((got[0] - got[1]) - (got[2] - got[3])).max() > 1e-2


def test_the_order_of_the_history_counts():
    model, x = built(), batch()
    turned = {**x, "hist_item_id": x["hist_item_id"].copy()}
    turned["hist_item_id"][0] = turned["hist_item_id"][0][::-1]
    assert np.abs(interest(model, turned) - interest(model, x))[0].max() > 1e-3


def test_positions_are_learned_not_sinusoids():
    table = BST(COLUMNS, ["item_id"], **SMALL).get_layer("positions").table
    assert table.trainable and table.shape == (MAXLEN + 1, 3)


def test_positions_count_from_the_target_whatever_the_padding():
    model, x = built(), batch()
    cut = keras.Model(model.input, model.get_layer("positions").output)
    longer = {**x, "hist_item_id": np.pad(x["hist_item_id"], [(0, 0), (0, 1)])}
    np.testing.assert_array_equal(cut(longer)[2, :2], cut(x)[2, :2])
    np.testing.assert_array_equal(cut(longer)[:, -1], cut(x)[:, -1])


def test_time_moves_a_behavior_into_another_bucket():
    columns = [*COLUMNS, *TIMES]
    model, x = built(columns, time_column="timestamp", time_unit=HOUR), with_times(batch())
    later = {**x, "timestamp": x["timestamp"] + 400 * HOUR}
    assert np.abs(interest(model, later) - interest(model, x))[0].max() > 1e-3
    np.testing.assert_allclose(interest(model, later)[1], interest(model, x)[1], atol=1e-6)


def test_times_are_no_features_of_the_tower():
    model = BST([ITEM, history("hist_item_id"), *TIMES], ["item_id"], time_column="timestamp",
                **SMALL)  # fmt: skip
    assert model.get_layer("tower").blocks[0][0].kernel.shape == (6, 4)


def test_any_widths_go_with_any_heads():
    """The trap of an element, item and position, that the heads do not divide."""
    model = BST(COLUMNS, ["item_id"], num_heads=3, hidden_size=6, position_width=1)
    assert model.get_layer("elements").kernel.shape == (5, 6)


def test_only_what_is_read_is_computed_in_the_last_block():
    model = BST(COLUMNS, ["item_id"], num_layers=2, **SMALL)
    assert model.get_layer("block_0").output.shape == (None, None, 6)
    assert model.get_layer("block_1").output.shape == (None, 1, 6)
    model = BST(COLUMNS, ["item_id"], readout="mean", **SMALL)
    assert model.get_layer("block_0").output.shape == (None, None, 6)


def test_the_attention_of_the_target_can_be_looked_at():
    model, x = built(), batch()
    block = model.get_layer("block_0")
    node = block._inbound_nodes[0]
    parts = keras.Model(model.input, [*node.arguments.args, node.arguments.kwargs["queries"],
                                      node.arguments.kwargs["sequence_mask"]])  # fmt: skip
    sequence, queries, mask = parts(x)
    weights = block.explain(sequence, mask, queries)["weights"].numpy()
    assert weights.shape == (4, 2, 1, 6)
    np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-5)
    np.testing.assert_allclose(weights[1, :, 0, -1], 1, atol=1e-6)


@pytest.mark.parametrize("check", ["build", "gradient", "batch_order", "xla", "onnx"])
def test_contract_with_time_positions(check, tmp_path):
    columns = [*COLUMNS, *TIMES]

    class Timed(Subject):
        def batch(self, rows=12, steps=5, seed=7, **options):
            generator, steps = np.random.default_rng((seed, rows)), min(steps, MAXLEN)
            real = np.arange(steps) < generator.integers(0, steps + 1, size=(rows, 1))
            now = 1_700_000_000 + generator.integers(0, 10**6, size=(rows, 1))
            ago = generator.integers(0, 10**7, size=(rows, steps))
            return {
                "item_id": generator.integers(1, 9, size=rows),
                "hist_item_id": generator.integers(1, 9, size=(rows, steps)) * real,
                "price": generator.normal(size=(rows, 2)).astype("float32"),
                "timestamp": now, "hist_timestamp": (now - ago) * real,
            }

    options = {**SMALL, "time_column": "timestamp", "dropout": 0.0}
    subject = Timed("BST", get_model("BST").builder, columns, (columns, ["item_id"]), options)
    CHECKS[check](subject, *((tmp_path,) if check == "onnx" else ()))


def test_dropout_of_the_paper_is_on():
    model = BST(COLUMNS, ["item_id"], **SMALL)
    assert model.get_layer("block_0").dropout == model.get_layer("tower").dropout == 0.2


def test_negative_behaviors_are_left_out():
    model = BST(WITH_NEGATIVES, ["item_id"], **SMALL)
    assert "neg_hist_item_id" not in model.input
    model.fit(batch(), np.ones(4), verbose=0)


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        (COLUMNS, {"readout": "last"}, "BST: readout must be one of .*got 'last'"),
        (COLUMNS, {"hidden_size": 7}, "BST: .*multiple of num_heads, got 1, 7 and 2"),
        (COLUMNS, {"num_layers": 0}, "BST: num_layers must be at least 1"),
        ([ITEM], {}, "BST: 'item_id' needs its history, but no column 'hist_item_id'"),
        (COLUMNS, {"time_column": "when"}, "BST: time_column='when' needs DenseFeat"),
        ([*COLUMNS, TIMES[0]], {"time_column": "timestamp"},
         "needs VarLenDenseFeat.'hist_timestamp'"),
        ([*COLUMNS, DenseFeat("timestamp"), TIMES[1]], {"time_column": "timestamp"},
         "BST: 'timestamp' is float32, 'hist_timestamp' int64"),
        ([*COLUMNS, *TIMES], {}, "BST: 'hist_timestamp' .*stays a sequence"),
    ],
)  # fmt: skip
def test_errors(columns, options, message):
    with pytest.raises(ValueError, match=message):
        BST(columns, ["item_id"], **{**SMALL, **options})
