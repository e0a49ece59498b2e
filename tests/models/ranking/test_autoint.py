import numpy as np
import pytest

from deeprec_tf import DenseFeat, SparseFeat
from deeprec_tf.layers import InteractingLayer
from deeprec_tf.models import AutoInt
from deeprec_tf.tables import table_values
from tests.layers.contract import randomize
from tests.layers.interaction.test_interacting import parts_of
from tests.reference.attention import interacting
from tests.reference.core import dense_fields, sigmoid
from tests.reference.transformer import layer_norm

FIELDS = [SparseFeat("user", 5, embedding_dim=4), SparseFeat("item", 4, embedding_dim=4)]
PRICE = DenseFeat("price", 2)
GENERATOR = np.random.default_rng(0)
X = {
    "user": GENERATOR.integers(0, 5, size=6), "item": GENERATOR.integers(0, 4, size=6),
    "price": GENERATOR.normal(size=(6, 2)).astype("float32"),
}


@pytest.mark.parametrize("normalized", [False, True])
def test_two_layers_by_hand(normalized):
    model = AutoInt(
        [*FIELDS, PRICE], num_layers=2, num_heads=2, head_size=2,
        additions=("layer_norm",) if normalized else (),
    )
    randomize(model, scale=0.5)
    numbers = np.asarray(model.get_layer("number_fields").vectors, "float64")
    fields = np.concatenate(
        [
            np.stack([table_values(model, c.name)[X[c.name]] for c in FIELDS], axis=1),
            dense_fields(X["price"], numbers),
        ],
        axis=1,
    )
    for i in range(2):
        kernel = np.asarray(model.get_layer(f"interacting_{i}").kernel, "float64")
        _, fields = interacting(fields, *parts_of(kernel, 2, 2), np.eye(4))
        if normalized:
            norm = model.get_layer(f"norm_{i}")
            fields = np.array([
                layer_norm(row, np.asarray(norm.gamma), np.asarray(norm.beta)) for row in fields
            ])  # fmt: skip
    to_one = np.asarray(model.get_layer("interaction_logit").kernel, "float64")
    bias = float(model.get_layer("probability").bias[0])
    wanted = [sigmoid(x + bias) for x in (fields.reshape(6, -1) @ to_one)[:, 0]]
    np.testing.assert_allclose(model.predict(X, verbose=0)[:, 0], wanted, atol=1e-5)


def test_the_authors_form_reaches_every_layer():
    additions = ("projection_relu", "scaled_scores")
    model = AutoInt(FIELDS, num_layers=2, residual="project", additions=additions)
    for i in range(2):
        config = model.get_layer(f"interacting_{i}").get_config()
        assert config["residual"] == "project" and all(config[name] for name in additions)


def test_the_paper_has_no_linear_part_and_two_lists_add_one():
    alone = AutoInt(FIELDS, num_layers=1)
    with pytest.raises(KeyError, match="linear_table"):
        table_values(alone, "user", linear=True)
    both = AutoInt(FIELDS, FIELDS, num_layers=1)
    assert table_values(both, "user", linear=True).shape == (5, 1)


def test_plus_is_a_tower_over_the_same_embeddings():
    model = AutoInt([*FIELDS, PRICE], hidden_units=(3,), num_layers=1)
    assert model.get_layer("tower").blocks[0][0].kernel.shape == (4 * 4, 3)
    assert sum(isinstance(layer, InteractingLayer) for layer in model.layers) == 1


def test_dropout_of_embeddings_works_in_training_alone():
    model = AutoInt(FIELDS, num_layers=1, embedding_dropout=0.5)
    randomize(model, scale=0.5)
    batch = {name: X[name] for name in ("user", "item")}
    still = np.asarray(model(batch))
    np.testing.assert_array_equal(model(batch), still)
    assert not np.allclose(model(batch, training=True), still)


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        (FIELDS, {"num_layers": 0}, "AutoInt: num_layers must be at least 1, got 0"),
        (FIELDS, {"additions": ("norm",)}, r"AutoInt: additions must be some of .*'norm'"),
        ([PRICE], {}, "AutoInt: interactions need at least one SparseFeat"),
        ([FIELDS[0], SparseFeat("city", 3, embedding_dim=5)], {}, "one embedding_dim"),
    ],
)
def test_errors(columns, options, message):
    with pytest.raises(ValueError, match=message):
        AutoInt(columns, **options)
