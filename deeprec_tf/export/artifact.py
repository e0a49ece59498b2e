"""An exported model, loaded again: dict of arrays in, dict of arrays out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from deeprec_tf.batches import first_row_beyond

Arrays = dict[str, np.ndarray]


def largest_difference(expected: Any, got: Any) -> float:
    """Largest absolute difference; places where both are the same infinity count as equal.

    Returns:
        NaN where either is NaN, inf where one alone is infinite, 0 for arrays without a number.
    """
    expected, got = np.asarray(expected, "float64"), np.asarray(got, "float64")
    with np.errstate(invalid="ignore"):  # inf - inf
        apart = np.where(expected == got, 0.0, np.abs(expected - got))
    return float(np.max(apart, initial=0.0))


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """Dtype (NumPy's name, "str" for strings) and shape (None = open) of an input."""

    dtype: str
    shape: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Artifact:
    """A SavedModel or ONNX file that answers like the model it was made from.

    Attributes:
        path: the folder or file.
        inputs: what it takes, by name.
        outputs: names of what it gives.
        run: the library's own call, on arrays of exactly these dtypes and ranks.
    """

    path: Path
    inputs: Mapping[str, TensorInfo]
    outputs: tuple[str, ...]
    run: Callable[[Arrays], Arrays]

    def __call__(self, x: Mapping[str, Any], batch_size: int | None = None) -> Arrays:
        """Runs the model.

        Args:
            x: arrays by input name, or a DataFrame; names that the model doesn't take are
                left out, as a training batch carries more than is served.
            batch_size: rows at a time; all at once when None.

        Returns:
            Dict from output name to array.

        Raises:
            TypeError: a dtype cannot be converted without loss of kind.
            ValueError: batch_size is below 1, or an input is missing, has the wrong rank or another
                number of rows, or holds an integer that its dtype does not reach.
        """
        missing = [name for name in self.inputs if name not in x]
        if missing:
            raise ValueError(
                f"{self.path}: the input {missing[0]!r} is missing; it takes {list(self.inputs)}, "
                f"given were {list(x)}."
            )
        if batch_size is not None and batch_size < 1:
            raise ValueError(f"{self.path}: batch_size must be at least 1, got {batch_size!r}.")
        batch = {name: self._array(name, x[name]) for name in self.inputs}
        counts = {name: len(array) for name, array in batch.items()}
        if len(set(counts.values())) > 1:
            raise ValueError(f"{self.path}: the inputs differ in their number of rows: {counts}.")
        rows = next(iter(counts.values()), 0)
        if batch_size is None or rows <= batch_size:
            return self.run(batch)
        parts = [
            self.run({name: array[start : start + batch_size] for name, array in batch.items()})
            for start in range(0, rows, batch_size)
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _array(self, name: str, value: Any) -> np.ndarray:
        info = self.inputs[name]
        is_text = info.dtype == "str"
        try:
            array = np.asarray(value, object if is_text else None)
            if array.dtype == object and (not is_text or array.ndim < len(info.shape)):
                array = np.array(array.tolist(), array.dtype if is_text else None)
        except ValueError as error:
            raise ValueError(
                f"{self.path}: {name!r} holds rows of different lengths. Pad them at the end to "
                "one length."
            ) from error
        if array.ndim == len(info.shape) - 1 and info.shape[-1] == 1:
            array = array[..., None]  # (B,) for a vector of one number
        if array.ndim != len(info.shape):
            raise ValueError(
                f"{self.path}: {name!r} must have shape {info.shape} (None = open), got "
                f"{array.shape}."
            )
        if is_text:
            return self._texts(name, array)
        if not array.size:  # NumPy takes an empty list for floats
            return array.astype(info.dtype)
        if array.dtype.kind == "O" or not np.can_cast(array.dtype, info.dtype, "same_kind"):
            raise TypeError(
                f"{self.path}: {name!r} must have dtype {info.dtype}, got {array.dtype}."
            )
        if array.dtype.kind in "iu":
            dtype = np.dtype(info.dtype)
            row = first_row_beyond(array, dtype)
            if row is not None:
                raise ValueError(
                    f"{self.path}: {name!r} has {array[row]} in row {row}, but its dtype is "
                    f"{dtype}. Encode it as the training data were."
                )
        return array.astype(info.dtype, copy=False)

    def _texts(self, name: str, array: np.ndarray) -> np.ndarray:
        """Texts, "" where one is missing."""
        texts = array.copy()
        for place, value in np.ndenumerate(array):
            if isinstance(value, str | bytes):
                continue
            if np.ndim(value) or not pd.isna(value):
                raise TypeError(
                    f"{self.path}: {name!r} must hold texts, got {value!r} in row {place[0]}."
                )
            texts[place] = ""
        return texts
