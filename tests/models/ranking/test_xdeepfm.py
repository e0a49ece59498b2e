import numpy as np
import pytest

from deeprec_tf import DenseFeat, SparseFeat, VarLenDenseFeat, VarLenSparseFeat
from deeprec_tf.models import DeepFM, WideDeep, xDeepFM
from deeprec_tf.tables import set_table_values, table_values
from tests.layers.contract import randomize

FIELDS = [SparseFeat("user", 5, embedding_dim=3), SparseFeat("item", 4, embedding_dim=3),
          SparseFeat("city", 3, embedding_dim=3)]  # fmt: skip
PRICE = DenseFeat("price", 2)
GENERATOR = np.random.default_rng(0)
X = {
    "user": GENERATOR.integers(0, 5, size=6), "item": GENERATOR.integers(0, 4, size=6),
    "city": GENERATOR.integers(0, 3, size=6),
    "price": GENERATOR.normal(size=(6, 2)).astype("float32"),
}


def copy_weights(source, target):
    """All weights that both models have, by their place."""
    for column in FIELDS:
        for linear in (False, True):
            values = table_values(source, column.name, linear=linear)
            set_table_values(target, column.name, values, linear=linear)
    names = {weight.path: weight for weight in source.weights}
    for weight in target.weights:
        if weight.path in names and not weight.path.startswith("embedding_"):
            weight.assign(names[weight.path])


def test_upper_triangle_without_activation_makes_it_deepfm():
    model = xDeepFM([*FIELDS, PRICE], cin_sizes=(1,), hidden_units=(4,))
    known = DeepFM([*FIELDS, PRICE], hidden_units=(4,))
    randomize(model)
    model.get_layer("cin").kernels[0].assign(np.triu(np.ones((3, 3)), k=1).reshape(-1, 1))
    model.get_layer("cin_logit").kernel.assign([[1.0]])
    copy_weights(model, known)
    np.testing.assert_allclose(
        model.predict(X, verbose=0), known.predict(X, verbose=0), atol=1e-5
    )


def test_a_silent_interaction_network_leaves_wide_and_deep():
    model = xDeepFM([*FIELDS, PRICE], cin_sizes=(4, 2), hidden_units=(4,))
    known = WideDeep([*FIELDS, PRICE], hidden_units=(4,))
    randomize(model)
    model.get_layer("cin_logit").kernel.assign(np.zeros((6, 1)))
    copy_weights(model, known)
    np.testing.assert_allclose(
        model.predict(X, verbose=0), known.predict(X, verbose=0), atol=1e-5
    )


def test_every_layers_maps_reach_the_logit():
    assert xDeepFM(FIELDS, cin_sizes=(6, 4)).get_layer("cin_logit").kernel.shape == (10, 1)
    halves = xDeepFM(FIELDS, cin_sizes=(6, 4), split_half=True)
    assert halves.get_layer("cin_logit").kernel.shape == (7, 1)


def test_numbers_go_to_the_tower_and_not_to_the_interactions():
    model = xDeepFM([*FIELDS, PRICE], cin_sizes=(4,), hidden_units=(8,))
    assert model.get_layer("cin").kernels[0].shape == (9, 4)
    assert model.get_layer("tower").blocks[0][0].kernel.shape == (3 * 3 + 2, 8)


def test_settings_of_the_frappe_benchmark():
    model = xDeepFM(FIELDS, cin_sizes=(64,), hidden_units=(400, 400, 400), dropout=0.2,
                    batch_norm=True)  # fmt: skip
    assert model.get_layer("cin_logit").kernel.shape == (64, 1)


def test_two_lists():
    model = xDeepFM([FIELDS[0]], FIELDS, cin_sizes=(4,), hidden_units=(4,))
    assert table_values(model, "user", linear=True).shape == (5, 1)
    with pytest.raises(KeyError, match="no linear_table 'item'"):
        table_values(model, "item", linear=True)
    assert not [layer.name for layer in xDeepFM([], FIELDS).layers if "linear" in layer.name]


GENRES = VarLenSparseFeat(SparseFeat("genres", 6, embedding_dim=3), 3, combiner="none")


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        ([PRICE], {}, "xDeepFM: interactions need at least one SparseFeat"),
        ([FIELDS[0], SparseFeat("item", 4, embedding_dim=5)], {}, "one embedding_dim, got .*item"),
        ([FIELDS[0], GENRES], {}, "genres.*combiner"),
        ([FIELDS[0], VarLenDenseFeat("times", 4)], {}, "xDeepFM: 'times' .*stays a sequence"),
        (FIELDS, {"cin_sizes": ()}, "cin: sizes must name at least one layer"),
        (FIELDS, {"cin_sizes": (3, 2), "split_half": True}, "cannot be split in halves"),
    ],
)
def test_errors(columns, options, message):
    with pytest.raises(ValueError, match=message):
        xDeepFM(columns, **options)


def test_a_number_that_nothing_reads_is_refused():
    with pytest.raises(ValueError, match="xDeepFM: .price. is read by the tower .*Add .price."):
        xDeepFM(FIELDS, [*FIELDS, PRICE], hidden_units=())
    xDeepFM([*FIELDS, PRICE], hidden_units=())  # the linear part reads it
