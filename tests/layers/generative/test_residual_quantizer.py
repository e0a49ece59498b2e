import keras
import numpy as np
import pytest
import tensorflow as tf

from deeprec_tf.layers import ResidualQuantizer
from tests.layers.contract import check_half_precision, check_layer, randomize

VECTORS = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")


def twin(vector, books):
    """(codes, sum of the codes' vectors, Σ_t ‖r - e‖²) of one vector, by loops."""
    residual, total, codes, error = np.array(vector, "float64"), np.zeros(len(vector)), [], 0.0
    for book in books:
        distances = [sum((r - e) ** 2 for r, e in zip(residual, row, strict=True)) for row in book]
        codes.append(distances.index(min(distances)))
        error += min(distances)
        total = total + book[codes[-1]]
        residual = residual - book[codes[-1]]
    return codes, total, error


def built():
    layer = ResidualQuantizer(2, 4, commitment=0.3)
    layer.build(VECTORS.shape)
    return layer, randomize(layer)["codebooks"]


def test_numbers():
    layer, books = built()
    got = check_layer(layer, VECTORS, time_axes=())
    codes, totals, errors = zip(*[twin(v, books) for v in VECTORS], strict=True)
    np.testing.assert_allclose(got, totals, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(layer.codes_of(VECTORS), codes)
    layer(VECTORS)
    assert float(layer.losses[-1]) == pytest.approx(1.3 * np.mean(errors), rel=1e-5)


def test_gradients_pass_straight_through_and_pull_both_ways():
    layer, books = built()
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x := tf.constant(VECTORS))
        output = tf.reduce_sum(layer(x))
        loss = layer.losses[-1]
    np.testing.assert_array_equal(tape.gradient(output, x), np.ones_like(VECTORS))
    # d/dx of .3 Σ_t ‖r_{t-1} - e_t‖² / B, r_t = x - what was taken before.
    wanted = []
    for vector in VECTORS.astype("float64"):
        residual, pull = vector, np.zeros(3)
        for book in books:
            residual = residual - book[((residual - book) ** 2).sum(axis=1).argmin()]
            pull = pull + 2 * 0.3 * residual / len(VECTORS)
        wanted.append(pull)
    np.testing.assert_allclose(tape.gradient(loss, x), wanted, rtol=1e-4, atol=1e-6)
    assert np.any(np.asarray(tape.gradient(loss, layer.codebooks.value)))


def test_dead_codes_move_to_residuals():
    layer, _ = built()
    layer.codebooks.assign(np.concatenate([np.zeros((2, 1, 3)), np.full((2, 3, 3), 50.0)], axis=1))
    layer.revive(VECTORS, np.random.default_rng(0))
    assert np.abs(layer.codebooks.numpy()).max() < 10
    layer.start_from([VECTORS[:2], VECTORS[:1]])
    np.testing.assert_array_equal(layer.codebooks.numpy()[0, :2], VECTORS[:2])


def test_levels_behind_a_revived_one_see_what_it_leaves_now():
    """Where a code has moved onto every vector, nothing is left for the next level."""
    layer, _ = built()
    layer.codebooks.assign(np.full((2, 4, 3), 50.0))
    vectors = VECTORS[:3]
    layer.revive(vectors, np.random.default_rng(0))
    first, second = layer.codebooks.numpy()
    assert sorted(map(tuple, first[1:])) == sorted(map(tuple, vectors))
    assert np.abs(second[1:]).max() < 1e-6 and (second[0] == 50.0).all()
    np.testing.assert_allclose(layer.call(vectors), vectors, atol=1e-6)


def test_a_replica_without_rows_adds_nothing():
    layer, _ = built()
    layer(VECTORS[:0])
    assert float(layer.losses[-1]) == 0


def test_half_precision():
    layer, _ = built()
    layer.codebooks.assign(np.arange(24).reshape(2, 4, 3) * 1.0)
    check_half_precision(layer, VECTORS)


def test_errors():
    with pytest.raises(ValueError, match="codebook_size must be at least 1, got 2 and 0"):
        ResidualQuantizer(2, 0)
    assert keras.saving.get_registered_object("deeprec_tf>ResidualQuantizer")
