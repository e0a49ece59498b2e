import numpy as np
import pytest
import tensorflow as tf

from deeprec_tf.layers import TargetDistance
from tests.layers.contract import check_half_precision, check_layer, randomize
from tests.reference.transformer import target_distance

MASK = np.arange(5) < np.array([[5], [0], [2]])
DAY = 86400
NOW = np.array([[10 * DAY + 5], [3], [8 * DAY]])
TIMES = np.array([
    [0, 3 * DAY + 5, 3 * DAY + 6, 9 * DAY + 5, 9 * DAY + 6],
    [0] * 5,
    [8 * DAY - 1, 8 * DAY, 0, 0, 0],
])  # fmt: skip


def built(num_positions, **options):
    layer = TargetDistance(num_positions, 2, **options)
    layer.build(MASK.shape)
    return layer, randomize(layer)["table"]


@pytest.mark.parametrize("num_positions", [6, 3])
def test_numbers_by_index(num_positions):
    layer, table = built(num_positions)
    got = check_layer(layer, MASK)
    wanted = target_distance(MASK, table)
    real = np.pad(MASK, ((0, 0), (0, 1)), constant_values=True)
    np.testing.assert_allclose(got[real], wanted[real], atol=1e-6)


@pytest.mark.parametrize("dtype", ["int64", "float32"])
@pytest.mark.parametrize("num_positions", [8, 3])
def test_numbers_by_time(dtype, num_positions):
    layer, table = built(num_positions)
    times, now = TIMES.astype(dtype), NOW.astype(dtype)
    got = check_layer(layer, MASK, times, now)
    wanted = target_distance(MASK, table, times, now, DAY)
    real = np.pad(MASK, ((0, 0), (0, 1)), constant_values=True)
    np.testing.assert_allclose(got[real], wanted[real], atol=1e-6)


def positions(layer, *arrays):
    layer.table.assign(np.repeat(np.arange(layer.num_positions)[:, None], 2, axis=1))
    return layer(*arrays).numpy()[..., 0].tolist()


def test_the_newest_is_nearest_and_the_target_at_zero():
    assert positions(built(6)[0], MASK)[0] == [5, 4, 3, 2, 1, 0]
    assert positions(built(6)[0], MASK)[2] == [2, 1, 0, 0, 0, 0]


def test_buckets_double():
    """A day is bucket 1, three days 2, seven days 3: exact at the bounds."""
    days = np.array([[15, 14, 7, 6, 3, 2, 1, 0]])
    mask = np.ones((1, 8), bool)
    got = positions(built(16)[0], mask, (20 - days) * DAY, np.array([[20 * DAY]]))
    assert got[0] == [4, 3, 3, 2, 2, 1, 1, 0, 0]
    narrow = [array.astype("int32") for array in ((20 - days) * DAY, np.array([[20 * DAY]]))]
    assert positions(built(16)[0], mask, *narrow) == got  # the last bounds do not fit 32 bits
    later = positions(built(16)[0], mask, (20 + days) * DAY, np.array([[20 * DAY]]))
    assert later[0] == [0] * 9, "what lies after the target counts as now"


@pytest.mark.parametrize("time_unit", [1, 0.5, DAY])
@pytest.mark.parametrize("dtype", ["int64", "int32", "float32"])
def test_more_rows_than_a_time_can_reach(dtype, time_unit):
    arrays = MASK, TIMES.astype(dtype), NOW.astype(dtype)
    few, many = (built(size, time_unit=time_unit)[0] for size in (30, 1100))
    assert positions(many, *arrays) == positions(few, *arrays)


def test_times_of_seconds_are_not_rounded():
    """float32, and bfloat16 the more, would move these to another bucket."""
    now = np.array([[1_700_000_000]])
    mask = np.ones((1, 2), bool)
    for dtype in ("float32", "mixed_bfloat16"):
        layer, _ = built(4, time_unit=60, dtype=dtype)
        layer.table.assign([[0, 0], [1, 1], [2, 2], [3, 3]])
        values = tf.cast(layer(mask, now - np.array([[60, 59]]), now), "float32")
        assert values[0, :, 0].numpy().tolist() == [1, 0, 0]


def test_half_precision():
    check_half_precision(TargetDistance(6, 2), MASK)


def test_errors():
    with pytest.raises(ValueError, match="must be positive, got 0, 2 and 86400"):
        TargetDistance(0, 2)
    with pytest.raises(ValueError, match="times and target_time must be given together"):
        built(4)[0](MASK, TIMES)
