"""The input path of a `RecModel`: what becomes of arrays and datasets before a step sees them."""

from __future__ import annotations

from collections.abc import Container
from types import GeneratorType
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from deeprec_tf.array_dataset import array_dataset, unpacked
from deeprec_tf.batch_sources import checked_source, is_source
from deeprec_tf.batches import check_alignment, check_batch, first_row_beyond
from deeprec_tf.dataset_guards import (
    finite,
    fitting_lengths,
    in_step,
    known,
    left_aligned,
    not_in_step,
    positive,
    refuse_kind,
    short_enough,
    sound_labels,
    sound_weights,
    within_shares,
)
from deeprec_tf.features import VarLenSparseFeat, input_specs
from deeprec_tf.labels import clean_labels, clean_weights
from deeprec_tf.model_input import model_input
from deeprec_tf.reads import Reads
from deeprec_tf.string_keys import string_keys, string_keys_of_array

DEFAULT_BATCH_SIZE = 256
_AS_SHARES = "What a user did lies in 0..1: of a rating, give whether it is good."
_LARGEST = float(np.finfo("float16").max)


def without(x: Any, unused: Container[str]) -> Any:
    """Arrays by name without some of them; what has no names is left for the checks to refuse."""
    if not hasattr(x, "keys"):
        return x
    return {name: x[name] for name in x.keys() if name not in unused}


def _hashed(values: Any) -> Any:
    is_array = isinstance(values, np.ndarray)
    return string_keys_of_array(values) if is_array else string_keys(values)


class InputPath(Reads):
    """Checks arrays against the columns, lifts labels and makes datasets; a part of `RecModel`."""

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """The outputs for a batch of tensors; texts are hashed, nothing is checked."""
        if isinstance(inputs, dict):
            inputs = {name: _hashed(values) for name, values in inputs.items()}
        return super().__call__(inputs, *args, **kwargs)

    def _check_steps(self) -> None:
        """Several steps in one loop are refused where TensorFlow fails at them."""
        strategy, steps = self.distribute_strategy, self.steps_per_execution
        on_tpu = isinstance(strategy, tf.distribute.TPUStrategy)
        if strategy.num_replicas_in_sync > 1 and steps > 1 and not on_tpu and not self.run_eagerly:
            raise ValueError(
                f"{self.name}.fit: steps_per_execution={steps} on {strategy.num_replicas_in_sync} "
                "replicas: TensorFlow can't gather the gradients of tables in that loop. Compile "
                "with steps_per_execution=1."
            )

    def _is_arrays(self, x: Any) -> bool:
        return hasattr(x, "keys") and bool(self._columns_config)

    def _by_name(self, x: Any, unused: Any = (), *, refuses: bool = True) -> Any:
        """What the model reads of a batch: Keras itself takes a dict's values by their order.

        Args:
            x: a batch; anything but a dict is given back.
            unused: names of inputs that are left out.
            refuses: whether a name that is no input is refused, rather than left out.

        Raises:
            ValueError: an input is missing, or a name is no input.
        """
        x, inputs = unpacked(x), self._inputs_struct
        if not isinstance(x, dict) or not isinstance(inputs, dict):
            return x
        wanted = [name for name in inputs if name not in unused]
        missing = next((name for name in wanted if name not in x), None)
        if missing is not None:
            raise ValueError(
                f"{self.name}: input {missing!r} is missing in the batches; they have {list(x)}, "
                f"the inputs are {wanted}."
            )
        known = {*inputs, *self._ignored_inputs}
        strange = next((name for name in x if name not in known), None)
        if strange is not None and refuses:
            raise ValueError(
                f"{self.name}: the batches have {strange!r}, which is no input of the model. Drop "
                f"it; the inputs are {wanted}."
            )
        return {name: x[name] for name in wanted}

    def _check_arrays(self, where: str, x: Any, y: Any = None) -> dict:
        owner = f"{self.name}.{where}"
        if isinstance(x, list | tuple | np.ndarray):
            raise TypeError(
                f"{owner}: inputs must be a dict of arrays by name, a DataFrame or a "
                f"tf.data.Dataset, got {type(x).__name__}."
            )
        if any(name in x for name in self._ignored_inputs):
            x = without(x, self._ignored_inputs)
        arrays = check_batch(self.feature_columns, x, labels=y, owner=owner)
        self._check_float16(owner, arrays)
        for name in self._shares(self):
            bad = (arrays[name] < 0) | (arrays[name] > 1)
            if bad.any():
                row = int(np.argmax(bad.reshape(len(bad), -1).any(axis=1)))
                raise ValueError(
                    f"{owner}: {name!r} holds {arrays[name][row].tolist()} in row {row}. "
                    + _AS_SHARES
                )
        item = arrays.get(self._positive_item)
        if item is not None and self.has_row_loss and len(item) and item.min() < 1:
            raise ValueError(
                f"{owner}: {self._positive_item!r} is {item.min()} in row {int(item.argmin())}, "
                "but id 0 is padding. Give items ids from 1."
            )
        for column, in_groups in self._aligned():
            if column.name in arrays:
                check_alignment(owner, column, arrays[column.name], in_groups=in_groups)
        for names in self._facts().in_step:
            steps = {name: arrays[name].shape[1] for name in names if name in arrays}
            for name, number in steps.items():
                first, wanted = next(iter(steps.items()))
                if number != wanted:
                    raise ValueError(not_in_step(owner, name, number, first, wanted))
        return {name: string_keys_of_array(array) for name, array in arrays.items()}

    def _aligned(self) -> list[tuple[VarLenSparseFeat, bool]]:
        """The sequences whose padding must stand at the end, and whether in their groups, too."""
        by_place = self._facts().left_aligned
        aligned = []
        for column in self.feature_columns:
            if not isinstance(column, VarLenSparseFeat) or column.length_name:
                continue  # beside a length, check_batch has seen to it
            in_recall = self._positive_item is not None and column.combiner == "none"
            if in_recall or column.name in by_place:
                aligned.append((column, column.name in by_place))
        return aligned

    def _shares(self, reads: Any) -> set[str]:
        """The inputs of numbers that must lie in 0..1."""
        specs = input_specs(self.feature_columns)
        return {n for n in reads._facts().shares if n in specs and specs[n].role == "values"}

    def _check_float16(self, owner: str, arrays: dict) -> None:
        """Numbers that would be infinite in float16: then no step of a training would count."""
        halved = self._facts().float16
        for name, spec in input_specs(self.feature_columns).items():
            if spec.role != "values" or name not in halved:
                continue
            row = first_row_beyond(arrays[name], np.dtype("float16"))
            if row is not None:
                raise ValueError(
                    f"{owner}: {name!r} holds {arrays[name][row]} in row {row}, too large for "
                    "float16. Scale it, or build the model under another dtype policy."
                )

    def _dataset(self, where, x, y, sample_weight, batch_size, redraw=None, **kwargs):
        owner = f"{self.name}.{where}"
        arrays = (self._check_arrays(where, x, y),)
        if redraw is not None:
            kwargs["redraw"] = lambda: self._redrawn(x, redraw)
        if y is not None:
            arrays += (self._labels(where, y),)
        if sample_weight is not None:
            if y is None and (not self.has_row_loss or self.loss_balance is not None):
                raise ValueError(f"{owner}: sample_weight was given without y.")
            weights = self._weights(where, sample_weight, arrays[0])
            if y is None:
                arrays += (np.ones((len(weights), 1), "float32"),)
            arrays += (weights,)
        self._refuse_missing(owner, y)
        return self._batches(arrays, batch_size or DEFAULT_BATCH_SIZE, **kwargs)

    def _refuse_missing(self, owner: str, y: Any) -> None:
        if y is None and self.loss is not None:
            raise ValueError(f"{owner}: y is missing. Give one label a row.")

    def _batches(self, arrays, batch_size, **kwargs):
        # Strategies look into the batches before a step does, so they get them unpacked.
        pack = self._distribute_strategy is None
        return array_dataset(arrays, batch_size, pack=pack, **kwargs)

    def _redrawn(self, x: Any, redraw: Any) -> dict:
        """This epoch's new inputs, checked beside the ones that stay."""
        fresh = redraw(self.row_order.epoch)
        unknown = [name for name in fresh if name not in x]
        if unknown:
            raise ValueError(
                f"{self.name}.fit: redraw gives {unknown[0]!r}, which is no input in x. Inputs are "
                f"{list(x.keys())}."
            )
        batch = {name: fresh.get(name, x[name]) for name in x.keys()}
        checked = self._check_arrays("fit(redraw)", batch)
        return {name: checked[name] for name in fresh}

    def _weights(self, where: str, sample_weight: Any, x: Any) -> Any:
        """Sample weights as finite float32 arrays, one a row."""
        if sample_weight is None:
            return None
        return clean_weights(f"{self.name}.{where}", sample_weight, self.output, x)

    def _labels(self, where: str, y: Any) -> Any:
        """Labels as float32 arrays of the outputs' rank; what does not fit is refused."""
        outputs, rules = self._label_rules()
        return clean_labels(f"{self.name}.{where}", y, outputs, **rules)

    def _label_rules(self) -> tuple[Any, dict[str, Any]]:
        """The outputs that have labels, and what these must be."""
        loss = getattr(self.loss, "name", self.loss)
        balance, task_types, classes = self.loss_balance, None, None
        is_recall = self.has_row_loss and balance is None
        outputs = self.output["score"] if is_recall else self.output
        if balance is not None:
            task_types = dict(zip(balance.tasks, balance.task_types, strict=True))
        # A class that the loss ignores, such as -1, may lie outside.
        of_classes = loss == "sparse_categorical_crossentropy" and not isinstance(outputs, dict)
        if of_classes and getattr(self.loss, "ignore_class", None) is None:
            classes = outputs.shape[-1]
        binary = loss == "binary_crossentropy"
        return outputs, {"binary": binary, "classes": classes, "task_types": task_types}

    def _checked_jit(self, jit_compile: bool | str) -> bool | str:
        """`jit_compile` as given, or ValueError: Keras itself takes any text for "auto"."""
        if jit_compile in ("auto", True, False):
            return jit_compile
        raise ValueError(
            f"{self.name}.compile: jit_compile must be 'auto', True or False, got {jit_compile!r}."
        )

    def _prepare_dataset(
        self, where: str, dataset: tf.data.Dataset, unused: Container[str] = ()
    ) -> tf.data.Dataset:
        """Hashes strings, checks and lifts in batches of the user's own dataset."""
        reads_labels = where != "predict"
        if reads_labels:
            self.check_dataset(where, dataset.element_spec)
            outputs, rules = self._label_rules()
        owner = f"{self.name}.{where}"
        guarded = self._guards(owner, self if reads_labels else self._predictor()[0])
        specs = input_specs(self.feature_columns)

        def prepare(x, *rest):
            x = self._by_name(x, unused)
            if isinstance(x, dict):
                for name in x.keys() & specs.keys():
                    refuse_kind(owner, specs[name], x[name])
                x = guarded({name: model_input(values) for name, values in x.items()})
            if reads_labels:
                self._refuse_missing(owner, rest[0] if rest else None)
            if rest:
                y = tf.nest.map_structure(
                    lambda v: v[:, None] if v.shape.rank == 1 else v, rest[0]
                )
                if reads_labels:
                    y = sound_labels(owner, y, outputs, **rules)
                    rest = (y, *(sound_weights(owner, weights) for weights in rest[1:]))
                else:
                    rest = (y, *rest[1:])
            return (x, *rest) if rest else x

        return dataset.map(prepare, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)

    def _guards(self, owner: str, reads: Any) -> Any:
        """The function that guards the inputs of a batch, of those that `reads` has."""
        specs = input_specs(self.feature_columns)
        facts = reads._facts()
        groups = reads._in_step()
        shares = self._shares(reads)
        aligned = {column.name: in_groups for column, in_groups in reads._aligned()}

        def guarded(x: dict) -> dict:
            x = dict(x)
            for name, spec in specs.items():
                if name not in x:
                    continue
                column: Any = spec.column
                part = getattr(column, "sparsefeat", column)
                if spec.role == "ids":
                    size = None if part.use_hash else part.vocabulary_size
                    x[name] = known(self.name, name, x[name], size)
                if spec.role in ("values", "weight"):
                    largest = _LARGEST if name in facts.float16 and spec.role == "values" else None
                    x[name] = finite(owner, name, x[name], spec.dtype, largest)
                if name in shares:
                    x[name] = within_shares(owner, name, x[name], _AS_SHARES)
                if spec.role != "length" and hasattr(column, "maxlen"):
                    x[name] = short_enough(self.name, name, x[name], column.maxlen)
                if name == column.name and getattr(column, "length_name", None) in x:
                    length = column.length_name
                    x[length] = fitting_lengths(owner, column, x[name], x[length])
                if name in aligned:
                    x[name] = left_aligned(owner, name, x[name], aligned[name])
                if name == self._positive_item and self.has_row_loss:
                    x[name] = positive(owner, name, x[name])
            for names in groups:
                x |= in_step(owner, names, x)
            return x

        return guarded

    def _one_batch(self, where, x, y, sample_weight):
        """Arrays of one batch, checked as those of `fit` are."""
        x = self._check_arrays(where, x, y)
        self._refuse_missing(f"{self.name}.{where}", y)
        y = None if y is None else self._labels(where, y)
        return x, y, self._weights(where, sample_weight, x)

    def _prepare(self, where, x, y=None, sample_weight=None, batch_size=None, **kwargs):
        """What Keras is to be given for (x, y, sample_weight)."""
        if where == "fit":
            self._check_steps()
        if isinstance(x, tf.data.Dataset):
            return self._prepare_dataset(where, x), y, sample_weight
        if self._is_arrays(x) or isinstance(x, list | tuple | np.ndarray):
            return self._dataset(where, x, y, sample_weight, batch_size, **kwargs), None, None
        return self._source(where, x), y, sample_weight

    def _source(self, where: str, x: Any) -> Any:
        """A `PyDataset` or generator whose batches are checked; anything else as it is."""
        if not is_source(x) or not self._columns_config:
            return x

        def checked(batch: Any) -> Any:
            inputs, y, sample_weight = keras.utils.unpack_x_y_sample_weight(batch)
            inputs, y, weights = self._one_batch(where, inputs, y, sample_weight)
            if weights is None:
                return (inputs,) if y is None else (inputs, y)
            return inputs, np.ones((len(weights), 1), "float32") if y is None else y, weights

        return checked_source(f"{self.name}.{where}", x, checked, self.feature_columns)

    def _to_predict(self, batches: Any) -> tuple[Any, Any]:
        """The part that predicts, and the batches of a dataset or source as it reads them."""
        model, unused = self._predictor()
        if isinstance(batches, tf.data.Dataset):
            return model, self._prepare_dataset("predict", batches, unused)

        def checked(batch: Any) -> Any:
            inputs, *_ = keras.utils.unpack_x_y_sample_weight(batch)
            return (model._check_arrays("predict", without(inputs, unused)),)

        if not self._columns_config:
            return model, batches
        owner = f"{self.name}.predict"
        return model, checked_source(owner, batches, checked, model.feature_columns)

    def _validation(self, validation_data, batch_size, read_again=False):
        if isinstance(validation_data, tf.data.Dataset):
            return self._prepare_dataset("fit(validation_data)", validation_data)
        if isinstance(validation_data, tuple | list) and len(validation_data) in (2, 3):
            x, y, *weight = validation_data
            if self._is_arrays(x):
                return self._dataset(
                    "fit(validation_data)", x, y, weight[0] if weight else None, batch_size
                )
        if isinstance(validation_data, GeneratorType) and read_again:
            raise ValueError(
                f"{self.name}.fit: validation_data is a generator, which is used up after one "
                "epoch. Give a keras.utils.PyDataset or a tf.data.Dataset, or validation_steps "
                "where it never ends."
            )
        return self._source("fit(validation_data)", validation_data)
