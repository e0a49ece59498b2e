"""Codes of items: their tokens, their probabilities, and the search for the best items."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from deeprec_tf.identifiers import PrefixTree, with_collision_digit
from deeprec_tf.layers import CodeDecoder, CodeTokens, ItemGenerator, PrefixTables
from tests.layers.contract import check_half_precision, randomize
from tests.reference import generation as twin

GENERATOR = np.random.default_rng(1)
CODES = with_collision_digit(
    np.concatenate([np.zeros((1, 2), int), GENERATOR.integers(1, 4, size=(14, 2))]), [3, 5]
)
SIZES, ITEMS = CODES.sizes, 14
TREE = PrefixTree.of(CODES).tables
ENCODED = GENERATOR.normal(size=(2, 4, 6)).astype("float32")
MASK = np.array([[True] * 4, [True, True, False, False]])
TABLE = GENERATOR.normal(size=(1 + sum(SIZES), 6)).astype("float32")


def decoder(**options):
    options = {"beam_width": ITEMS, "num_results": ITEMS, **options}
    layer = CodeDecoder([t.shape for t in TREE], ITEMS, 2, 2, 4, 7, tables=TREE, **options)
    layer.build(ENCODED.shape)
    for part in (layer.positions, *layer.blocks, layer.norm, *getattr(layer, "heads", ())):
        randomize(part, scale=0.4)
    layer.start.assign(np.linspace(-1, 1, 6))
    return layer


def tokens():
    layer = CodeTokens(ITEMS + 1, SIZES, codes=CODES.codes)
    layer.build((None,))
    return layer


def weights_of(layer):
    return {
        weight.path.partition(layer.name + "/")[2]: weight.numpy().astype("float64")
        for weight in layer.trainable_weights
    }


def by_loops(layer, row, codes):
    return twin.code_log_probabilities(
        codes, ENCODED[row].astype("float64"), MASK[row], TABLE.astype("float64"), SIZES,
        weights_of(layer), 2, 2,
    )


def scores_of_all(layer):
    """Σ log p of every item for both rows, (2, V - 1), one item a call."""
    of_items = tokens()(np.arange(1, ITEMS + 1))
    return np.stack(
        [
            tf.reduce_sum(
                layer(
                    np.repeat(ENCODED[row : row + 1], ITEMS, axis=0),
                    np.repeat(MASK[row : row + 1], ITEMS, axis=0), TABLE, of_items,
                ),
                axis=-1,
            )
            for row in range(2)
        ]
    )


def test_tokens_are_counted_on_from_position_to_position():
    layer = tokens()
    got = np.asarray(layer(np.array([[3, 0], [14, 1]])))
    assert np.asarray(layer(np.zeros((2, 0), int))).shape == (2, 0)
    offsets = np.array([0, SIZES[0], SIZES[0] + SIZES[1]])
    assert got.shape == (2, 6)
    np.testing.assert_array_equal(got[0], [*(CODES.codes[3] + offsets), 0, 0, 0])
    np.testing.assert_array_equal(layer(np.array([3]))[0], CODES.codes[3] + offsets)
    found = set(np.asarray(layer(np.arange(1, ITEMS + 1))).reshape(-1).tolist())
    assert max(found) <= sum(SIZES) and 0 not in found
    copy = CodeTokens.from_config(layer.get_config())
    copy.build((None,))
    assert [w.shape for w in copy.weights] == [w.shape for w in layer.weights]


@pytest.mark.parametrize("tie_codes", [True, False])
def test_log_probabilities_are_those_of_every_prefix_decoded_anew(tie_codes):
    layer = decoder(tie_codes=tie_codes)
    items = np.array([4, 11])
    got = layer(ENCODED, MASK, TABLE, tokens()(items))
    for row, item in enumerate(items):
        wanted = by_loops(layer, row, CODES.codes[item].tolist())
        np.testing.assert_allclose(got[row], wanted, rtol=1e-4, atol=1e-5)


def test_probabilities_of_all_codes_sum_to_one():
    layer = decoder()
    states = GENERATOR.normal(size=(2, 6)).astype("float32")
    for position, size in enumerate(SIZES):
        found = np.exp(layer.log_probabilities(states, TABLE, position))
        assert found.shape == (2, size)
        np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)


def test_a_beam_as_wide_as_the_catalogue_is_exhaustive_scoring():
    layer = decoder()
    ids, scores = ItemGenerator(layer)(ENCODED, MASK, TABLE)
    exact = scores_of_all(layer)
    for row in range(2):
        order = np.argsort(-exact[row])
        np.testing.assert_array_equal(ids[row], order + 1)
        np.testing.assert_allclose(scores[row], exact[row][order], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("width", [1, 2, 4, 9])
def test_a_narrow_beam_is_the_search_by_loops(width):
    layer = decoder(beam_width=width)
    ids, scores = ItemGenerator(layer)(ENCODED, MASK, TABLE)
    assert ids.shape == (2, width)
    for row in range(2):
        wanted, wanted_scores = twin.beam_search(
            CODES.codes, lambda prefix, row=row: by_loops(layer, row, list(prefix))[-1], width
        )
        np.testing.assert_array_equal(ids[row], wanted)
        np.testing.assert_allclose(scores[row], wanted_scores, rtol=1e-4, atol=1e-5)
        assert len(set(wanted)) == width and min(wanted) >= 1


def test_a_wider_beam_finds_more_of_the_best():
    exact = {row: np.argsort(-s)[:3] + 1 for row, s in enumerate(scores_of_all(decoder()))}
    found = []
    for width in (3, 6, ITEMS):
        ids, _ = ItemGenerator(decoder(beam_width=width, num_results=3))(ENCODED, MASK, TABLE)
        found.append(np.mean([np.isin(ids[row], exact[row]).mean() for row in range(2)]))
    assert found == sorted(found) and found[-1] == 1.0


def test_seen_items_are_left_out_and_the_order_of_the_others_stays():
    layer = decoder()
    all_ids = np.asarray(ItemGenerator(layer)(ENCODED, MASK, TABLE)[0])
    seen = np.stack([all_ids[0, [0, 2, 2]], [0, 0, all_ids[1, 5]]])
    ids, scores = (np.asarray(t) for t in ItemGenerator(layer)(ENCODED, MASK, TABLE, seen))
    assert ids[0, :-2].tolist() == [i for i in all_ids[0] if i not in seen[0]]
    assert ids[1, :-1].tolist() == [i for i in all_ids[1] if i not in seen[1]]
    assert (ids == -1).sum(axis=1).tolist() == [2, 1]
    assert np.isneginf(scores[ids == -1]).all() and np.isfinite(scores[ids > 0]).all()


@pytest.mark.parametrize("jit", [False, True])
def test_the_search_is_traced_and_compiled_with_static_shapes(jit):
    generate = ItemGenerator(decoder(beam_width=5))
    wanted = generate(ENCODED, MASK, TABLE)
    traced = tf.function(lambda *x: generate(*x), jit_compile=jit)
    ids, scores = traced(*map(tf.constant, (ENCODED, MASK, TABLE)))
    assert ids.shape == (2, 5)
    np.testing.assert_array_equal(ids, wanted[0])
    np.testing.assert_allclose(scores, wanted[1], rtol=1e-4, atol=1e-5)


def test_a_copy_answers_alike():
    for layer in (decoder(beam_width=5), ItemGenerator(decoder(beam_width=5))):
        arguments = (ENCODED, MASK, TABLE)
        if isinstance(layer, CodeDecoder):
            arguments += (tokens()(np.array([4, 11])),)
        wanted = layer(*arguments)
        copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
        copy(*arguments)
        copy.set_weights(layer.get_weights())
        assert copy.get_config() == layer.get_config()
        both = tf.nest.flatten(copy(*arguments)), tf.nest.flatten(wanted)
        for got, old in zip(*both, strict=True):
            np.testing.assert_array_equal(got, old)


def test_half_precision():
    layer, of_items = decoder(dtype="float32"), tokens()(np.array([4, 11]))
    check_half_precision(layer, ENCODED * 0.2, MASK, TABLE * 0.2, np.asarray(of_items))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: CodeTokens(3, [2], codes=[[0], [1]]), r"must have the shape \(V, L\) = \(3, 1\)"),
        (lambda: PrefixTables([[2, 2]], 1, tables=[[[0, 1]]]), "tables must have the shapes"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
