"""What a batch must look like: checks on arrays before they meet a graph.

An id out of range is an error on a CPU, row zeros on a GPU and the last row under XLA; NaN
travels silently. So arrays are checked here, once, with the column, the row and the mend named.
NumPy and the columns only.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from deeprec_tf.features import (
    FeatureColumn,
    InputSpec,
    SparseFeat,
    VarLenDenseFeat,
    VarLenSparseFeat,
    input_specs,
)
from deeprec_tf.numeric import as_numbers, holds_numbers

_LABEL_NAMES = frozenset({"label", "labels", "target", "y", "click", "clicked", "rating"})


def too_long(owner: str, name: str, steps: Any, maxlen: int) -> str:
    """What to say of a sequence with more steps than its column has."""
    return (
        f"{owner}: {name!r} has {steps} steps, more than its maxlen {maxlen}. Keep the newest "
        f"{maxlen} of each row or raise maxlen."
    )


def padding_in_front(owner: str, name: str, where: str) -> str:
    """What to say of a sequence with padding before a real step."""
    return (
        f"{owner}: {name!r} has padding (0) before a real id{where}. Sequences are left-aligned: "
        "put all padding at the end."
    )


def check_batch(
    feature_columns: Iterable[FeatureColumn],
    batch: Mapping[str, Any],
    *,
    labels: Any = None,
    owner: str = "check_batch",
) -> dict[str, np.ndarray]:
    """Checks a batch, or a whole data set, against its columns and returns it as clean arrays.

    Args:
        feature_columns: the columns the model was built from.
        batch: mapping from input name to array, or a pandas DataFrame. Rows are the first axis;
            ragged ones (`tf.RaggedTensor`) are padded.
        labels: the labels that go with the batch, if any; a dict by task name is checked for
            names that are inputs at the same time, and the row counts are compared.
        owner: what error messages begin with.

    Returns:
        Dict from input name to NumPy array of the Input's dtype: ids (B,) or (B, T) or
        (B, T, group), dense (B, dimension). String columns stay object arrays of `str`.

    Raises:
        TypeError: the batch is no mapping, or a dtype cannot be what the column declares.
        ValueError: unknown or missing column, a label among the inputs, no rows, unequal row
            counts, wrong rank, id out of range, NaN or infinity, more steps than `maxlen`, or
            lengths that disagree with the padding.

    Example:
        >>> check_batch([SparseFeat("user", 3)], {"user": [0, 2]})["user"]
        array([0, 2], dtype=int32)
    """
    specs = input_specs(feature_columns)
    if not hasattr(batch, "keys"):
        raise TypeError(
            f"{owner}: inputs must be a dict of arrays or a DataFrame, got "
            f"{type(batch).__name__}. Give {{name: array}} for {list(specs)}."
        )
    _check_names(owner, specs, [str(key) for key in batch.keys()], labels)
    arrays: dict[str, np.ndarray] = {}
    rows: tuple[str, int] | None = None
    for name, spec in specs.items():
        array = _as_array(owner, spec, batch[name])
        rows = rows or (name, len(array))
        if len(array) != rows[1]:
            raise ValueError(
                f"{owner}: {name!r} has {len(array)} rows, {rows[0]!r} has {rows[1]}. All inputs "
                "of a batch need the same number of rows."
            )
        arrays[name] = array
    if rows is not None and rows[1] == 0:
        raise ValueError(f"{owner}: the batch is empty (0 rows). Give at least one row.")
    _check_label_rows(owner, labels, rows)
    for spec in specs.values():
        arrays[spec.name] = _check_values(owner, spec, arrays[spec.name])
    for column in dict.fromkeys(spec.column for spec in specs.values()):
        if isinstance(column, VarLenSparseFeat | VarLenDenseFeat) and column.length_name:
            _check_lengths(owner, column, arrays)
        if isinstance(column, VarLenSparseFeat) and column.weight_name:
            _check_weights(owner, column, arrays)
    return arrays


def _check_names(
    owner: str, specs: Mapping[str, InputSpec], given: list[str], labels: Any
) -> None:
    if isinstance(labels, Mapping):
        for name in labels:
            if name in given:
                raise ValueError(
                    f"{owner}: {name!r} is a label and an input at once: the model would read "
                    "its answer. Remove it from the inputs."
                )
    unknown = [name for name in given if name not in specs]
    missing = [name for name in specs if name not in given]
    if missing:
        name = missing[0]
        column = specs[name].column
        close = difflib.get_close_matches(name, unknown, n=1)
        hint = f" Did you mean to rename {close[0]!r}?" if close else ""
        raise ValueError(
            f"{owner}: the input {name!r} of {type(column).__name__}({column.name!r}) is missing; "
            f"given were {given}. Add the array {name!r} or drop the column.{hint}"
        )
    if unknown:
        name = unknown[0]
        if name.lower() in _LABEL_NAMES:
            raise ValueError(
                f"{owner}: {name!r} looks like a label among the inputs. Pass it as y= and keep "
                f"only the inputs {list(specs)} in x."
            )
        raise ValueError(
            f"{owner}: {name!r} is no input of the model; its inputs are {list(specs)}. Remove "
            f"{name!r} from the batch or declare a column for it."
        )


def _check_label_rows(owner: str, labels: Any, rows: tuple[str, int] | None) -> None:
    if labels is None or rows is None:
        return
    for key, value in labels.items() if isinstance(labels, Mapping) else (("y", labels),):
        has_rows = hasattr(value, "__len__") and getattr(value, "ndim", 1) > 0
        if has_rows and len(value) != rows[1]:
            raise ValueError(
                f"{owner}: the labels {key!r} have {len(value)} rows, the input {rows[0]!r} has "
                f"{rows[1]}."
            )


def _as_array(owner: str, spec: InputSpec, value: Any) -> np.ndarray:
    """Array of the right rank and kind, dtype not yet narrowed."""
    if hasattr(value, "to_tensor"):
        value = value.to_tensor()  # of ragged rows
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(
            f"{owner}: {spec.name!r} holds rows of different lengths. Pad them with 0 at the end "
            f"to one length of at most {getattr(spec.column, 'maxlen', 1)}."
        ) from error
    if array.dtype == object and array.ndim == 1 and len(array):
        array = _stack_rows(owner, spec, array)
    return _fix_rank(owner, spec, array)


def _stack_rows(owner: str, spec: InputSpec, array: np.ndarray) -> np.ndarray:
    """Turns a Series of lists into a matrix, and Python's integers into NumPy's."""
    nested = [isinstance(row, list | tuple | np.ndarray) for row in array]
    if any(nested):
        if not all(nested):
            row = nested.index(False)
            raise ValueError(
                f"{owner}: {spec.name!r} holds lists, but {array[row]!r} in row {row}. Give every "
                "row a list, of zeros where there is nothing."
            )
        lengths = {len(row) for row in array}
        if len(lengths) > 1:
            raise ValueError(
                f"{owner}: {spec.name!r} holds rows of different lengths ({min(lengths)} to "
                f"{max(lengths)}). Pad them with 0 at the end to one length of at most "
                f"{getattr(spec.column, 'maxlen', 1)}."
            )
        try:
            return np.array(array.tolist())
        except ValueError as error:
            raise ValueError(
                f"{owner}: {spec.name!r} holds steps of different lengths. Pad the groups of all "
                "steps with 0 to one length."
            ) from error
    if all(isinstance(value, int | np.integer) for value in array):
        return array.astype("int64")
    return array


def _fix_rank(owner: str, spec: InputSpec, array: np.ndarray) -> np.ndarray:
    rank = len(spec.shape) + 1
    if spec.shape and spec.shape[0] is None and array.ndim > 1 and array.shape[1] == 0:
        is_text = spec.role == "ids" and getattr(spec.column, "dtype", "") == "string"
        step = np.array("" if is_text else 0, object if is_text else np.dtype(spec.dtype))
        # No step at all becomes one of padding.
        return np.tile(step, (len(array), 1, *(n or 1 for n in spec.shape[1:])))
    if array.ndim == rank - 1 and spec.shape and spec.shape[-1] == 1:
        array = array[..., None]  # (B,) for a dense column of dimension 1
    if array.ndim == rank + 1 and array.shape[-1] == 1 and array.ndim == 2:
        array = array[..., 0]  # (B, 1) for a column of one id a row
    wanted = "(B" + "".join(f", {'T' if n is None else n}" for n in spec.shape) + ")"
    if array.ndim != rank:
        mend = "one value a row" if rank == 1 else "padded rows of one length"
        raise ValueError(
            f"{owner}: {spec.name!r} must have shape {wanted.replace('(B)', '(B,)')}, got "
            f"{array.shape}. Give {mend}."
        )
    for got, want in zip(array.shape[1:], spec.shape, strict=True):
        if want is not None and got != want:
            raise ValueError(
                f"{owner}: {spec.name!r} must have shape {wanted}, got {array.shape}."
            )
    maxlen = getattr(spec.column, "maxlen", None)
    if spec.role != "length" and maxlen is not None and array.shape[1] > maxlen:
        raise ValueError(too_long(owner, spec.name, array.shape[1], maxlen))
    return array


def _first_row(bad: np.ndarray) -> int:
    """Row of the first bad value; argmax keeps it to one pass."""
    return int(np.argmax(bad.reshape(len(bad), -1).any(axis=1)))


def _check_values(owner: str, spec: InputSpec, array: np.ndarray) -> np.ndarray:
    """Checks dtype and range and narrows to the Input's dtype."""
    if spec.role == "ids" and isinstance(spec.column, SparseFeat | VarLenSparseFeat):
        if spec.column.dtype == "string":
            return _checked_strings(owner, spec, array)
        return _checked_ids(owner, spec, spec.column, array)
    if spec.role == "length":
        return _narrowed(owner, spec, _checked_integers(owner, spec, array))
    return _checked_numbers(owner, spec, array)


def _checked_strings(owner: str, spec: InputSpec, array: np.ndarray) -> np.ndarray:
    array = array.astype(object)  # a copy: bytes, as TensorFlow gives strings, are decoded below
    for place, value in np.ndenumerate(array):
        if isinstance(value, bytes):
            array[place] = value.decode("utf-8", "replace")
    bad = np.array([not isinstance(value, str) for value in array.reshape(-1)]).reshape(array.shape)
    if bad.any():
        row = _first_row(bad)
        raise TypeError(
            f"{owner}: {spec.name!r} has dtype 'string' but row {row} holds "
            f"{array[row]!r}. Give str values, '' for padding or missing ones."
        )
    return array


def _checked_integers(owner: str, spec: InputSpec, array: np.ndarray) -> np.ndarray:
    if array.dtype.kind not in "iub":
        bad = array.dtype.kind == "f" and not np.isfinite(array).all()
        where = f" (row {_first_row(~np.isfinite(array))} is not finite)" if bad else ""
        mend = (
            "Declare the SparseFeat with dtype='string' to hash strings"
            if spec.role == "ids" and getattr(spec.column, "use_hash", False)
            and array.dtype.kind in "OUS"
            else "Fill missing values and convert with .astype('int64')"
        )
        raise TypeError(
            f"{owner}: {spec.name!r} must hold integers, got dtype {array.dtype}{where}. {mend}, "
            "or encode raw values with deeprec_tf.data.FeatureEncoder."
        )
    return array.astype("int64", copy=False)


def _checked_ids(
    owner: str, spec: InputSpec, column: SparseFeat | VarLenSparseFeat, array: np.ndarray
) -> np.ndarray:
    array = _checked_integers(owner, spec, array)
    if column.use_hash or not array.size:
        return array.astype(spec.dtype, copy=False)
    if array.min() < 0 or array.max() >= column.vocabulary_size:
        row = _first_row((array < 0) | (array >= column.vocabulary_size))
        values = array[row].reshape(-1)
        value = values[(values < 0) | (values >= column.vocabulary_size)][0]
        raise ValueError(
            f"{owner}: {spec.name!r} holds the id {value} in row {row}, outside "
            f"0..{column.vocabulary_size - 1}. Raise vocabulary_size, re-encode the ids, or set "
            "use_hash=True."
        )
    return array.astype(spec.dtype, copy=False)


def _checked_numbers(owner: str, spec: InputSpec, array: np.ndarray) -> np.ndarray:
    array = as_numbers(array)
    if not holds_numbers(array):
        mend = "Convert it, or declare a SparseFeat if it is a category"
        if array.dtype.kind in "Mm":
            mend = "Give seconds, as .astype('datetime64[s]').astype('int64') does, or days"
            mend = mend.replace("datetime", "timedelta") if array.dtype.kind == "m" else mend
        raise TypeError(
            f"{owner}: {spec.name!r} must hold numbers, got dtype {array.dtype}. {mend}."
        )
    if array.dtype.kind == "f":
        bad = ~np.isfinite(array)
        if bad.any():
            row = _first_row(bad)
            raise ValueError(
                f"{owner}: {spec.name!r} holds NaN or infinity in row {row}. Fill missing values "
                "(deeprec_tf.data.FeatureEncoder does)."
            )
        if np.dtype(spec.dtype).kind == "i" and (array != np.trunc(array)).any():
            row = _first_row(array != np.trunc(array))
            raise TypeError(
                f"{owner}: {spec.name!r} is declared {spec.dtype} but row {row} holds "
                f"{array[row]}. Round it or declare a float dtype."
            )
    return _narrowed(owner, spec, array)


def _narrowed(owner: str, spec: InputSpec, array: np.ndarray) -> np.ndarray:
    """The Input's dtype, where it holds the values: NumPy would wrap them or make them infinite."""
    dtype = np.dtype(spec.dtype)
    row = first_row_beyond(array, dtype)
    if row is not None:
        raise ValueError(
            f"{owner}: {spec.name!r} holds {array[row]} in row {row}, too large for {dtype}. Scale "
            "it, or declare a wider dtype."
        )
    return array.astype(dtype, copy=False)


def first_row_beyond(array: np.ndarray, dtype: np.dtype) -> int | None:
    """The first row with a number that a dtype does not reach; None where it reaches all."""
    limits = np.finfo(dtype) if dtype.kind == "f" else np.iinfo(dtype)
    if not array.size or (array.min() >= limits.min and array.max() <= limits.max):
        return None
    return _first_row((array < limits.min) | (array > limits.max))


def _check_weights(owner: str, column: VarLenSparseFeat, arrays: Mapping[str, np.ndarray]) -> None:
    weights, ids = arrays[str(column.weight_name)], arrays[column.name]
    if weights.shape[1] != ids.shape[1]:
        raise ValueError(
            f"{owner}: {column.weight_name!r} has {weights.shape[1]} steps, {column.name!r} has "
            f"{ids.shape[1]}. Give one weight an id; weights of padding don't count."
        )


def check_alignment(
    owner: str, column: VarLenSparseFeat, ids: np.ndarray, *, in_groups: bool = False
) -> None:
    """Raises ValueError where a step that is padding has a real one behind it.

    Args:
        owner: what the message begins with.
        column: the sequence.
        ids: (B, T) or (B, T, group).
        in_groups: whether the ids of a group, too, must stand before its padding.
    """
    real = ids != ("" if column.dtype == "string" else 0)
    steps = real if ids.ndim == 2 else real.any(axis=2)
    gaps = (steps[:, 1:] & ~steps[:, :-1]).any(axis=1)
    if in_groups and ids.ndim == 3:
        gaps |= (real[..., 1:] & ~real[..., :-1]).any(axis=(1, 2))
    if gaps.any():
        row = _first_row(gaps)
        where = f" in row {row}: {ids[row].tolist()}"
        raise ValueError(padding_in_front(owner, column.name, where))


def _check_lengths(
    owner: str, column: VarLenSparseFeat | VarLenDenseFeat, arrays: Mapping[str, np.ndarray]
) -> None:
    """Lengths lie in 0..T, and ids are real before the length and 0 from there on."""
    lengths = arrays[str(column.length_name)]
    steps = arrays[column.name].shape[1]
    bad = (lengths < 0) | (lengths > min(column.maxlen, steps))
    if bad.any():
        row = _first_row(bad)
        raise ValueError(
            f"{owner}: {column.length_name!r} is {lengths[row]} in row {row}; {column.name!r} has "
            f"{steps} steps and maxlen {column.maxlen}. Lengths count real steps: 0 to "
            f"{min(column.maxlen, steps)}."
        )
    if not isinstance(column, VarLenSparseFeat):
        return
    ids = arrays[column.name]
    real = (ids != "") if column.dtype == "string" else (ids != 0)
    real = real.any(axis=-1) if column.group > 1 else real
    expected = np.arange(steps) < lengths[:, None]
    if (real != expected).any():
        row = _first_row(real != expected)
        raise ValueError(
            f"{owner}: {column.name!r} and {column.length_name!r} disagree in row {row}: the "
            f"length is {lengths[row]}, the ids are {ids[row].tolist()}. Ids are real (not 0) "
            "before the length and 0 from there on."
        )
