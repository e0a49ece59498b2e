"""Tables that are made of other tables, kept up to date: what a model of a graph predicts from."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from deeprec_tf.asides import Asides
from deeprec_tf.graph import layers_of, part_before
from deeprec_tf.layers.retrieval.graph_propagation import GraphPropagation
from deeprec_tf.layers.retrieval.propagated_embedding import PropagatedEmbedding


class SettledTables(Asides):
    """Propagates tables before they are looked up, once they have changed; a part of `RecModel`.

    Models without a `GraphPropagation` have no such tables, and nothing is done.
    """

    _whole: Any = None
    _before: Any = None

    def settle(self) -> None:
        """Brings propagated tables up to date.

        `predict`, calls outside of a graph, `save`, `export` and all cuts of the model do so
        first. Only a graph of your own, such as a `tf.function` that calls the model, needs it
        done before.
        """
        whole = self if self._whole is None else self._whole
        for layer in whole._propagations():
            with whole.distribute_strategy.scope():
                layer.settle(*whole._tables_before(layer))

    @property
    def has_settled_tables(self) -> bool:
        """Whether there is anything to settle."""
        return bool((self if self._whole is None else self._whole)._propagations())

    def _propagations(self) -> list[GraphPropagation]:
        return [layer for layer in self.layers if isinstance(layer, GraphPropagation)]

    def _tables_before(self, layer: Any) -> tuple[list[Any], list[Any]]:
        """The two tables that a layer propagates: the layers that keep them, and their values."""
        part = self._before or part_before(layer)
        self.keep_aside("_before", part)
        sides = [layers_of([side], PropagatedEmbedding) for side in part.outputs]
        none = [tf.zeros((1, *tensor.shape[1:]), tensor.dtype) for tensor in part.inputs]
        return sum(sides, []), part(none)

    def _settles_with(self, whole: Any) -> None:
        """Makes this model, a part of another, follow that one's training."""
        whole = whole if whole._whole is None else whole._whole
        self.keep_aside("_whole", whole)
        whole.settle()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The outputs for a batch of tensors."""
        if tf.executing_eagerly() and not kwargs.get("training"):
            self.settle()
        return super().__call__(*args, **kwargs)

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """As `keras.Model.predict`."""
        self.settle()
        return super().predict(*args, **kwargs)

    def predict_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        """As `keras.Model.predict_on_batch`."""
        self.settle()
        return super().predict_on_batch(*args, **kwargs)

    def save(self, *args: Any, **kwargs: Any) -> Any:
        """As `keras.Model.save`."""
        self.settle()
        return super().save(*args, **kwargs)

    def export(self, *args: Any, **kwargs: Any) -> Any:
        """As `keras.Model.export`."""
        self.settle()
        return super().export(*args, **kwargs)
