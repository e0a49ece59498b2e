"""Gradients of embedding tables as rows: the sum over the repeats of one id."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

_BLOCK = 1024                                                # rows that stay in the cache


class Rows(NamedTuple):
    """Summed gradient rows of one table.

    Attributes:
        indices: (R,) row numbers. Among the real rows no number occurs twice.
        values: (R, ...) the sum of the gradients of all occurrences of that row.
        real: (R,) bool, or None when every row is real. A row that isn't real fills up a
            static shape: its number is that of any row and its values are zeros.
        count: scalar, int32, how many rows are real, where those come first and are worth
            taking apart from the rest (see `in_blocks`); else None.
    """

    indices: tf.Tensor
    values: tf.Tensor
    real: tf.Tensor | None
    count: tf.Tensor | None = None  # type: ignore[assignment]  # hides tuple.count


class DivisibleSlices(tf.IndexedSlices):
    """IndexedSlices that Keras can divide by its `loss_scale_factor`."""

    def __truediv__(self, divisor):
        values = self.values / tf.cast(divisor, self.dtype)
        return tf.IndexedSlices(values, self.indices, self.dense_shape)


def summed_rows(
    slices: tf.IndexedSlices,
    *,
    static_shapes: bool | None = None,
    table_rows: int | None = None,
) -> Rows:
    """Sum the gradients of repeated ids; see `sum_repeated_rows`.

    Args:
        slices: a gradient whose indices may repeat.
        static_shapes: see `sum_repeated_rows`.
        table_rows: V, where known. A table with no more rows than the gradient has is summed
            into V rows by the static form, which needs no search for repeats then.

    Returns:
        The summed rows, and which of them are real.
    """
    if static_shapes is None:
        static_shapes = _is_traced_for_xla()
    if not static_shapes:
        return _compact_rows(slices)
    count = slices.indices.shape[0]
    if table_rows is not None and count is not None and table_rows <= count:
        return _rows_of_small_table(slices, table_rows)
    return _rows_by_hash(slices) if _on_cpu() and count else _rows_by_sort(slices)


def in_blocks(update: Callable[[Rows], None], rows: Rows) -> None:
    """Update a table's rows; of many rows only the real ones, a block at a time.

    A batch's ids are mostly repeats, so that a static shape holds far more rows than there is
    work for. The blocks' loop ends with the real rows, and a block stays in the cache.

    Args:
        update: called with rows, all of them or a block.
        rows: which rows. Without a `count` they are updated at once.
    """
    size = rows.indices.shape[0]
    if rows.count is None or size <= _BLOCK:
        update(rows)
        return

    def update_block(first):
        start = tf.minimum(first, size - _BLOCK)             # the last block may overlap
        place = start + tf.range(_BLOCK)
        real = (place >= first) & (place < rows.count)
        indices = tf.slice(rows.indices, [start], [_BLOCK])
        rest = rows.values.shape[1:]
        values = tf.slice(rows.values, [start] + [0] * len(rest), [_BLOCK, *rest])
        update(Rows(indices, tf.where(beside(real, values), values, 0), real))
        return first + _BLOCK

    tf.while_loop(lambda first: first < rows.count, update_block, [0], parallel_iterations=1)


def sum_repeated_rows(
    slices: tf.IndexedSlices, *, static_shapes: bool | None = None
) -> tf.IndexedSlices:
    """Sum the gradients of repeated ids, so that each id has one row.

    The gradient of a lookup holds one row an occurrence. An optimizer that squares those rows
    gets the sum of squares where the square of the sum is meant: the step of an id that
    occurs n times is too large by up to sqrt(n). After this function squares, norms and clips
    of the values are those of the dense gradient.

    Args:
        slices: a gradient whose indices may repeat, in any order; no rows are fine.
        static_shapes: False: the result has as many rows as there are different ids
            (`tf.unique`: the faster form outside XLA). True: the result has as many rows as
            the input, the rest being zeros at an id that is present (the form for XLA and TPU:
            by hashing on a CPU, else by a sort). None: True inside
            `tf.function(jit_compile=True)` and on a TPU.

    Returns:
        IndexedSlices with equal dense value, dtype and dense shape, which can be divided by a
        number, as Keras's optimizers do with a `loss_scale_factor`.

    Example:
        >>> import tensorflow as tf
        >>> from deeprec_tf.optimizers import sum_repeated_rows
        >>> slices = tf.IndexedSlices(tf.constant([[1.0], [2.0], [4.0]]), tf.constant([5, 3, 5]))
        >>> summed = sum_repeated_rows(slices)
        >>> summed.indices.numpy().tolist(), summed.values.numpy().tolist()
        ([5, 3], [[5.0], [2.0]])
    """
    rows = summed_rows(slices, static_shapes=static_shapes)
    return DivisibleSlices(rows.values, rows.indices, slices.dense_shape)


def beside(mask: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """Shape a mask (R,) so that it broadcasts with values (R, ...)."""
    return tf.reshape(mask, [-1] + [1] * (values.shape.rank - 1))


def dense_gradient(slices: tf.IndexedSlices, rows: int) -> tf.Tensor:
    """Write a gradient out as a tensor of the table's shape, repeated ids summed.

    Args:
        slices: the gradient.
        rows: rows of the table, V.

    Returns:
        Tensor (V, ...).
    """
    return tf.math.unsorted_segment_sum(slices.values, slices.indices, rows)


def _is_traced_for_xla() -> bool:
    return tf.__internal__.get_enclosing_xla_context() is not None


def _on_cpu() -> bool:
    return not any(tf.config.list_logical_devices(kind) for kind in ("GPU", "TPU"))


def _compact_rows(slices: tf.IndexedSlices) -> Rows:
    indices, position = tf.unique(slices.indices)
    count = tf.shape(indices)[0]
    pieces = None
    if _on_cpu() and not _is_traced_for_xla():
        pieces = _pieces(slices.values)
    if pieces is None:
        sums = tf.math.unsorted_segment_sum(slices.values, position, count)
    else:
        sums = _sums_by_matmul(slices.values, position, count, pieces)
    return Rows(indices, tf.ensure_shape(sums, (None, *slices.values.shape[1:])), None)


def _pieces(values: tf.Tensor) -> int | None:
    """Parts of equal width, 4 to 31 each, to cut rows into for `_sums_by_matmul`; None: don't."""
    width = values.shape[1:].num_elements()
    if width is None or values.dtype not in (tf.float32, tf.float64):
        return None
    widths = ((pieces, width / pieces) for pieces in range(1, width // 4 + 1))
    return next((pieces for pieces, part in widths if part < 32 and part == int(part)), None)


def _sums_by_matmul(values, position, count, pieces):
    """Sum rows as a product with a sparse matrix of ones: bit for bit `unsorted_segment_sum`.

    A fifth to a half of its time on a CPU, where the kernel of the product has a plain inner
    loop for widths below 32 and that of the sum starts an Eigen expression a row.
    """
    occurrences = tf.shape(position, out_type=tf.int64)[0]
    # A pair (row of the sum, occurrence) of int32 is one int64: its low and its high half.
    pairs = tf.cast(position, tf.int64) + tf.range(occurrences) * 2**32
    if pieces > 1:
        parts = tf.range(pieces, dtype=tf.int64) * (1 + 2**32)
        pairs = tf.reshape(pairs[:, None] * pieces + parts, [-1])
    width = values.shape[1:].num_elements() // pieces
    shape = tf.stack([tf.cast(count, tf.int64), occurrences])
    sums = tf.raw_ops.SparseTensorDenseMatMul(
        a_indices=tf.bitcast(pairs, tf.int32),
        a_values=tf.ones(tf.shape(pairs), values.dtype),
        a_shape=shape * pieces,
        b=tf.reshape(values, (-1, width)),
    )
    return tf.reshape(sums, (-1, *values.shape[1:]))


def _rows_by_sort(slices: tf.IndexedSlices) -> Rows:
    count = tf.shape(slices.indices)[0]
    # One sort of (id, position) packed in an int64 is faster than an argsort of the ids.
    width = tf.cast(tf.maximum(count, 1), tf.int64)
    packed = tf.cast(slices.indices, tf.int64) * width + tf.range(width)[:count]
    packed = tf.sort(packed)
    ids = tf.cast(packed // width, slices.indices.dtype)
    order = tf.cast(packed % width, tf.int32)

    is_first = tf.concat([tf.ones_like(ids[:1], tf.bool), ids[1:] != ids[:-1]], 0)
    segment = tf.cumsum(tf.cast(is_first, tf.int32)) - 1                  # 0, 0, 1, 2, 2, ...
    sums = tf.math.unsorted_segment_sum(tf.gather(slices.values, order), segment, count)
    real = tf.range(count) < tf.reduce_sum(tf.cast(is_first, tf.int32))
    different = tf.math.unsorted_segment_max(ids, segment, count)
    return Rows(tf.where(real, different, ids[:1]), sums, real)


def _rows_by_hash(slices: tf.IndexedSlices) -> Rows:
    places = tf.range(slices.indices.shape[0])
    last = _last_occurrences(slices.indices)
    number = tf.cumsum(tf.cast(last == places, tf.int32)) - 1
    count = number[-1] + 1
    segment = tf.gather(number, last)
    sums = tf.math.unsorted_segment_sum(slices.values, segment, tf.size(places))
    different = tf.math.unsorted_segment_max(slices.indices, segment, tf.size(places))
    real = places < count
    return Rows(tf.where(real, different, slices.indices[0]), sums, real, count)


def _last_occurrences(ids: tf.Tensor) -> tf.Tensor:
    """For each id the place of its last occurrence: what a sort finds, in an eighth of its time.

    Every id falls into a bucket, and the last place in a bucket wins it. Occurrences of the
    winner's id are done; the others, few, go into the next round with another hash. A round
    settles at least one id a bucket, so the rounds come to an end.

    Args:
        ids: (N,) of a static size above 0.

    Returns:
        (N,) int32.
    """
    places = tf.range(ids.shape[0])
    bits = max(1, (2 * ids.shape[0] - 1).bit_length())
    low = tf.cast(tf.bitwise.bitwise_and(tf.cast(ids, tf.int64), 2**32 - 1), tf.uint32)
    high = tf.cast(tf.bitwise.right_shift(tf.cast(ids, tf.int64), 32), tf.uint32)

    def settle(turn, last):
        # Multiplicative hashing (Knuth): the upper bits of the product with an odd number.
        odd = tf.constant(0x9E3779B1, tf.uint32) + tf.cast(turn, tf.uint32) * 0x3C6EF372
        key = tf.bitwise.bitwise_xor(low, tf.bitwise.right_shift(low, 15)) * odd + high * 0x85EBCA6B
        bucket = tf.cast(tf.bitwise.right_shift(key, 32 - bits), tf.int32)
        open_bucket = tf.where(last < 0, bucket, 2**bits)
        winners = tf.zeros((2**bits + 1,), tf.int32)
        winners = tf.tensor_scatter_nd_max(winners, open_bucket[:, None], places)
        winner = tf.gather(winners, bucket)
        settled = (last < 0) & (tf.gather(ids, winner) == ids)
        return turn + 1, tf.where(settled, winner, last)

    start = (0, tf.fill(tf.shape(places), -1))
    return tf.while_loop(lambda turn, last: tf.reduce_any(last < 0), settle, start)[1]


def _rows_of_small_table(slices: tf.IndexedSlices, table_rows: int) -> Rows:
    occurrences = tf.math.unsorted_segment_sum(
        tf.ones_like(slices.indices), slices.indices, table_rows
    )
    indices = tf.range(table_rows, dtype=slices.indices.dtype)
    return Rows(indices, dense_gradient(slices, table_rows), occurrences > 0)
