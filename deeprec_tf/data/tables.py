"""Reading columns from a table, be it a pandas DataFrame or a dict of arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

Table = pd.DataFrame | Mapping[str, Any]


def row_count(owner: str, table: Table) -> int:
    """Rows of a table.

    Raises:
        TypeError: `table` is neither a DataFrame nor a mapping.
        ValueError: it has no column, or columns of different lengths.
    """
    if isinstance(table, pd.DataFrame):
        return len(table)
    if not isinstance(table, Mapping):
        raise TypeError(
            f"{owner}: expected a pandas DataFrame or a dict of arrays, got {type(table).__name__}."
        )
    for name, values in table.items():
        if isinstance(values, str) or not hasattr(values, "__len__"):
            raise TypeError(
                f"{owner}: column {name!r} must hold a value a row, got {values!r}. Give a list, "
                "also of one row."
            )
    lengths = {str(name): len(values) for name, values in table.items()}
    if not lengths:
        raise ValueError(f"{owner}: the table has no column.")
    if len(set(lengths.values())) > 1:
        raise ValueError(f"{owner}: columns of one table must be equally long, got {lengths}.")
    return next(iter(lengths.values()))


def get_column(owner: str, table: Table, name: str) -> Any:
    """One column as the table holds it.

    Raises:
        TypeError: `table` is neither a DataFrame nor a mapping.
        ValueError: there is no such column, or it occurs twice.
    """
    if not isinstance(table, pd.DataFrame | Mapping):
        raise TypeError(
            f"{owner}: expected a pandas DataFrame or a dict of arrays, got {type(table).__name__}."
        )
    if name not in table:
        raise ValueError(
            f"{owner}: no column {name!r} in the table, which has {[str(c) for c in table]}. "
            "Add it or name another column."
        )
    values = table[name]
    if isinstance(values, pd.DataFrame):
        raise ValueError(f"{owner}: column {name!r} occurs {values.shape[1]} times; rename one.")
    return values


def get_series(owner: str, table: Table, name: str) -> pd.Series:
    """One column with one value a row.

    Raises:
        TypeError: `table` is neither a DataFrame nor a mapping.
        ValueError: there is no such column, or it has more than one axis.
    """
    values = get_column(owner, table, name)
    if getattr(values, "ndim", 1) != 1:
        raise ValueError(
            f"{owner}: column {name!r} must have one value a row, got shape {values.shape}."
        )
    return values if isinstance(values, pd.Series) else pd.Series(values)


def key_codes(owner: str, table: Table, name: str) -> tuple[np.ndarray, pd.Index]:
    """A column of keys (user or item ids) as codes 0..n-1, and the distinct keys in that order.

    Raises:
        ValueError: a key is missing (NaN, None).
    """
    codes, keys = pd.factorize(get_series(owner, table, name), sort=False)
    if (codes < 0).any():
        raise ValueError(
            f"{owner}: column {name!r} has {(codes < 0).sum()} missing values, the first in row "
            f"{int(np.argmax(codes < 0))}. Drop these rows first."
        )
    return codes, pd.Index(keys)


def time_values(owner: str, table: Table, name: str) -> np.ndarray:
    """A column of times as a sortable array: integers, floats or datetime64, none missing.

    Raises:
        TypeError: the column holds neither numbers nor date-times.
        ValueError: a time is missing.
    """
    series = _numpy_dates(get_series(owner, table, name))
    if isinstance(series.dtype, pd.DatetimeTZDtype):
        series = series.dt.tz_convert("UTC").dt.tz_localize(None)
    if series.isna().any():
        raise ValueError(
            f"{owner}: time column {name!r} has {int(series.isna().sum())} missing values, the "
            f"first in row {int(np.argmax(series.isna().to_numpy()))}. Drop or fill these rows."
        )
    if pd.api.types.is_datetime64_dtype(series.dtype):
        return series.to_numpy()
    if not pd.api.types.is_numeric_dtype(series.dtype) or pd.api.types.is_bool_dtype(series.dtype):
        raise TypeError(
            f"{owner}: time column {name!r} must hold numbers or date-times, got "
            f"{series.dtype}. Convert it, for example with pandas.to_datetime."
        )
    if pd.api.types.is_integer_dtype(series.dtype):
        return series.to_numpy(dtype=np.int64)
    return series.to_numpy(dtype=np.float64)


def _numpy_dates(series: pd.Series) -> pd.Series:
    """Date-times of Arrow as pandas' own; any other column as it is."""
    if not isinstance(series.dtype, pd.ArrowDtype) or series.dtype.kind != "M":
        return series
    arrow = series.dtype.pyarrow_dtype
    dtype: Any = f"datetime64[{arrow.unit}]"
    return series.astype(pd.DatetimeTZDtype(arrow.unit, arrow.tz) if arrow.tz else dtype)


def time_limit(owner: str, label: str, limit: Any, table: Table, name: str) -> Any:
    """A time to compare with what `time_values` gives of a column.

    Raises:
        TypeError: it is a number where the column holds date-times, or the other way round.
        ValueError: it has a time zone where the column has none, or the other way round.
    """
    dtype = _numpy_dates(get_series(owner, table, name)).dtype
    zoned = isinstance(dtype, pd.DatetimeTZDtype)
    is_dates = zoned or pd.api.types.is_datetime64_dtype(dtype)
    is_number = isinstance(limit, int | float | np.number)
    if is_number == is_dates or isinstance(limit, bool):
        raise TypeError(
            f"{owner}: {label} must be a {'date-time' if is_dates else 'number'}, as time column "
            f"{name!r} holds {dtype}, got {limit!r}."
        )
    if not is_dates:
        return limit
    time = pd.Timestamp(limit)
    if (time.tzinfo is not None) != zoned:
        raise ValueError(
            f"{owner}: {label} is {limit!r} and time column {name!r} is {dtype}: one has a time "
            "zone, the other none. Bring them to one form, by tz_localize of pandas.Timestamp."
        )
    return (time.tz_convert("UTC").tz_localize(None) if zoned else time).to_datetime64()


def take(table: Table, rows: np.ndarray) -> Any:
    """Rows of a table by position: a DataFrame gives a DataFrame, a dict gives a dict.

    Args:
        table: DataFrame, or dict of arrays.
        rows: positions (int array) or a boolean mask.

    Returns:
        A table of the same kind with these rows, in the order asked for. A DataFrame gets a
        fresh index.

    Example:
        >>> take({"x": np.array([5, 6, 7])}, np.array([2, 0]))["x"].tolist()
        [7, 5]
    """
    rows = np.asarray(rows)
    if rows.dtype == bool:
        rows = np.flatnonzero(rows)
    if isinstance(table, pd.DataFrame):
        return table.iloc[rows].reset_index(drop=True)
    return {name: np.asarray(values)[rows] for name, values in table.items()}


def row_positions(owner: str, rows: Any, count: int) -> np.ndarray:
    """`rows` (None = all, a boolean mask, or positions) as an int64 array of positions.

    Raises:
        TypeError: `rows` holds neither booleans nor integers.
        ValueError: a mask of another length, or a position out of range.
    """
    if rows is None:
        return np.arange(count)
    rows = np.asarray(rows)
    if rows.dtype == bool:
        if rows.shape != (count,):
            raise ValueError(
                f"{owner}: a mask of rows must have shape ({count},), got {rows.shape}."
            )
        return np.flatnonzero(rows)
    if rows.size == 0:
        return np.zeros(0, np.int64)
    if rows.ndim != 1 or rows.dtype.kind not in "iu":
        raise TypeError(
            f"{owner}: rows must be a boolean mask or a 1-D array of positions, got "
            f"{rows.dtype} of shape {rows.shape}."
        )
    if rows.min() < 0 or rows.max() >= count:
        raise ValueError(
            f"{owner}: rows must lie in 0..{count - 1}, got {rows.min()}..{rows.max()}."
        )
    return rows.astype(np.int64)


def item_ids(owner: str, series: pd.Series, name: str) -> np.ndarray:
    """Encoded item ids as int64.

    Raises:
        TypeError: they are no integers, or one is missing.
        ValueError: one is below 1.
    """
    if not pd.api.types.is_integer_dtype(series.dtype) or series.isna().any():
        raise TypeError(
            f"{owner}: column {name!r} must hold integer ids, none missing, got {series.dtype}. "
            "Encode it with FeatureEncoder first."
        )
    ids = series.to_numpy()
    if len(ids) and ids.min() < 1:
        raise ValueError(
            f"{owner}: ids of column {name!r} must be at least 1 (0 is padding), got {ids.min()}."
        )
    return ids.astype(np.int64)


def positive_count(owner: str, label: str, value: Any) -> int:
    """`value` as an int of at least 1, or a ValueError."""
    if isinstance(value, bool) or not hasattr(value, "__index__") or int(value) < 1:
        raise ValueError(f"{owner}: {label} must be an integer of at least 1, got {value!r}.")
    return int(value)


def item_table(
    items: Table, fields: Sequence[str], *, item: str = "item_id", size: int | None = None
) -> dict[str, np.ndarray]:
    """What follows an item, as arrays indexed by item id: `{field: array[V]}`.

    Args:
        items: encoded items, a row each: DataFrame or dict of arrays. An item may come more
            than once; its first row counts. Fields may be lists padded to one length, (N, L).
        fields: columns to lay out.
        item: column of item ids, 1 and up.
        size: rows V of the arrays, such as `encoder.vocabulary("item_id").size`; the largest
            id plus one when left out. Ids that do not occur get zeros, of texts "".

    Returns:
        Dict of arrays (V,) or (V, L), in the fields' own dtypes.

    Raises:
        TypeError: item ids are no integers.
        ValueError: a column is missing, its lists differ in length, or an id is out of range.

    Example:
        >>> item_table({"item_id": [3, 1], "cate_id": [7, 8]}, ["cate_id"])["cate_id"].tolist()
        [0, 8, 0, 7]
    """
    owner = "item_table"
    row_count(owner, items)
    ids = item_ids(owner, get_series(owner, items, item), item)
    distinct, first = np.unique(ids, return_index=True)
    needed = int(distinct[-1]) + 1 if len(distinct) else 1
    size = needed if size is None else int(size)
    if size < needed:
        raise ValueError(f"{owner}: size {size} is too small for item id {needed - 1}.")
    result = {}
    for name in fields:
        values = _rows_of_field(owner, name, get_column(owner, items, name))
        table = np.zeros((size, *values.shape[1:]), values.dtype)
        if values.dtype == object and any(isinstance(value, str) for value in values.flat):
            table[:] = ""
        table[distinct] = values[first]
        result[name] = table
    return result


def _rows_of_field(owner: str, name: str, column: Any) -> np.ndarray:
    """A field as an array (N,), or (N, L) where it holds lists."""
    values = np.asarray(column)
    lists = (list, tuple, np.ndarray)
    if values.dtype != object or not len(values) or not isinstance(values[0], lists):
        return values
    lengths = sorted({len(row) for row in values})
    if len(lengths) > 1:
        raise ValueError(
            f"{owner}: the lists of column {name!r} have {lengths[0]} to {lengths[-1]} elements. "
            "Pad them to one length with 0 at the end."
        )
    return np.stack([np.asarray(row) for row in values])
