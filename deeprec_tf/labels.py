"""What labels and sample weights must look like. NumPy only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from deeprec_tf.numeric import as_numbers, holds_numbers

RETRIEVAL = "retrieval"  # the type of a task whose loss the graph gives: that of recall
_ENCODE = (
    "Encode the labels, 0 and 1 or classes from 0 on: np.unique(labels, return_inverse=True)[1]."
)


def by_column(values: Any) -> Any:
    """A DataFrame of several tasks as a dict; anything else as it is."""
    if len(getattr(values, "columns", ())) > 1:
        return {name: values[name] for name in values.columns}
    return values


def map_named(function: Callable[[Any], Any], values: Any) -> Any:
    """Applies a function to an array, or to each array of a dict by task name."""
    values = by_column(values)
    if isinstance(values, Mapping):
        return {name: function(value) for name, value in values.items()}
    return function(values)


def without_none(values: Any) -> Any:
    """A dict by task name without the tasks that have nothing; anything else as it is."""
    if not isinstance(values, Mapping):
        return values
    return {name: value for name, value in values.items() if value is not None}


def _parts(values: Any) -> list[Any]:
    return list(values.values()) if isinstance(values, Mapping) else [values]


def check_rows(what: str, values: Any, inputs: Mapping[str, np.ndarray]) -> None:
    """Raises ValueError where values, or one of a dict of them, have not one row an input row."""
    name, array = next(iter(inputs.items()))
    for part in _parts(values):
        if len(part) != len(array):
            raise ValueError(
                f"{what} has {len(part)} rows, the input {name!r} has {len(array)}."
            )


def clean_labels(
    owner: str, y: Any, outputs: Any, *, binary: bool = False, classes: int | None = None,
    task_types: Mapping[str, str | int] | None = None,
) -> Any:
    """Labels as float32 arrays of the outputs' rank.

    Args:
        owner: what error messages begin with.
        y: labels (N,) or (N, n); a dict of them by task name where there are several outputs.
        outputs: the model's output tensor, or a dict of them by task name.
        binary: refuse labels outside 0..1.
        classes: refuse labels that are none of the classes 0..classes-1.
        task_types: for a model of several tasks, the type of each that has a loss: "binary",
            "regression" or a number of classes. Their labels may be NaN where there is none.

    Returns:
        Array (N, n), or a dict of them.

    Raises:
        TypeError: labels that are no numbers, such as strings.
        ValueError: NaN in a single task, infinity, an unknown or a missing task, a class outside
            its range, or another width than the output's.
    """
    if task_types is not None:
        return _labels_of_tasks(owner, y, outputs, task_types)
    refuse_names(f"{owner}: y", y, outputs)

    def lift(values: Any, output: Any) -> np.ndarray:
        array = _numbers(f"{owner}: y", values)
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            row = int(np.argmax(~np.isfinite(array).all(axis=1)))
            raise ValueError(
                f"{owner}: the labels hold NaN or infinity in row {row}. Drop the row, or give it "
                "any label and sample_weight 0."
            )
        width = getattr(output, "shape", (1, None))[-1]
        if array.shape[1] not in (1, width) and width is not None:
            raise ValueError(
                f"{owner}: the labels have {array.shape[1]} columns, the output has {width}. Give "
                "one label a row, or a dict by task name to a model of several tasks."
            )
        if binary and len(array) and (array.min() < 0 or array.max() > 1):
            row = int(np.argmax(((array < 0) | (array > 1)).any(axis=1)))
            raise ValueError(
                f"{owner}: the label {array[row].tolist()} in row {row} lies outside 0..1, where "
                "binary cross-entropy has no lowest value. Give 0 or 1, or build the model with "
                "task='regression'."
            )
        if classes is not None:
            _refuse_outside(f"{owner}: y", array, classes)
        return array.astype("float32")

    if isinstance(y, Mapping):
        return {name: lift(values, outputs[name]) for name, values in without_none(y).items()}
    return lift(y, outputs)


def _labels_of_tasks(
    owner: str, y: Any, outputs: Mapping[str, Any], task_types: Mapping[str, str | int]
) -> dict[str, np.ndarray]:
    """Labels (N, 1) by task, NaN where there is none."""
    if hasattr(y, "columns"):
        y = {name: y[name] for name in y.columns}
    if not isinstance(y, Mapping):
        raise ValueError(
            f"{owner}: y must be a dict of labels by task name, got {type(y).__name__}. The tasks "
            f"are {list(outputs)}; NaN marks a row without label."
        )
    refuse_names(f"{owner}: y", y, outputs)
    y = without_none(y)
    missing = [task for task, kind in task_types.items() if task not in y and kind != RETRIEVAL]
    if missing:
        raise ValueError(
            f"{owner}: y lacks the task {missing[0]!r}. Give labels of {list(task_types)}; NaN "
            "marks a row without label."
        )
    return {
        task: _labels_of_task(f"{owner}: y[{task!r}]", values, task_types.get(task, "binary"))
        for task, values in y.items()
    }


def _labels_of_task(what: str, values: Any, task_type: str | int) -> np.ndarray:
    array = _numbers(what, values).astype("float64")
    if array.shape[1] != 1:
        raise ValueError(f"{what} has {array.shape[1]} columns. Give one label a row.")
    if np.isinf(array).any():
        row = int(np.argmax(np.isinf(array)))
        raise ValueError(f"{what} holds infinity in row {row}. NaN marks a row without label.")
    if task_type == RETRIEVAL and np.isnan(array).any():
        row = int(np.argmax(np.isnan(array)))
        raise ValueError(f"{what} is NaN in row {row}. Give rewards: 1 counts a row once, 0 not.")
    if task_type not in ("regression", RETRIEVAL):
        _refuse_outside(what, array, task_type)
    return array.astype("float32")


def _numbers(what: str, values: Any) -> np.ndarray:
    """Labels (N, n) of a numeric dtype; strings and dates raise TypeError."""
    array = _one_a_row(what, values, "label", _ENCODE)
    return array.reshape(len(array), -1)


def _one_a_row(what: str, values: Any, noun: str, mend: str) -> np.ndarray:
    """Labels or weights (N, ...) of a numeric dtype; others and single values are refused."""
    array = as_numbers(values)
    if not holds_numbers(array):
        raise TypeError(no_numbers(what, array.dtype, mend))
    if array.ndim == 0:
        raise ValueError(f"{what} is the single value {values!r}. Give one {noun} a row.")
    return array


def no_numbers(what: str, dtype: Any, mend: str = _ENCODE) -> str:
    """What to say of labels or weights that are texts, times or objects."""
    return f"{what} must hold numbers, got dtype {dtype}. {mend}"


def _refuse_outside(what: str, array: np.ndarray, task_type: str | int) -> None:
    """Raises ValueError where a label (N, 1) lies outside 0..1, or is none of the classes."""
    bad, wanted = ((array < 0) | (array > 1)), "0..1"
    if isinstance(task_type, int):
        bad = (array < 0) | (array >= task_type) | (array != np.floor(array))
        wanted = f"the classes 0..{task_type - 1}"
    bad &= ~np.isnan(array)
    if bad.any():
        row = int(np.argmax(bad.any(axis=1)))
        raise ValueError(
            f"{what} is {array[row, 0]:g} in row {row}, outside {wanted}. Mend the label, or "
            "build the model with another task type."
        )


def clean_weights(owner: str, sample_weight: Any, outputs: Any, x: Mapping[str, Any]) -> Any:
    """Weights as finite float32 arrays, one an input row; a task whose weights are None has none.

    Raises:
        TypeError: weights that are no numbers.
        ValueError: any others that don't fit.
    """
    if isinstance(outputs, Mapping):
        sample_weight = by_column(sample_weight)
    refuse_names(f"{owner}: sample_weight", sample_weight, outputs)

    def of_rows(values: Any) -> np.ndarray:
        what = f"{owner}: sample_weight"
        return _one_a_row(what, values, "weight", "Give one weight a row.").astype("float32")

    weights = map_named(of_rows, without_none(sample_weight))
    check_rows(f"{owner}: sample_weight", weights, x)
    for array in _parts(weights):
        if array.ndim > 1 and array[:1].size > 1:
            raise ValueError(
                f"{owner}: sample_weight has the shape {array.shape}. Give one weight a row, or a "
                "dict of them by task."
            )
        if not np.isfinite(array).all():
            row = int(np.argmax(~np.isfinite(array.reshape(len(array), -1)).all(axis=1)))
            raise ValueError(f"{owner}: sample_weight holds NaN or infinity in row {row}.")
    return weights


def refuse_names(what: str, values: Any, outputs: Any) -> None:
    """Raises ValueError for a dict given to a model of one output, or with unknown names."""
    if not isinstance(values, Mapping):
        return
    if not isinstance(outputs, Mapping):
        raise ValueError(
            f"{what} is a dict of {list(values)}, but the model has one output. Give one array."
        )
    unknown = [name for name in values if name not in outputs]
    if unknown:
        raise ValueError(f"{what} names {unknown[0]!r}; the tasks are {list(outputs)}.")


def split_off(owner: str, x: Any, y: Any, sample_weight: Any, share: float) -> tuple:
    """The last rows become validation data, as Keras does it.

    Returns:
        x, y, sample_weight of the first rows, and the tuple of the last ones.

    Raises:
        ValueError: the share is out of range or leaves a part empty.
    """
    if not 0 < share < 1:
        raise ValueError(f"{owner}.fit: validation_split must lie in (0, 1), got {share}.")
    names = list(x.keys())
    rows = len(x[names[0]])
    cut = int(np.floor(rows * (1.0 - share)))
    if cut < 1 or cut >= rows:
        raise ValueError(
            f"{owner}.fit: validation_split={share} of {rows} rows leaves one part empty. Give "
            "more rows or another share."
        )

    def part(values, rows_of):
        if values is None:
            return None
        return map_named(lambda v: np.asarray(v)[rows_of], without_none(values))

    head, tail = slice(None, cut), slice(cut, None)
    inputs = {name: x[name] for name in names}
    validation: tuple[Any, ...] = (part(inputs, tail), part(y, tail), part(sample_weight, tail))
    validation = validation[:2] if sample_weight is None else validation
    return part(inputs, head), part(y, head), part(sample_weight, head), validation
