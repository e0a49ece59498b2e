import numpy as np
import pytest

from deeprec_tf import DenseFeat, SparseFeat, VarLenDenseFeat, VarLenSparseFeat
from deeprec_tf.models import FinalMLP
from deeprec_tf.tables import table_values
from tests.layers.contract import randomize
from tests.reference.core import sigmoid
from tests.reference.interaction_rest import bilinear_fusion, feature_gates

USER, ITEM, PRICE = (
    SparseFeat("user", 5, embedding_dim=3), SparseFeat("item", 4, embedding_dim=2),
    DenseFeat("price", 2),
)  # fmt: skip
COLUMNS = [USER, PRICE, ITEM]
GENERATOR = np.random.default_rng(0)
X = {
    "user": GENERATOR.integers(0, 5, size=6), "item": GENERATOR.integers(0, 4, size=6),
    "price": GENERATOR.normal(size=(6, 2)).astype("float32"),
}


def weights_of(model):
    return {weight.path: weight.numpy().astype("float64") for weight in model.weights}


def vectors_of(model, name):
    return table_values(model, name)[X[name]].astype("float64")


def flat_of(model):
    return np.concatenate([vectors_of(model, "user"), X["price"], vectors_of(model, "item")], 1)


def tower_of(w, name, x):
    return np.maximum(x @ w[f"{name}/dense_0/kernel"] + w[f"{name}/dense_0/bias"], 0)


def fused(w, first, second):
    parts = [w[f"fusion/{name}"] for name in ("first_kernel", "second_kernel", "bilinear")]
    logit = bilinear_fusion(first, second, parts[0][:, 0], parts[1][:, 0], parts[2])[:, 0]
    return [sigmoid(value + w["probability/bias"][0]) for value in logit]


def test_the_figure():
    model = FinalMLP(COLUMNS, hidden_units=(4,), second_hidden_units=(6,), gate_hidden_units=(5,),
                     first_context=["user"], second_context=["item", "price"])  # fmt: skip
    randomize(model)
    w, flat = weights_of(model), flat_of(model)
    contexts = [
        vectors_of(model, "user"),
        np.concatenate([vectors_of(model, "item"), X["price"]], axis=1),
    ]
    outputs = []
    for i, (tower, context) in enumerate(zip(("first", "second"), contexts, strict=True)):
        hidden, output = (
            (w[f"gate_{i}/{name}/kernel"], w[f"gate_{i}/{name}/bias"])
            for name in ("hidden/dense_0", "gate")
        )
        gated = flat * feature_gates(context, [hidden], output)
        outputs.append(tower_of(w, f"{tower}_tower", gated))
    np.testing.assert_allclose(
        model.predict(X, verbose=0)[:, 0], fused(w, *outputs), atol=1e-5
    )


def test_without_gates_and_bilinear_weights_it_is_the_sum_of_two_towers():
    model = FinalMLP(COLUMNS, gate_hidden_units=None, hidden_units=(4,))
    randomize(model)
    model.get_layer("fusion").bilinear.assign(np.zeros((2, 2, 2)))
    w, flat = weights_of(model), flat_of(model)
    logit = w["probability/bias"][0]
    for name in ("first", "second"):
        logit = logit + tower_of(w, f"{name}_tower", flat) @ w[f"fusion/{name}_kernel"][:, 0]
    wanted = [sigmoid(value) for value in logit]
    np.testing.assert_allclose(model.predict(X, verbose=0)[:, 0], wanted, atol=1e-5)


def test_without_contexts_the_gates_are_learned_vectors():
    model = FinalMLP(COLUMNS, hidden_units=(4,))
    gates = [model.get_layer(f"gate_{i}") for i in range(2)]
    assert all(gate.context.shape == (1, 16) for gate in gates)
    assert gates[0].explain(None)["gates"].shape == (7,)
    assert not np.array_equal(*(gate.context.numpy() for gate in gates)), "two streams, two nets"


def test_contexts_are_cut_from_the_flat_vector_without_another_gather():
    model = FinalMLP([USER, SparseFeat("item", 4, embedding_dim=3)], first_context=["item"])
    (table,) = [layer for layer in model.layers if hasattr(layer, "tables")]
    assert len([n for n in table._inbound_nodes if n.operation is table]) == 1
    assert model.get_layer("gate_0").hidden.blocks[0][0].kernel.shape == (3, 64)


def test_settings_of_the_frappe_benchmark():
    model = FinalMLP(
        [USER, ITEM], hidden_units=(400,), second_hidden_units=(100,), dropout=0.4,
        second_dropout=0.4, batch_norm=True, num_heads=5, first_context=["user"],
        second_context=["item"],
    )
    assert model.get_layer("fusion").bilinear.shape == (5, 80, 20)


def test_each_tower_has_its_own_dropout_and_normalization():
    model = FinalMLP(COLUMNS, dropout=0.1, second_dropout=0.0, batch_norm=True,
                     second_batch_norm=False)  # fmt: skip
    first, second = (model.get_layer(f"{name}_tower") for name in ("first", "second"))
    assert (first.dropout, first.batch_norm) == (0.1, True)
    assert (second.dropout, second.batch_norm) == (0.0, False)
    both = FinalMLP(COLUMNS, dropout=0.1, batch_norm=True).get_layer("second_tower")
    assert (both.dropout, both.batch_norm) == (0.1, True)


def test_a_linear_part_where_two_lists_are_given():
    assert not [layer.name for layer in FinalMLP(COLUMNS).layers if "linear" in layer.name]
    assert table_values(FinalMLP([USER], COLUMNS), "user", linear=True).shape == (5, 1)


GENRES = VarLenSparseFeat(SparseFeat("genres", 6, embedding_dim=3), 3, combiner="none")


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        (COLUMNS, {"first_context": ["city"]}, r"out of \['user', 'price', 'item'\], got \['city"),
        (COLUMNS, {"second_context": "item"}, "a context must be a list .* got 'item'"),
        (COLUMNS, {"gate_hidden_units": None, "first_context": ["user"]}, "are the gates'"),
        (COLUMNS, {"num_heads": 3}, "fusion: the streams' widths 64 and 64 must be divisible"),
        (COLUMNS, {"second_hidden_units": (3,)}, "widths 64 and 3 must be divisible by num_heads"),
        ([], {}, "no columns were given"),
        ([*COLUMNS, GENRES], {}, "FinalMLP: 'genres' has combiner 'none'"),
        ([*COLUMNS, VarLenDenseFeat("times", 4)], {}, "FinalMLP: 'times' .*stays a sequence"),
    ],
)
def test_errors(columns, options, message):
    with pytest.raises(ValueError, match=message):
        FinalMLP(columns, **options)
