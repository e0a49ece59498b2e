"""What a model reads its batches by."""

from __future__ import annotations

from typing import Any

from deeprec_tf.asides import Asides
from deeprec_tf.features import VarLenSparseFeat, columns_from_config
from deeprec_tf.graph import InputFacts, input_facts

READS = ("feature_columns", "ignored_inputs", "positive_item")


class Reads(Asides):
    """Knows the columns, and what the graph asks of the inputs; a part of `RecModel`."""

    _columns_config: list[Any]
    _ignored_inputs: list[str]
    _positive_item: Any

    def _set_reads(
        self, feature_columns: Any = (), ignored_inputs: Any = (), positive_item: Any = None
    ) -> None:
        self._columns_config, self._ignored_inputs = list(feature_columns), list(ignored_inputs)
        self._positive_item = positive_item

    def _reads(self) -> dict[str, Any]:
        """What the batches are read by, as a config."""
        values = self._columns_config, self._ignored_inputs, self._positive_item
        return dict(zip(READS, values, strict=True))

    @property
    def feature_columns(self) -> list:
        """The columns that the inputs were made from."""
        return columns_from_config(self._columns_config)

    def _facts(self) -> InputFacts:
        """What the graph asks of its inputs; found once, for a graph stays as it is."""
        found = getattr(self, "_input_facts", None)
        if found is None:
            found = input_facts(self)
            self.keep_aside("_input_facts", found)
        return found

    def _in_step(self) -> list[tuple[str, ...]]:
        """Groups of inputs whose steps go side by side: sequences, ids and their weights."""
        weighted = [
            (column.name, column.weight_name)
            for column in self.feature_columns
            if isinstance(column, VarLenSparseFeat) and column.weight_name is not None
        ]
        return [*self._facts().in_step, *weighted]
