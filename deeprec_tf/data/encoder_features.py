"""What a raw column is: the features a `FeatureEncoder` is declared with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, asdict, dataclass
from numbers import Integral
from typing import Any

TRANSFORMS = (None, "standardize", "log1p", "bucketize")
DEFAULT_BINS = 10


@dataclass(frozen=True, slots=True)
class Category:
    """One key a row, text or integer: becomes an id, 1 for values not seen at fit.

    Ids: 0 is padding (not used by a single category), 1 stands for out-of-vocabulary values,
    then come the values by falling frequency, equals in ascending order. Missing values (None,
    NaN, an empty text) get id 1, or an id of their own, 2, with `missing="own"`.

    Args:
        name: column of the table, and name of the model's input.
        min_frequency: values that occur less often at fit are out of vocabulary.
        max_size: most values kept; the most frequent stay. No bound when left out.
        missing: "oov" or "own".
        vocabulary: name of the vocabulary; features of one name share ids and embedding table.
            The feature of that name decides what is in it; where no feature bears the name, all
            that share it do together. The feature's own name when left out.

    Raises:
        TypeError, ValueError: an argument has a wrong type or range.
    """

    name: str
    _: KW_ONLY
    min_frequency: int = 1
    max_size: int | None = None
    missing: str = "oov"
    vocabulary: str | None = None

    def __post_init__(self) -> None:
        _check_category(self)
        if self.missing not in ("oov", "own"):
            raise ValueError(
                f"Category({self.name!r}): missing must be 'oov' or 'own', got {self.missing!r}."
            )

    @property
    def missing_id(self) -> int:
        """Id of missing values: 1, or 2 where they have their own."""
        return 2 if self.missing == "own" else 1


@dataclass(frozen=True, slots=True)
class CategoryList:
    """Several keys a row, such as genres: becomes ids of shape (B, maxlen), padded with 0.

    Of longer lists the last `maxlen` stay (the newest, where the list is a history). Missing
    elements (None, NaN, an empty text) are dropped; a missing list is an empty one.

    Args:
        name: column of the table, and name of the model's input.
        maxlen: most elements a row keeps.
        separator: the column holds texts to be split at it, such as "Action|Drama". Without it
            the column holds lists or arrays.
        padding: an integer that stands for "no element" in the raw lists and is dropped, such
            as 0 in arrays that are padded already. Only missing values are when left out.
        min_frequency: as for `Category`.
        max_size: as for `Category`.
        vocabulary: as for `Category`: `vocabulary="movie_id"` for a list of movies.
        length_name: a further output of this name with the number of elements, int32.

    Raises:
        TypeError, ValueError: an argument has a wrong type or range.
    """

    name: str
    maxlen: int
    _: KW_ONLY
    separator: str | None = None
    padding: int | None = None
    min_frequency: int = 1
    max_size: int | None = None
    vocabulary: str | None = None
    length_name: str | None = None

    def __post_init__(self) -> None:
        _check_category(self)
        owner = f"CategoryList({self.name!r})"
        _keep_count(owner, self, "maxlen")
        if self.separator is not None and (
            not isinstance(self.separator, str) or not self.separator
        ):
            raise ValueError(f"{owner}: separator must be a text, got {self.separator!r}.")
        if self.padding is not None:
            if self.separator is not None:
                raise ValueError(f"{owner}: padding is for lists; texts to split have none.")
            if isinstance(self.padding, bool) or not isinstance(self.padding, int):
                raise TypeError(f"{owner}: padding must be an integer, got {self.padding!r}.")


@dataclass(frozen=True, slots=True)
class Number:
    """One number a row: becomes a float32, never NaN, or with "bucketize" an id.

    Values are rounded to float32 first, so that an exported model sees what was fitted. NaN,
    None and infinities are missing.

    Args:
        name: column of the table, and name of the model's input.
        transform: None keeps the number; "standardize" subtracts the mean and divides by the
            standard deviation (a constant column becomes 0); "log1p" is sign(x)·log(1 + |x|), so
            negative numbers mirror positive ones; "bucketize" gives ids: 1 for missing, then
            2, 3, … by the edges, an edge belonging to the bucket above it.
        fill: what missing values become, before the transform: "mean" or "median" of the
            column at fit, or a number. When left out: "mean", and id 1 with "bucketize".
        bins: number of quantile buckets, 10 when left out; equal quantiles fall together.
        edges: ascending inner edges instead of quantiles; n edges make n + 1 buckets.

    Raises:
        TypeError, ValueError: an argument has a wrong type or range, or does not go with the
            transform.
    """

    name: str
    _: KW_ONLY
    transform: str | None = None
    fill: str | float | None = None
    bins: int | None = None
    edges: Sequence[float] | None = None

    def __post_init__(self) -> None:
        _check_name("Number", self.name)
        owner = f"Number({self.name!r})"
        if self.transform not in TRANSFORMS:
            raise ValueError(
                f"{owner}: transform must be one of {TRANSFORMS}, got {self.transform!r}."
            )
        number = isinstance(self.fill, int | float) and not isinstance(self.fill, bool)
        if self.fill not in (None, "mean", "median") and not (
            number and abs(float(self.fill)) < 3.0e38
        ):
            raise ValueError(
                f"{owner}: fill must be 'mean', 'median' or a finite number, got {self.fill!r}."
            )
        if self.transform != "bucketize" and (self.bins is not None or self.edges is not None):
            raise ValueError(
                f"{owner}: bins and edges belong to transform='bucketize', got "
                f"{self.transform!r}. Set it, or drop them."
            )
        if self.bins is not None and self.edges is not None:
            raise ValueError(f"{owner}: give bins or edges, not both.")
        if self.bins is not None:
            _keep_count(owner, self, "bins", least=2)
        if self.edges is not None:
            edges = tuple(float(edge) for edge in self.edges)
            if not edges or any(not a < b for a, b in zip(edges, edges[1:], strict=False)):
                raise ValueError(f"{owner}: edges must ascend strictly, got {self.edges!r}.")
            object.__setattr__(self, "edges", edges)


@dataclass(frozen=True, slots=True)
class Text:
    """A text that is kept as it is, for tokenizers and for reading.

    Args:
        name: column of the table.
        fill: what missing values become.

    Raises:
        TypeError: an argument is no text.
    """

    name: str
    _: KW_ONLY
    fill: str = ""

    def __post_init__(self) -> None:
        _check_name("Text", self.name)
        if not isinstance(self.fill, str):
            raise TypeError(f"Text({self.name!r}): fill must be a text, got {self.fill!r}.")


Feature = Category | CategoryList | Number | Text
_KINDS: dict[str, Any] = {kind.__name__: kind for kind in (Category, CategoryList, Number, Text)}


def vocabulary_name(feature: Category | CategoryList) -> str:
    """Name of the feature's vocabulary."""
    return feature.vocabulary or feature.name


def check_features(features: Iterable[Any]) -> tuple[Feature, ...]:
    """The features as a tuple.

    Raises:
        TypeError: an element is no feature.
        ValueError: there is none, a name is used twice, or features that share a vocabulary
            without an owner disagree on its bounds.
    """
    features = tuple(features)
    if not features:
        raise ValueError("FeatureEncoder: no feature is declared.")
    outputs: list[str] = []
    for feature in features:
        if not isinstance(feature, Feature):
            raise TypeError(
                f"FeatureEncoder: features must be {', '.join(_KINDS)}, got {feature!r}."
            )
        outputs.append(feature.name)
        if isinstance(feature, CategoryList) and feature.length_name is not None:
            outputs.append(feature.length_name)
    twice = sorted({name for name in outputs if outputs.count(name) > 1})
    if twice:
        raise ValueError(f"FeatureEncoder: the names {twice} are used twice.")
    sources = sources_of_vocabularies(features)
    for feature in features:
        has_table = isinstance(feature, Number) and feature.transform == "bucketize"
        if has_table and feature.name in sources:
            raise ValueError(
                f"FeatureEncoder: {feature.name!r} is a Number in buckets, and the vocabulary of "
                f"{[other.name for other in sources[feature.name]]}: they would share one table. "
                "Name the vocabulary otherwise."
            )
    for name, sharing in sources.items():
        if len({(feature.min_frequency, feature.max_size) for feature in sharing}) > 1:
            raise ValueError(
                f"FeatureEncoder: the features {[f.name for f in sharing]} share vocabulary "
                f"{name!r} and disagree on min_frequency or max_size. Declare them alike."
            )
    for feature in features:
        if not isinstance(feature, Category | CategoryList):
            continue
        borrows = feature not in sources[vocabulary_name(feature)]
        if borrows and (feature.min_frequency != 1 or feature.max_size is not None):
            raise ValueError(
                f"FeatureEncoder: {feature.name!r} takes the vocabulary of "
                f"{feature.vocabulary!r}; set min_frequency and max_size there."
            )
    return features


def sources_of_vocabularies(
    features: Iterable[Feature],
) -> dict[str, list[Category | CategoryList]]:
    """For each vocabulary the features it is learned from."""
    sharing: dict[str, list[Category | CategoryList]] = {}
    for feature in features:
        if isinstance(feature, Category | CategoryList):
            sharing.setdefault(vocabulary_name(feature), []).append(feature)
    return {
        name: [f for f in members if f.name == name] or members for name, members in sharing.items()
    }


def feature_to_config(feature: Feature) -> dict[str, Any]:
    """A feature as JSON-able values."""
    values = {name: value for name, value in asdict(feature).items() if name != "_"}
    if values.get("edges") is not None:
        values["edges"] = list(values["edges"])
    return {"kind": type(feature).__name__, **values}


def feature_from_config(config: Mapping[str, Any]) -> Feature:
    """The inverse of `feature_to_config`."""
    values = dict(config)
    return _KINDS[values.pop("kind")](**values)


def _check_name(owner: str, name: object) -> None:
    if not isinstance(name, str) or not name:
        raise TypeError(f"{owner}: name must be a non-empty string, got {name!r}.")


def _keep_count(owner: str, feature: Feature, label: str, least: int = 1) -> None:
    """Checks an attribute that counts, and keeps it as int, which JSON knows."""
    value = getattr(feature, label)
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ValueError(f"{owner}: {label} must be an integer of at least {least}, got {value!r}.")
    object.__setattr__(feature, label, int(value))


def _check_category(feature: Category | CategoryList) -> None:
    kind = type(feature).__name__
    _check_name(kind, feature.name)
    owner = f"{kind}({feature.name!r})"
    _keep_count(owner, feature, "min_frequency")
    if feature.max_size is not None:
        _keep_count(owner, feature, "max_size")
    for label in ("vocabulary", "length_name"):
        value = getattr(feature, label, None)
        if value is not None and (not isinstance(value, str) or not value):
            raise TypeError(f"{owner}: {label} must be a non-empty string, got {value!r}.")
