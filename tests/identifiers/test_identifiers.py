"""Identifiers: what all builders promise, and what each does."""

import keras
import numpy as np
import pytest

from deeprec_tf.identifiers import (
    ItemCodes,
    PrefixTree,
    hierarchical_kmeans_codes,
    random_codes,
    residual_kmeans_codes,
    rq_vae_codes,
    with_collision_digit,
)
from deeprec_tf.identifiers.item_codes import item_codes_of
from deeprec_tf.identifiers.kmeans import constrained_kmeans, kmeans
from deeprec_tf.layers import ResidualQuantizer

GENERATOR = np.random.default_rng(0)
CENTERS = GENERATOR.normal(scale=10, size=(4, 6))
GROUP = GENERATOR.integers(4, size=90)
VECTORS = np.concatenate([np.full((1, 6), 99.0), CENTERS[GROUP] + GENERATOR.normal(size=(90, 6))])

PAIR = ItemCodes([[0], [1], [2]])

BUILDERS = {
    "residual": lambda: residual_kmeans_codes(VECTORS, 2, 4),
    "rq_vae": lambda: rq_vae_codes(VECTORS, 2, 4, hidden_units=(16,), latent_dim=4, epochs=20),
    "hierarchical": lambda: hierarchical_kmeans_codes(VECTORS, 5, 3),
    "random": lambda: random_codes(90, 3),
}


@pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)
def test_all_builders_give_the_same_form_and_the_same_twice(build):
    found = build()
    assert found.codes.shape == (91, len(found.sizes)) and found.codes.dtype == "int32"
    assert not found.codes[0].any() and found.codes[1:].min() == 1
    assert len(np.unique(found.codes, axis=0)) == 91
    assert (found.codes.max(axis=0) <= found.sizes).all()
    np.testing.assert_array_equal(build().codes, found.codes)
    ItemCodes(found.codes)  # as plain arrays, too


@pytest.mark.parametrize("name", ["residual", "rq_vae", "hierarchical"])
def test_items_that_are_alike_share_their_first_code(name):
    first = BUILDERS[name]().codes[1:, 0]
    alike, same = GROUP[:, None] == GROUP, first[:, None] == first
    if name == "residual":
        assert (alike == same).all(), "one code a group of well separated vectors"
    assert same[alike].mean() > 3 * same[~alike].mean()


def test_padding_is_not_read():
    other = VECTORS.copy()
    other[0] = -5.0
    np.testing.assert_array_equal(
        residual_kmeans_codes(other, 2, 4).codes, residual_kmeans_codes(VECTORS, 2, 4).codes
    )


@pytest.mark.parametrize(("items", "branching", "levels"), [(90, 5, 3), (64, 4, 3), (7, None, 2)])
def test_every_cluster_of_the_tree_is_within_its_bound(items, branching, levels):
    found = hierarchical_kmeans_codes(VECTORS[: items + 1], branching, levels)
    size = found.sizes[0]
    assert set(found.sizes) == {size} and size**levels >= items
    for position in range(1, levels):
        _, counts = np.unique(found.codes[1:, :position], axis=0, return_counts=True)
        assert counts.max() <= size ** (levels - position)
    again = hierarchical_kmeans_codes(VECTORS[: items + 1], branching, levels, seed=1)
    if items == 90:
        assert (again.codes != found.codes).any(), "identifiers depend on the seed"


def test_collisions_get_running_numbers():
    found = with_collision_digit([[0, 0], [2, 1], [1, 1], [2, 1], [2, 2], [2, 1]])
    assert found.codes[:, 2].tolist() == [0, 1, 1, 2, 1, 3]
    assert found.sizes == (2, 2, 3)
    same = np.ones((6, 3))  # all vectors alike
    assert sorted(residual_kmeans_codes(same, 2, 3).codes[1:, -1]) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("group", "sizes"),
    [(256, (256,)), (257, (16, 17)), (2000, (45, 45)), (2**16 + 1, (39, 41, 41))],
)
def test_many_collisions_take_more_digits_of_few_codes(group, sizes):
    codes = np.concatenate([[[0]], np.full((group, 1), 7), np.arange(1, 7)[:, None]])
    found = with_collision_digit(codes, [7])
    assert found.sizes == (7, *sizes)
    assert len(np.unique(found.codes[1:], axis=0)) == group + 6
    assert (found.codes[-6:, 1:] == 1).all()
    wanted = np.arange(group)
    for size, column in zip(found.sizes[:0:-1], found.codes[1 : group + 1, :0:-1].T, strict=True):
        base = found.sizes[-1]
        np.testing.assert_array_equal(column - 1, wanted % base)
        assert size <= 256
        wanted = wanted // base
    assert not wanted.any()


def test_the_tree_of_many_items_of_one_vector_stays_small():
    codes = np.arange(1, 12_001).clip(max=10_001)
    tree = PrefixTree.of(with_collision_digit(np.concatenate([[0], codes])[:, None]))
    assert tree.num_items == 12_000
    assert sum(table.nbytes for table in tree.tables) < 5e6


def test_residual_codes_cluster_what_is_left():
    """Level 2 of a sum of two well separated grids is the finer grid, whatever level 1 is."""
    coarse, fine = np.array([0.0, 100.0]), np.array([0.0, 10.0, 20.0])
    values = (coarse[:, None] + fine).reshape(-1)
    vectors = np.concatenate([[0.0], np.repeat(values, 3)])[:, None]
    codes = residual_kmeans_codes(vectors, 2, 3).codes[1:].reshape(2, 3, 3, -1)
    assert (codes[..., 1] == codes[:1, ..., 1]).all() or len(np.unique(codes[..., :2])) <= 3


def test_code_use():
    assert ItemCodes([[0, 0], [1, 1], [1, 2]], (4, 2)).code_use == [0.25, 1.0]


def test_the_use_of_codes_is_that_of_the_trained_codebooks(monkeypatch):
    """Dead codes come to life during the training; a collapse at its end is told."""
    trained, asked, uses = [], [], []
    fit, codes_of, revive = keras.Model.fit, ResidualQuantizer.codes_of, ResidualQuantizer.revive

    def watched_fit(model, *args, callbacks, **kwargs):
        books = model.get_layer("quantizer").codebooks
        watch = keras.callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs: trained.append(np.array(books))
        )
        return fit(model, *args, callbacks=[watch, *callbacks], **kwargs)

    def watched_codes(quantizer, vectors):
        asked.append(np.array(quantizer.codebooks))
        return codes_of(quantizer, vectors)

    def watched_revive(quantizer, vectors, generator):
        before = codes_of(quantizer, vectors)
        revive(quantizer, vectors, generator)
        after = codes_of(quantizer, vectors)
        uses.append([len(np.unique(codes[:, 0])) for codes in (before, after)])

    monkeypatch.setattr(keras.Model, "fit", watched_fit)
    monkeypatch.setattr(ResidualQuantizer, "codes_of", watched_codes)
    monkeypatch.setattr(ResidualQuantizer, "revive", watched_revive)
    generator = np.random.default_rng(0)
    vectors = np.repeat(generator.normal(size=(10, 6)), [41] + [40] * 9, axis=0)
    vectors += 1e-3 * generator.normal(size=vectors.shape)
    found = rq_vae_codes(vectors, 2, 64, hidden_units=(16,), latent_dim=4, epochs=6)
    assert len(trained) == 6 and len(uses) == 5, "none moves after the last epoch"
    np.testing.assert_array_equal(asked[-1], trained[-1])
    assert all(before < after for before, after in uses)
    assert found.code_use[0] < 0.6, "ten groups need no 64 codes"


def test_constrained_clusters_are_the_plain_ones_where_there_is_room():
    _, plain = kmeans(VECTORS[1:], 4, seed=3)
    bounded = constrained_kmeans(VECTORS[1:], 4, 90, seed=3)
    np.testing.assert_array_equal(plain, bounded)
    tight = constrained_kmeans(VECTORS[1:], 9, 10)
    assert np.bincount(tight).tolist() == [10] * 9


def test_the_prefix_tree_holds_exactly_the_items():
    found = BUILDERS["residual"]()
    tables = PrefixTree.of(found).tables
    assert [table.shape[1] for table in tables] == list(found.sizes)
    for item, codes in enumerate(found.codes[1:], 1):
        node = 1
        for table, code in zip(tables, codes, strict=True):
            node = table[node, code - 1]
        assert node == item
    prefixes = [len(np.unique(found.codes[1:, :n], axis=0)) for n in (1, 2, 3)]
    assert [np.count_nonzero(table) for table in tables] == prefixes
    assert not any(table[0].any() for table in tables)


def test_a_tree_without_some_items_leads_to_the_others_by_their_ids():
    codes = ItemCodes([[0, 0], [1, 1], [1, 2], [2, 1], [2, 2], [3, 1]], (3, 2))
    tree = PrefixTree.of(codes, without=[1, 5])
    assert tree.num_items == 3 and PrefixTree.of(codes).num_items == 5
    first, second = tree.tables
    assert first.tolist() == [[0, 0, 0], [1, 2, 0]]
    assert second.tolist() == [[0, 0], [0, 2], [3, 4]]
    assert all(table.dtype == np.int32 for table in tree.tables)


def test_random_codes_take_the_sizes_of_others():
    found = random_codes(60, 3, (2, 9, 4))
    assert found.sizes == (2, 9, 4) and found.codes[1:].max(axis=0).tolist() == [2, 9, 4]
    assert len(np.unique(random_codes(50, 8, 256).codes, axis=0)) == 51  # of 256^8, beyond int64
    one, each = random_codes(90, 2, 10), random_codes(90, 2, [10, 10])
    np.testing.assert_array_equal(one.codes, each.codes)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: PrefixTree.of(PAIR, [0.5]), TypeError, r"integers in a list, got \[0.5\]"),
        (lambda: PrefixTree.of(PAIR, 1), TypeError, "integers in a list, got 1"),
        (lambda: PrefixTree.of(PAIR, [0]), ValueError, r"must lie in 1\.\.2, got 0"),
        (lambda: PrefixTree.of(PAIR, [3]), ValueError, r"must lie in 1\.\.2, got 3"),
        (lambda: PrefixTree.of(PAIR, [1, 2]), ValueError, "all 2 items are left out"),
        (lambda: ItemCodes([[0.0], [1.0]]), TypeError, "codes must be integers, got float64"),
        (lambda: ItemCodes([1, 2]), ValueError, r"shape \(V, L\), .* got \(2,\)"),
        (lambda: ItemCodes([[1, 1], [1, 2]]), ValueError, "row 0 is padding"),
        (lambda: ItemCodes([[0, 0], [0, 2]]), ValueError, r"must lie in 1\.\."),
        (lambda: ItemCodes([[0], [3]], (2,)), ValueError, r"must lie in 1\.\.\[2\]"),
        (lambda: ItemCodes([[0], [1], [1]]), ValueError, "items 1 and 2 have the same codes"),
        (
            lambda: item_codes_of([[0], [1], [1]], owner="TIGER"), ValueError,
            "TIGER: item_codes: ItemCodes: items 1 and 2",
        ),
        (lambda: residual_kmeans_codes([1.0]), ValueError, "residual_kmeans_codes: vectors must"),
        (lambda: residual_kmeans_codes(VECTORS, 0), ValueError, "num_levels must be a whole"),
        (lambda: residual_kmeans_codes(VECTORS, 2, 4.0), ValueError, "codebook_size must be a"),
        (lambda: rq_vae_codes(VECTORS, batch_size=0), ValueError, "batch_size must be a whole"),
        (lambda: rq_vae_codes(VECTORS, commitment=-1), ValueError, "commitment must be at least 0"),
        (lambda: rq_vae_codes([[0.0], [np.nan]]), ValueError, "the vector of item 1 is not finite"),
        (lambda: hierarchical_kmeans_codes(VECTORS, 0), ValueError, "branching must be a whole"),
        (lambda: hierarchical_kmeans_codes(VECTORS, None, 1.5), ValueError, "num_levels must be a"),
        (lambda: hierarchical_kmeans_codes(VECTORS, 4, 3), ValueError, "for 64 items, got 90. Give "
         "branching=5"),
        (lambda: random_codes(0), ValueError, "num_items must be a whole number from 1 on, got 0"),
        (lambda: random_codes(9, 2.0), ValueError, "num_levels must be a whole"),
        (lambda: random_codes(9, 2, (9, 2.5)), ValueError, "codebook_size must be a whole number"),
        (
            lambda: with_collision_digit([0, 1, 1]), ValueError,
            r"with_collision_digit: codes must have the shape \(V, L\), .* got \(3,\)",
        ),
        (
            lambda: with_collision_digit([[0.0], [1.0]]), TypeError,
            "with_collision_digit: codes must be integers, got float64",
        ),
        (lambda: random_codes(9, 2, (9,)), ValueError, r"of the 2 positions, got \(9,\)"),
        (lambda: random_codes(90, 2, (9, 9)), ValueError, "room for 81 items, got 90"),
        (lambda: random_codes(90, 2, 9), ValueError, "room for 81 items, got 90"),
        (lambda: constrained_kmeans(VECTORS, 2, 10), ValueError, "no room for 91 vectors"),
    ],
)  # fmt: skip
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()
