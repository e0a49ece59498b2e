import numpy as np
import pytest

from deeprec_tf import DenseFeat, SparseFeat, VarLenDenseFeat, VarLenSparseFeat
from deeprec_tf.models import MaskNet
from deeprec_tf.tables import table_values
from tests.layers.contract import randomize
from tests.reference.core import sigmoid
from tests.reference.interaction_rest import field_norm, instance_mask, mask_block

FIELDS = [SparseFeat("user", 5, embedding_dim=3), SparseFeat("item", 4, embedding_dim=3),
          SparseFeat("city", 3, embedding_dim=3)]  # fmt: skip
PRICE = DenseFeat("price", 2)
GENERATOR = np.random.default_rng(0)
X = {
    "user": GENERATOR.integers(0, 5, size=6), "item": GENERATOR.integers(0, 4, size=6),
    "city": GENERATOR.integers(0, 3, size=6),
    "price": GENERATOR.normal(size=(6, 2)).astype("float32"),
}


def weights_of(model):
    return {weight.path: weight.numpy().astype("float64") for weight in model.weights}


def block_of(w, name, hidden, flat):
    mask = instance_mask(
        flat,
        (w[f"{name}/mask_hidden/kernel"], w[f"{name}/mask_hidden/bias"]),
        (w[f"{name}/mask_output/kernel"], w[f"{name}/mask_output/bias"]),
    )
    return mask_block(
        hidden, mask, w[f"{name}/dense/kernel"], w[f"{name}/norm/gamma"], w[f"{name}/norm/beta"]
    )


@pytest.mark.parametrize(
    ("structure", "embedding_norm"), [("parallel", True), ("serial", True), ("serial", False)]
)
def test_the_figure(structure, embedding_norm):
    model = MaskNet(
        [*FIELDS, PRICE], structure=structure, block_units=(4, 5), hidden_units=(),
        embedding_norm=embedding_norm,
    )
    randomize(model)
    w = weights_of(model)
    fields = np.stack([table_values(model, c.name)[X[c.name]] for c in FIELDS], axis=1)
    fields = fields.astype("float64")
    flat = np.concatenate([fields.reshape(6, -1), X["price"]], axis=1)
    start = flat
    if embedding_norm:
        normalized = field_norm(fields, w["field_norm/gamma"], w["field_norm/beta"])
        start = np.concatenate([normalized.reshape(6, -1), X["price"]], axis=1)
    first = block_of(w, "block_0", start, flat)
    if structure == "serial":
        output = block_of(w, "block_1", first, flat)
    else:
        output = np.concatenate([first, block_of(w, "block_1", start, flat)], axis=1)
    logit = output @ w["tower_logit/kernel"][:, 0] + w["probability/bias"][0]
    wanted = [sigmoid(value) for value in logit]
    np.testing.assert_allclose(model.predict(X, verbose=0)[:, 0], wanted, atol=1e-4)


def test_the_masks_of_all_blocks_read_the_embeddings_as_they_are():
    model = MaskNet(FIELDS, structure="serial", block_units=(4, 5))
    assert model.get_layer("block_1").mask_hidden.kernel.shape == (9, 8)
    assert model.get_layer("block_1").mask_output.kernel.shape == (8, 4)


def test_settings_of_the_frappe_benchmark():
    model = MaskNet(FIELDS, structure="parallel", block_units=(50, 50, 50), reduction_ratio=2,
                    block_dropout=0.1, dropout=0.1, hidden_units=(400, 400, 400))  # fmt: skip
    assert model.get_layer("block_2").mask_hidden.kernel.shape == (9, 18)
    assert model.get_layer("tower").blocks[0][0].kernel.shape == (150, 400)


def test_a_linear_part_where_two_lists_are_given():
    one = [layer.name for layer in MaskNet(FIELDS).layers]
    assert not [name for name in one if "linear" in name]
    two = MaskNet([FIELDS[0]], FIELDS)
    assert table_values(two, "user", linear=True).shape == (5, 1)


GENRES = VarLenSparseFeat(SparseFeat("genres", 6, embedding_dim=3), 3, combiner="none")


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        (FIELDS, {"structure": "both"}, "structure must be 'parallel' or 'serial', got 'both'"),
        (FIELDS, {"block_units": ()}, "MaskNet: block_units must name at least one block"),
        ([PRICE], {}, "MaskNet: interactions need at least one SparseFeat"),
        ([FIELDS[0], SparseFeat("item", 4, embedding_dim=5)], {}, "one embedding_dim, got .*item"),
        ([SparseFeat("user", 5, embedding_dim=1)], {}, "field_norm: .*width 1 constant"),
        ([FIELDS[0], GENRES], {}, "genres.*combiner"),
        ([FIELDS[0], VarLenDenseFeat("times", 4)], {}, "MaskNet: 'times' .*stays a sequence"),
    ],
)
def test_errors(columns, options, message):
    with pytest.raises(ValueError, match=message):
        MaskNet(columns, **options)
