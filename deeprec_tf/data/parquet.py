"""Training from Parquet files that are larger than memory.

Files are read row group by row group, in pieces of bounded size, so that memory holds the
shuffle buffer and little more. Integers stay integers where values are missing, and lists stay
lists: no column passes through pandas' float form.
"""

from __future__ import annotations

import glob
import itertools
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from deeprec_tf.data.encoder import FeatureEncoder
from deeprec_tf.data.parquet_columns import BatchMaker, Columns
from deeprec_tf.data.tables import positive_count
from deeprec_tf.features import FeatureColumn

_ROWS_AT_ONCE = 65_536


def read_parquet_batches(
    paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    columns: Sequence[str] | None = None,
    batch_size: int = 1024,
    feature_columns: Sequence[FeatureColumn] | None = None,
    encoder: FeatureEncoder | None = None,
    label: str | Sequence[str] | None = None,
    sample_weight: str | None = None,
    maxlen: int | Mapping[str, int] | None = None,
    missing: Mapping[str, Any] | None = None,
    shuffle: bool = False,
    shuffle_buffer: int = 262_144,
    seed: int = 0,
    shard: tuple[int, int] = (0, 1),
    drop_remainder: bool = False,
) -> Any:
    """Stream Parquet files as batches for `fit`, `evaluate` and `predict`.

    Each pass over the data set gives every row exactly once. With `shuffle`, each pass has its
    own order: row groups of all files are mixed, and rows within a buffer; pass number p of one
    data set object is fixed by `(seed, p)`.

    Args:
        paths: a file, a folder (its *.parquet files), a glob pattern, or several of these.
        columns: columns to give as they are; without `feature_columns` and `encoder` all but
            label and weight when left out, and but an index without a name that pandas wrote.
        batch_size: rows of a batch.
        feature_columns: the model's columns: they name what is read, and set dtype and padding
            of each input. A `length_name` that the files lack is counted from the list; one
            that they have says how many elements from the left are real.
        encoder: a fitted `FeatureEncoder`: files hold raw values, batches hold its output.
        label: column of the label, given as float32 (B,); several names give a dict.
        sample_weight: column of row weights, float32.
        maxlen: most elements a list keeps, for all lists or by column: the newest, left-aligned.
            Taken from `feature_columns` where given there; else lists are padded to the
            longest of the batch.
        missing: what nulls become, by column. A null in any other column is an error (an
            encoder handles its own columns). Null elements of lists are dropped: lists that
            share a `length_name`, and a list and its weights, lose the step together, any other
            list by itself. They are an error where a shift would go unseen: with a length in
            the files, and in a `VarLenDenseFeat` without `length_name`.
        shuffle: reorder the rows, anew in each pass.
        shuffle_buffer: rows held in memory to be mixed.
        seed: fixes the orders.
        shard: `(index, count)`: of all row groups only every count-th, for several workers.
            Shards may differ in rows and so in number of batches: workers that step together
            take the smallest, such as by `take` or `steps_per_epoch`.
        drop_remainder: leave out the last, smaller batch.

    Returns:
        A `tf.data.Dataset` of inputs, `(inputs, label)`, or `(inputs, label, weight)`; inputs
        are a dict by name. It knows its number of batches.

    Raises:
        ImportError: pyarrow is not installed.
        FileNotFoundError: no file is found.
        TypeError: a column has a type that can't be used.
        ValueError: a column is missing or has nulls, lists of one length differ in theirs, files
            differ, there are fewer row groups than shards, or an argument is wrong.

    Example:
        >>> import tempfile, pandas as pd
        >>> folder = tempfile.mkdtemp()
        >>> frame = pd.DataFrame({"user_id": [1, 2, 3], "seen": [[4], [5, 6], []], "y": [0, 1, 0]})
        >>> frame.to_parquet(folder + "/part-0.parquet")
        >>> batches = read_parquet_batches(folder, batch_size=2, label="y", maxlen=2)
        >>> [inputs["seen"].numpy().tolist() for inputs, _ in batches]
        [[[4, 0], [5, 6]], [[0, 0]]]
    """
    import tensorflow as tf

    files = _files(paths)
    options = Columns(
        names=None if columns is None else tuple(columns),
        feature_columns=None if feature_columns is None else tuple(feature_columns),
        encoder=encoder,
        labels=(label,) if isinstance(label, str) else tuple(label or ()),
        label_is_dict=label is not None and not isinstance(label, str),
        sample_weight=sample_weight,
        maxlen=maxlen,
        missing=dict(missing or {}),
    )
    reader = _Reader(
        files,
        options,
        batch_size=positive_count("read_parquet_batches", "batch_size", batch_size),
        buffer=positive_count("read_parquet_batches", "shuffle_buffer", shuffle_buffer)
        if shuffle
        else 0,
        seed=seed,
        shard=shard,
        drop_remainder=drop_remainder,
    )
    data = tf.data.Dataset.from_generator(
        reader.batches, output_signature=reader.maker.signature(reader.static_batch)
    )
    data = data.apply(tf.data.experimental.assert_cardinality(reader.num_batches))
    return data.prefetch(2)


def _parquet() -> Any:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError(
            "read_parquet_batches needs pyarrow, which is not installed. Install it with: "
            "pip install 'deeprec_tf[parquet]'"
        ) from error
    return pyarrow.parquet


def _files(paths: Any) -> list[str]:
    """All files in the order given; those of a folder or pattern in the order of their names."""
    several = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    files: list[str] = []
    for path in (os.fspath(one) for one in several):
        if os.path.isdir(path):
            found = sorted(str(file) for file in Path(path).glob("*.parquet"))
        elif os.path.exists(path):
            found = [path]
        else:
            found = sorted(glob.glob(path))
        if not found:
            raise FileNotFoundError(
                f"read_parquet_batches: no Parquet file at {path!r}. Give a file, a folder with "
                "*.parquet files, or a pattern."
            )
        files.extend(found)
    if not files:
        raise FileNotFoundError("read_parquet_batches: the list of paths is empty.")
    return files


class _Reader:
    """Row groups to batches; `batches` starts a new pass."""

    def __init__(
        self,
        files: list[str],
        options: Columns,
        *,
        batch_size: int,
        buffer: int,
        seed: int,
        shard: tuple[int, int],
        drop_remainder: bool,
    ):
        self.files = files
        self.batch_size = batch_size
        self.buffer = buffer
        self.seed = seed
        self.drop_remainder = drop_remainder
        self._passes = itertools.count()
        parquet = _parquet()
        groups: list[tuple[str, int, int]] = []
        for file in files:
            with parquet.ParquetFile(file) as opened:
                if file == files[0]:
                    self.maker = BatchMaker(file, opened.schema_arrow, options)
                self.maker.check_file(file, opened.schema_arrow, opened.metadata)
                groups.extend(
                    (file, group, opened.metadata.row_group(group).num_rows)
                    for group in range(opened.metadata.num_row_groups)
                )
        index, count = shard
        if not 0 <= index < count:
            raise ValueError(
                f"read_parquet_batches: shard must be (index, count) with 0 <= index < count, "
                f"got {shard!r}."
            )
        if 1 < count > len(groups):
            raise ValueError(
                f"read_parquet_batches: shard={shard!r} asks for {count} parts, but the files have "
                f"{len(groups)} row groups, which are not split. Write smaller ones (to_parquet "
                "with row_group_size=), or use fewer shards."
            )
        self.groups = groups[index::count]
        rows = sum(rows for _, _, rows in self.groups)
        self.num_batches = rows // batch_size if drop_remainder else math.ceil(rows / batch_size)

    @property
    def static_batch(self) -> int | None:
        """The size of all batches, where it is known."""
        return self.batch_size if self.drop_remainder else None

    def batches(self) -> Iterator[Any]:
        """One pass over the rows."""
        if self.buffer:
            rng = np.random.default_rng([self.seed, next(self._passes)])
            pieces = self._shuffled(rng)
        else:
            pieces = self._pieces(self.groups, _ROWS_AT_ONCE)
        for table in self._rebatched(pieces):
            yield self.maker.batch(table)

    def _pieces(self, groups: Any, rows: int) -> Iterator[Any]:
        """Arrow tables of at most `rows` rows."""
        import pyarrow as pa

        parquet = _parquet()
        for file, of_file in itertools.groupby(groups, key=lambda group: group[0]):
            with parquet.ParquetFile(file) as opened:
                for _, group, _ in of_file:  # iter_batches holds all groups it is given
                    for batch in opened.iter_batches(
                        rows, row_groups=[group], columns=self.maker.read
                    ):
                        yield pa.Table.from_batches([batch])

    def _shuffled(self, rng: np.random.Generator) -> Iterator[Any]:
        """Fill the buffer, permute it, give half of it away, fill it up again."""
        import pyarrow as pa

        order = [self.groups[place] for place in rng.permutation(len(self.groups))]
        pool: list[Any] = []
        rows = 0
        for piece in self._pieces(order, max(min(_ROWS_AT_ONCE, self.buffer // 2), 1)):
            pool.append(piece)
            rows += piece.num_rows
            if rows >= self.buffer:
                mixed = pa.concat_tables(pool).take(rng.permutation(rows))
                half = rows // 2
                yield mixed.slice(0, half)
                # A copy, else the slice keeps the whole buffer alive.
                pool, rows = [mixed.take(np.arange(half, rows))], rows - half
        if rows:
            yield pa.concat_tables(pool).take(rng.permutation(rows))

    def _rebatched(self, pieces: Iterator[Any]) -> Iterator[Any]:
        """Cut pieces of any size into batches."""
        import pyarrow as pa

        left: list[Any] = []
        rows = 0
        for piece in pieces:
            start = 0
            while rows + piece.num_rows - start >= self.batch_size:
                part = piece.slice(start, self.batch_size - rows)
                yield pa.concat_tables([*left, part])
                start += part.num_rows
                left, rows = [], 0
            if start < piece.num_rows:
                left.append(piece.slice(start))
                rows += piece.num_rows - start
        if rows and not self.drop_remainder:
            yield pa.concat_tables(left)
