import numpy as np
import pytest

from deeprec_tf.layers import InteractingLayer
from tests.layers.contract import check_half_precision, check_layer, randomize
from tests.reference.attention import interacting

FIELDS = np.random.default_rng(0).normal(size=(3, 5, 4)).astype("float32")


def parts_of(kernel, heads, size):
    """Q, K, V as (H, D, d) and the residual (D, H·d) of the joined kernel."""
    pieces = [kernel[:, i : i + heads * size] for i in range(0, kernel.shape[1], heads * size)]
    per_head = [
        np.stack([piece[:, h * size : (h + 1) * size] for h in range(heads)])
        for piece in pieces[:3]
    ]
    return (*per_head, *pieces[3:])


@pytest.mark.parametrize(
    ("size", "residual"), [(3, True), (3, False), (2, True), (2, False), (2, "project")]
)
def test_numbers(size, residual):
    layer = InteractingLayer(2, size, residual=residual)
    layer.build(FIELDS.shape)
    kernel = randomize(layer)["kernel"]
    parts = parts_of(kernel, 2, size)
    if residual is True and 2 * size == FIELDS.shape[-1]:  # what it reads, as it is
        assert len(parts) == 3
        parts = (*parts, np.eye(2 * size))
    weights, wanted = interacting(FIELDS, *parts)
    np.testing.assert_allclose(check_layer(layer, FIELDS, time_axes=()), wanted, atol=1e-5)
    explained = layer.explain(FIELDS)["weights"]
    np.testing.assert_allclose(explained, weights, atol=1e-6)
    np.testing.assert_allclose(np.sum(explained, axis=-1), 1.0, atol=1e-6)
    check_half_precision(layer, FIELDS)


def test_numbers_of_the_authors_program():
    layer = InteractingLayer(2, 2, residual="project", projection_relu=True, scaled_scores=True)
    layer.build(FIELDS.shape)
    parts = parts_of(randomize(layer)["kernel"], 2, 2)
    weights, wanted = interacting(FIELDS, *parts, program=True)
    np.testing.assert_allclose(check_layer(layer, FIELDS, time_axes=()), wanted, atol=1e-5)
    np.testing.assert_allclose(layer.explain(FIELDS)["weights"], weights, atol=1e-6)
    check_half_precision(layer, FIELDS)


def test_scores_are_not_scaled():
    layer = InteractingLayer(1, 2, residual=False)
    layer.build((None, 2, 2))
    eye = np.eye(2)
    layer.kernel.assign(np.concatenate([3 * eye, eye, eye], axis=1))
    weights = np.asarray(layer.explain(np.eye(2, dtype="float32")[None])["weights"])
    np.testing.assert_allclose(weights[0, 0, 0], [1 / (1 + np.exp(-3)), 1 / (1 + np.exp(3))],
                               rtol=1e-6)  # fmt: skip


def test_the_projections_start_different():
    layer = InteractingLayer(1, 4, residual="project")
    layer.build((None, 3, 4))
    first, *others = np.split(np.asarray(layer.kernel), 4, axis=1)
    limit = np.sqrt(6 / (4 + 4))
    for other in others:
        assert not np.allclose(first, other)
        assert np.abs(other).max() <= limit


def test_dropout_works_in_training_alone():
    layer = InteractingLayer(2, 3, dropout=0.5)
    still = np.asarray(layer(FIELDS))
    np.testing.assert_array_equal(layer(FIELDS), still)
    assert not np.allclose(layer(FIELDS, training=True), still)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_heads": 0}, "num_heads must be a positive integer, got 0"),
        ({"head_size": 1.5}, "head_size must be a positive integer, got 1.5"),
        ({"residual": "scaled"}, "residual must be True, False or 'project', got 'scaled'"),
        ({"dropout": 1.0}, r"dropout must lie in \[0, 1\), got 1.0"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        InteractingLayer(**options)


def test_numpy_scalars_are_numbers():
    given = dict(num_heads=np.int64(1), head_size=np.int32(3), dropout=np.float32(0.25))
    config = InteractingLayer(**given).get_config()
    assert {name: config[name] for name in given} == given
    assert {type(config[name]) for name in given} <= {int, float}
