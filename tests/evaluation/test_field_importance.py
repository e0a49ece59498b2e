"""Importance by permutation: what counts, what runs in step, and numbers worked out by hand."""

import keras
import numpy as np
import pytest

from deeprec_tf import DenseFeat, SparseFeat, VarLenDenseFeat, VarLenSparseFeat
from deeprec_tf.evaluation import field_importance, plot_importance
from deeprec_tf.evaluation.field_importance import _in_step
from deeprec_tf.models import DIEN, DIN
from tests.export.samples import lively
from tests.models.samples import COLUMNS, WITH_NEGATIVES, batch
from tests.reference.metrics import auc_by_pairs

GENERATOR = np.random.default_rng(0)


def weighted(**weights):
    """A model that answers sigmoid(Σ weight x column)."""
    inputs = {name: keras.Input((1,), name=name) for name in weights}
    scaled = [keras.layers.Rescaling(float(weights[name]))(inputs[name]) for name in weights]
    total = keras.layers.Activation("sigmoid")(keras.layers.Add()(scaled))
    return keras.Model(inputs, total)


def test_the_column_that_the_model_reads_loses_what_the_metrics_say():
    x = {name: GENERATOR.normal(size=80) for name in ("strong", "unread", "weak")}
    y = (x["strong"] + 0.5 * GENERATOR.normal(size=80) > 0).astype(int)
    model = weighted(unread=0, strong=2.0, weak=0.3)
    table = field_importance(model, x, y, repeats=3, seed=4)
    assert table.index.tolist()[0] == "strong" and table.index.name == "inputs"
    assert list(table) == ["auc_drop", "auc_drop_std", "log_loss_rise", "log_loss_rise_std"]
    assert (table.loc["unread"] == 0).all()

    place = 0  # of "strong" among the inputs; the permutations are those of the seed

    def logits(strong):
        return 2.0 * strong + 0.3 * x["weak"]

    def log_loss(z):
        return np.mean(np.log1p(np.exp(z)) - y * z)

    drops, rises = [], []
    for repeat in range(3):
        order = np.random.default_rng((4, place, repeat)).permutation(80)
        after = logits(x["strong"][order])
        drops.append(auc_by_pairs(y, logits(x["strong"])) - auc_by_pairs(y, after))
        rises.append(log_loss(after) - log_loss(logits(x["strong"])))
    expected = [np.mean(drops), np.std(drops, ddof=1), np.mean(rises), np.std(rises, ddof=1)]
    np.testing.assert_allclose(table.loc["strong"], expected, atol=1e-5)


def test_the_seed_decides_and_one_repeat_has_no_deviation():
    x = {"a": GENERATOR.normal(size=40), "b": GENERATOR.normal(size=40)}
    y = GENERATOR.integers(0, 2, 40)
    model = weighted(a=1.0, b=-1.0)
    once = field_importance(model, x, y, seed=1)
    assert once.equals(field_importance(model, x, y, seed=1))
    assert not once.equals(field_importance(model, x, y, seed=2))
    assert field_importance(model, x, y, repeats=1)["auc_drop_std"].isna().all()


def test_another_metric_sorts_and_a_group_adds_gauc():
    x = {name: GENERATOR.normal(size=60) for name in "ab"} | {"user": np.arange(60) % 3}
    y = GENERATOR.integers(0, 2, 60)
    table = field_importance(weighted(a=1.0, b=2.0), x, y, metric="gauc", group="user")
    assert table["gauc_drop"].is_monotonic_decreasing
    assert set(table.index) == {"a", "b"}, "the group is no input"
    with pytest.raises(ValueError, match="metric must be one of .'auc', 'log_loss'., got 'gauc'"):
        field_importance(weighted(a=1.0, b=2.0), x, y, metric="gauc")


def test_several_tasks():
    x = keras.Input((1,), name="x")
    outputs = {
        "ctr": keras.layers.Activation("sigmoid", name="ctr")(x),
        "cvr": keras.layers.Activation("sigmoid", name="cvr")(keras.layers.Rescaling(0.0)(x)),
    }
    values = GENERATOR.normal(size=30)
    y = {"ctr": values > 0, "cvr": values > 0}
    table = field_importance(keras.Model({"x": x}, outputs), {"x": values}, y, metric="ctr_auc")
    assert table.loc["x", "ctr_auc_drop"] > 0.2 and table.loc["x", "cvr_log_loss_rise"] == 0


def test_histories_run_in_step_and_negatives_do_not_count():
    model = lively(DIEN(WITH_NEGATIVES, ["item_id"]))
    x = {name: np.repeat(values, 5, axis=0) for name, values in batch(COLUMNS).items()}
    table = field_importance(model, x, np.tile([0, 1], 10), repeats=1)
    assert set(table.index) == {"item_id", "hist_item_id", "price"}


def past(name, table, **options):
    return VarLenSparseFeat(SparseFeat(name, 9, embedding_name=table), maxlen=4, **options)


def test_in_step_are_columns_of_one_length_with_their_lengths_weights_and_times():
    columns = [
        SparseFeat("item", 9), past("hist_item", "item", length_name="steps"),
        past("hist_cate", "cate", weight_name="w"), VarLenDenseFeat("hist_time", maxlen=4),
        past("genres", "genres"), DenseFeat("price"),
    ]
    names = ["item", "hist_item", "steps", "hist_cate", "w", "hist_time", "genres", "price"]
    x = {
        "hist_item": np.array([[1, 2, 3, 0], [4, 0, 0, 0]]), "steps": np.array([3, 1]),
        "hist_cate": np.array([[5, 6, 7, 0], [8, 0, 0, 0]]), "w": np.ones((2, 4)),
        "hist_time": np.array([[0.0, 2.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]),
        "genres": np.array([[1, 0, 0, 0], [2, 3, 0, 0]]),
    }  # fmt: skip
    assert _in_step(columns, names, x) == [
        ("item",), ("hist_item", "steps", "hist_cate", "w", "hist_time"), ("genres",), ("price",)
    ]


def test_a_history_is_permuted_whole():
    columns = [SparseFeat("item", 9), past("hist_item", "item", length_name="steps")]
    model = lively(DIN([*columns], ["item"], attention_units=(4,), hidden_units=(4,)))
    steps = np.arange(1, 31) % 4 + 1
    hist = GENERATOR.integers(1, 9, (30, 4)) * (np.arange(4) < steps[:, None])
    x = {"item": GENERATOR.integers(0, 9, 30), "hist_item": hist, "steps": steps}
    # Alone, histories and lengths would disagree, which check_batch refuses.
    table = field_importance(model, x, np.tile([0, 1], 15), repeats=2)
    assert "hist_item + steps" in table.index and np.isfinite(table.to_numpy()).all()


def test_the_picture_has_a_bar_a_column(tmp_path):
    x = {"a": GENERATOR.normal(size=40), "b": GENERATOR.normal(size=40)}
    table = field_importance(weighted(a=1.0, b=-1.0), x, x["a"] > 0)
    figure = plot_importance(table, tmp_path / "importance.png")
    assert (tmp_path / "importance.png").exists()
    widths = [bar.get_width() for bar in figure.axes[0].patches]
    np.testing.assert_allclose(widths[::-1], table["auc_drop"])
    plot_importance(table, metric="log_loss")
    with pytest.raises(ValueError, match="metric must be one of .'auc', 'log_loss'., got 'gauc'"):
        plot_importance(table, metric="gauc")


def test_errors():
    model = weighted(a=1.0, b=1.0)
    with pytest.raises(ValueError, match="input 'b' is missing in x"):
        field_importance(model, {"a": np.zeros(2)}, [0, 1])
    with pytest.raises(ValueError, match="repeats must be at least 1, got 0"):
        field_importance(model, {"a": np.zeros(2), "b": np.zeros(2)}, [0, 1], repeats=0)
    with pytest.raises(TypeError, match="x must be a dict of arrays or a DataFrame"):
        field_importance(model, np.zeros((2, 2)), [0, 1])
