"""FeatureEncoder: raw columns to model inputs, fitted once and saved as JSON."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import pandas as pd

from deeprec_tf.data.encoder_columns import (
    check_names,
    make_behavior_columns,
    make_columns,
    widths_by_table,
)
from deeprec_tf.data.encoder_features import (
    Category,
    CategoryList,
    Feature,
    Number,
    Text,
    check_features,
    vocabulary_name,
)
from deeprec_tf.data.encoder_json import config_of, read_config, state_from_config, write_config
from deeprec_tf.data.encoder_layers import encoder_model
from deeprec_tf.data.encoder_values import fit_numbers, model_inputs, raw_column, raw_values
from deeprec_tf.data.encoder_vocabularies import extended, ids_between, learned
from deeprec_tf.data.number_transforms import NumberState
from deeprec_tf.data.tables import Table, row_count
from deeprec_tf.data.vocabulary import Vocabulary
from deeprec_tf.features import FeatureColumn


class FeatureEncoder:
    """Turns raw columns into model inputs, the same way in training and in serving.

    Ids: 0 is padding, 1 out of vocabulary, then the values by falling frequency. Values not
    seen at fit are never an error.

    Args:
        features: what the columns are: `Category`, `CategoryList`, `Number`, `Text`.

    Attributes:
        features: the features as declared.

    Raises:
        TypeError: an element is no feature.
        ValueError: a name is used twice, or features contradict each other.

    Example:
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"city": ["Rome", "Oslo", "Rome"], "age": [20.0, None, 40.0]})
        >>> encoder = FeatureEncoder([Category("city"), Number("age", transform="standardize")])
        >>> batch = encoder.fit_transform(frame)
        >>> batch["city"].tolist(), batch["age"].tolist()
        ([2, 3, 2], [-1.0, 0.0, 1.0])
        >>> encoder.transform({"city": ["Bonn"], "age": [30]})["city"].tolist()
        [1]
        >>> [column.name for column in encoder.feature_columns(embedding_dim=4)]
        ['city', 'age']
    """

    def __init__(self, features: Iterable[Feature]):
        self.features = check_features(features)
        self._vocabularies: dict[str, Vocabulary] = {}
        self._numbers: dict[str, NumberState] | None = None

    def __repr__(self) -> str:
        state = "fitted" if self.fitted else "not fitted"
        return f"FeatureEncoder({[feature.name for feature in self.features]}, {state})"

    @property
    def fitted(self) -> bool:
        """Whether `fit` was called, or the encoder was loaded."""
        return self._numbers is not None

    def fit(self, table: Table) -> FeatureEncoder:
        """Learn vocabularies and statistics; returns the encoder itself.

        Fit on the training part only: ids and means of later rows are not to be known.

        Args:
            table: DataFrame or dict of columns; further columns are ignored.

        Raises:
            TypeError: a column holds another type than declared.
            ValueError: a column is missing or has nothing to learn from.
        """
        row_count("FeatureEncoder.fit", table)
        vocabularies = learned(self.features, table)
        numbers = fit_numbers(self.features, table)
        self._vocabularies, self._numbers = vocabularies, numbers
        return self

    def extend(self, table: Table, names: Sequence[str] | None = None) -> dict[str, int]:
        """Learn the new values of later rows; what is known stays, so a model trains on.

        New values get the ids behind the last one, by falling frequency. A value needs
        `min_frequency` occurrences over all tables that were given to `fit` and `extend`, so
        give each row once; with a `max_size` there are new values as long as there is room.
        Statistics of numbers and edges of buckets stay as fitted: the model knows those. Columns,
        layers (`as_layer`) and vocabularies that were taken before stay as they were; take them
        anew.

        Args:
            table: DataFrame or dict of columns, the rows that came; further columns are ignored.
            names: features to read, such as those of the items in a table of new items; all
                when left out.

        Returns:
            The features that grew, and by how many values.

        Raises:
            TypeError: a column holds another type than at fit.
            ValueError: the encoder is not fitted, or a column is missing.

        Example:
            >>> encoder = FeatureEncoder([Category("city")]).fit({"city": ["Rome", "Oslo"]})
            >>> encoder.extend({"city": ["Bonn", "Rome"]})
            {'city': 1}
            >>> encoder.decode("city", [2, 3, 4]).tolist()
            ['Oslo', 'Rome', 'Bonn']
        """
        features = self._chosen("extend", names)
        row_count("FeatureEncoder.extend", table)
        before = {name: self.vocabulary(name).size for name in self._names(Category, CategoryList)}
        read = {feature.name for feature in features}
        self._vocabularies = extended(self.features, self._vocabularies, table, read)
        grown = {name: self.vocabulary(name).size - size for name, size in before.items()}
        return {name: count for name, count in grown.items() if count}

    def ids_from(self, older: FeatureEncoder) -> dict[str, np.ndarray]:
        """For each feature with ids that both have: what an id of the older one is here.

        It is what `deeprec_tf.training.warm_start` takes as `ids`, to begin with the tables of a
        model that was trained on another encoder's ids.

        Args:
            older: the encoder of the older model.

        Returns:
            Dict of int64 arrays, entry i the id of what was id i, -1 where there is none.

        Raises:
            TypeError: a feature holds text in one and integers in the other.
            ValueError: an encoder is not fitted.
        """
        self._require_fit("ids_from")
        older._require_fit("ids_from")
        features = [f for f in self.features if getattr(f, "transform", "bucketize") == "bucketize"]
        return ids_between(older._states(older.features), self._states(features))

    def transform(self, table: Table, names: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        """Model inputs of a table.

        Args:
            table: DataFrame or dict of columns.
            names: features to transform, such as those of the items; all when left out.

        Returns:
            Dict by feature: ids int32, (N,) or (N, maxlen) for lists; numbers float32 (N,);
            texts object arrays of str (N,).

        Raises:
            TypeError: a column holds another type than at fit.
            ValueError: the encoder is not fitted, or a column is missing.
        """
        features = self._chosen("transform", names)
        row_count("FeatureEncoder.transform", table)
        states = self._states(features)
        batch: dict[str, np.ndarray] = {}
        for feature in features:
            batch |= model_inputs(feature, states.get(feature.name), table)
        return batch

    def fit_transform(self, table: Table) -> dict[str, np.ndarray]:
        """`fit`, then `transform` of the same table."""
        return self.fit(table).transform(table)

    def vocabulary(self, name: str) -> Vocabulary:
        """The vocabulary of a feature, or the vocabulary of that name.

        Raises:
            ValueError: the encoder is not fitted, or there is no such vocabulary.
        """
        self._require_fit("vocabulary")
        for feature in self.features:
            if feature.name == name and isinstance(feature, Category | CategoryList):
                return self._vocabularies[vocabulary_name(feature)]
        if name not in self._vocabularies:
            raise ValueError(
                f"FeatureEncoder: there is no vocabulary {name!r}, only "
                f"{sorted(self._vocabularies)}."
            )
        return self._vocabularies[name]

    def number_state(self, name: str) -> NumberState:
        """What was learned about a number: fill value, mean, variance, edges.

        Raises:
            ValueError: the encoder is not fitted, or there is no such number.
        """
        self._require_fit("number_state")
        numbers = self._numbers or {}
        if name not in numbers:
            raise ValueError(
                f"FeatureEncoder: there is no Number {name!r}, only {sorted(numbers)}."
            )
        return numbers[name]

    def decode(self, name: str, ids: Any, *, unknown: Any = None) -> np.ndarray:
        """Raw values of a feature's ids, of any shape; see `Vocabulary.decode`."""
        return self.vocabulary(name).decode(ids, unknown=unknown)

    def inverse_transform(self, batch: Mapping[str, Any]) -> pd.DataFrame:
        """Raw columns from model inputs, as far as they can be known.

        Ids without a value become None, lists lose their padding, bucket ids become intervals,
        filled numbers stay as filled. Inputs that are no feature are left out.

        Raises:
            ValueError: the encoder is not fitted, or an id is too large.
        """
        self._require_fit("inverse_transform")
        features = [feature for feature in self.features if feature.name in batch]
        states = self._states(features)
        return pd.DataFrame(
            {f.name: raw_values(f, states.get(f.name), np.asarray(batch[f.name])) for f in features}
        )

    def feature_columns(
        self,
        names: Sequence[str] | None = None,
        *,
        embedding_dim: int | str = 8,
        embedding_dims: Mapping[str, int | str] | None = None,
        combiners: Mapping[str, str] | None = None,
    ) -> list[FeatureColumn]:
        """The model's columns for these features.

        Categories and buckets give a `SparseFeat`, lists a `VarLenSparseFeat`, other numbers a
        `DenseFeat`; texts have no column. Features of one vocabulary share one table.

        Args:
            names: features to take, in this order; all when left out.
            embedding_dim: width of the tables, or "auto".
            embedding_dims: widths by feature or vocabulary where they differ.
            combiners: combiner by list feature; "mean" where none is named.

        Raises:
            ValueError: the encoder is not fitted, or a name is not known.
        """
        features = self._chosen("feature_columns", names)
        check_names("combiners", combiners or {}, self._names(CategoryList))
        widths = widths_by_table(self.features, embedding_dims)
        return make_columns(
            features, self._states(features), widths, embedding_dim, combiners or {}
        )

    def behavior_columns(
        self,
        names: Sequence[str],
        *,
        maxlen: int,
        embedding_dim: int | str = 8,
        embedding_dims: Mapping[str, int | str] | None = None,
        length_name: str | None = "hist_length",
        prefix: str = "hist_",
    ) -> list[FeatureColumn]:
        """Columns of the histories that `build_sequences` makes of these categories.

        Args:
            names: categories, such as the item and its category.
            maxlen: as given to `build_sequences`.
            embedding_dim: as for `feature_columns`.
            embedding_dims: as for `feature_columns`.
            length_name: name of the lengths; None masks by id 0.
            prefix: "hist_", or "neg_hist_" for the negatives of `sample_histories`.

        Returns:
            A `VarLenSparseFeat` for each name; it shares the table of its category.

        Raises:
            ValueError: the encoder is not fitted, or a name is no `Category`.
        """
        check_names("names", names, self._names(Category))
        columns = self.feature_columns(
            names, embedding_dim=embedding_dim, embedding_dims=embedding_dims
        )
        return make_behavior_columns(columns, maxlen, length_name, prefix)

    def raw_inputs(self, table: Table) -> dict[str, np.ndarray]:
        """The table as `as_layer` takes it: texts, int64 keys, float32 numbers.

        Missing: "" for texts, -2^63 for integers, NaN for numbers; lists are padded with it.

        Raises:
            TypeError, ValueError: as for `transform`.
        """
        features = self._chosen("raw_inputs", None)
        row_count("FeatureEncoder.raw_inputs", table)
        states = self._states(features)
        return {f.name: raw_column(f, states.get(f.name), table) for f in features}

    def as_layer(self, names: Sequence[str] | None = None) -> keras.Model:
        """The same mapping as a Keras model of preprocessing layers, for export.

        It takes a dict of raw tensors, named as the columns: int64 or string keys (B,), float32
        numbers (B,), lists (B, T) or texts to split (B,). `raw_inputs` makes them of a table.
        It gives the bits of `transform`. Lookups neither compile under XLA nor export to ONNX:
        put them before the model in a SavedModel, not inside.

        Args:
            names: features to take; all when left out.

        Returns:
            A functional `keras.Model`: dict in, dict out.

        Raises:
            ValueError: the encoder is not fitted, or a name is not known.

        Example:
            >>> encoder = FeatureEncoder([Category("city")]).fit({"city": ["Rome", "Oslo"]})
            >>> ids = encoder.as_layer()({"city": keras.ops.convert_to_tensor(["Rome", "Bonn"])})
            >>> ids["city"].numpy().tolist()
            [3, 1]
        """
        features = self._chosen("as_layer", names)
        return encoder_model(features, self._states(features))

    def get_config(self) -> dict[str, Any]:
        """The fitted encoder as JSON-able values.

        Raises:
            ValueError: the encoder is not fitted.
        """
        self._require_fit("get_config")
        return config_of(self.features, self._vocabularies, self._numbers or {})

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> FeatureEncoder:
        """The inverse of `get_config`.

        Raises:
            ValueError: the values are no encoder, or one of a newer version.
        """
        features, vocabularies, numbers = state_from_config(config)
        encoder = cls(features)
        encoder._vocabularies, encoder._numbers = vocabularies, numbers
        return encoder

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted encoder as a JSON file.

        Raises:
            ValueError: the encoder is not fitted.
        """
        write_config(self.get_config(), path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> FeatureEncoder:
        """Read an encoder that `save` wrote.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: the file is no encoder, or one of a newer version.
        """
        return cls.from_config(read_config(path))

    def _names(self, *kinds: type) -> list[str]:
        return [feature.name for feature in self.features if isinstance(feature, kinds)]

    def _states(self, features: Iterable[Feature]) -> dict[str, Vocabulary | NumberState]:
        """What was learned for each of the features; texts have nothing."""
        return {
            feature.name: self.number_state(feature.name)
            if isinstance(feature, Number)
            else self.vocabulary(feature.name)
            for feature in features
            if not isinstance(feature, Text)
        }

    def _require_fit(self, method: str) -> None:
        if not self.fitted:
            raise ValueError(
                f"FeatureEncoder.{method}: the encoder is not fitted. Call fit(table) with the "
                "training rows first, or FeatureEncoder.load(path)."
            )

    def _chosen(self, method: str, names: Sequence[str] | None) -> list[Feature]:
        self._require_fit(method)
        if names is None:
            return list(self.features)
        by_name = {feature.name: feature for feature in self.features}
        check_names("names", names, by_name)
        return [by_name[name] for name in names]
