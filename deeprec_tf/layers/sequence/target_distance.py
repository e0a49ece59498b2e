"""Positions of behaviors by their distance to the target item."""

import itertools
import math

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="deeprec_tf")
class TargetDistance(keras.layers.Layer):
    """A learned vector for how far each element of a history lies before the target item.

    The target stands behind the history, at distance 0. By index the newest behavior has distance
    1, the one before it 2, and so on. By time the elapsed time in units counts: bucket b holds
    2^b - 1 up to 2^(b+1) - 2 units, so 0 holds what is newer than one unit, the target with it.
    The last row of the table takes all that is further away.

    Args:
        num_positions: rows of the table.
        width: width of the vectors.
        time_unit: seconds, or whatever times are counted in, of one unit.

    Call arguments:
        behaviors_mask: bool tensor (B, T), True = real, left-aligned.
        times: tensor (B, T) of numbers, when each behavior happened; by index without it.
        target_time: tensor (B, 1) of the same dtype, when the target is shown.

    Returns:
        Float tensor (B, T + 1, width).

    Raises:
        ValueError: a size below 1, or only one of the two times.
    """

    side_by_side = True

    def __init__(self, num_positions, width, *, time_unit=86400, **kwargs):
        super().__init__(autocast=False, **kwargs)  # times do not fit half precision
        if num_positions < 1 or width < 1 or time_unit <= 0:
            raise ValueError(
                f"{self.name}: num_positions, width and time_unit must be positive, got "
                f"{num_positions}, {width} and {time_unit}."
            )
        self.num_positions = num_positions
        self.width = width
        self.time_unit = time_unit

    def build(self, behaviors_mask_shape, times_shape=None, target_time_shape=None):
        """Creates the table."""
        self.table = self.add_weight(
            shape=(self.num_positions, self.width), name="table",
            initializer=keras.initializers.RandomNormal(stddev=0.02),
        )

    def call(self, behaviors_mask, times=None, target_time=None):
        """Applies the layer."""
        if (times is None) != (target_time is None):
            raise ValueError(f"{self.name}: times and target_time must be given together.")
        if times is None:
            positions = self._by_index(behaviors_mask)
        else:
            if "int" in str(times.dtype):  # the highest bounds do not fit 32 bits
                times, target_time = ops.cast(times, "int64"), ops.cast(target_time, "int64")
            positions = self._by_time(target_time - times)
        positions = ops.pad(ops.where(behaviors_mask, positions, 0), ((0, 0), (0, 1)))
        return ops.cast(ops.take(self.table, positions, axis=0), self.compute_dtype)

    def left_aligned(self, behaviors_mask, times=None, target_time=None):
        """What of the arguments must be left-aligned: by time nothing."""
        return behaviors_mask if times is None else None

    def _by_index(self, mask):
        length = ops.sum(ops.cast(mask, "int32"), axis=1, keepdims=True)
        positions = length - ops.arange(ops.shape(mask)[1], dtype="int32")
        return ops.clip(positions, 0, self.num_positions - 1)

    def _by_time(self, elapsed):
        # Compared with the bounds: a rounded logarithm falls on either side of a power of two.
        bounds = ((2**b - 1) * self.time_unit for b in range(1, self.num_positions))
        largest = 2.0**127
        if "int" in str(elapsed.dtype):
            bounds, largest = map(math.ceil, bounds), 2**63 - 1
        # Nothing is as far away as the bounds that no number of the dtype reaches.
        bounds = list(itertools.takewhile(lambda bound: bound <= largest, bounds))
        bounds = ops.convert_to_tensor(bounds, dtype=elapsed.dtype)
        return ops.sum(ops.cast(elapsed[..., None] >= bounds, "int32"), axis=-1)

    def compute_mask(self, *args, **kwargs):
        """No implicit mask."""
        return None

    def compute_output_spec(self, behaviors_mask, times=None, target_time=None):
        """One vector a behavior, and one for the target."""
        rows, steps = behaviors_mask.shape
        steps = None if steps is None else steps + 1
        return keras.KerasTensor((rows, steps, self.width), dtype=self.compute_dtype)

    def get_config(self):
        """Returns the arguments."""
        return {
            **super().get_config(),
            "num_positions": self.num_positions,
            "width": self.width,
            "time_unit": self.time_unit,
        }
