"""Feature columns: what a column of the data is. Standard library only.

A column is a plain value. It holds no layer and no weight, so two models built from the
same columns share nothing. Columns that name the same `embedding_name` share one table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

COMBINERS = ("mean", "sum", "max", "none")
_ID_DTYPES = ("int32", "int64", "string")
_DENSE_DTYPES = ("float32", "float64", "int32", "int64")


def _check_name(owner: str, label: str, value: object) -> None:
    if not isinstance(value, str) or not value:
        raise TypeError(f"{owner}: {label} must be a non-empty string, got {value!r}.")
    if "/" in value:
        raise ValueError(f"{owner}: {label} {value!r} holds a '/', which names of layers can't.")


def _check_count(owner: str, label: str, value: object, least: int = 1) -> None:
    # numpy integers carry __index__; bool does too, but is no size.
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{owner}: {label} must be an integer, got {value!r}.")
    if int(value.__index__()) < least:
        raise ValueError(f"{owner}: {label} must be at least {least}, got {value!r}.")


@dataclass(frozen=True, slots=True)
class SparseFeat:
    """A categorical column: one integer id a row, shape (B,), looked up in a table.

    Args:
        name: the input's name.
        vocabulary_size: rows of the table; ids run from 0 to `vocabulary_size - 1`. Row 0 is
            an ordinary row here; in a `VarLenSparseFeat` id 0 is padding.
        embedding_dim: width of the table, or "auto" for 6 * int(vocabulary_size ** 0.25).
        use_hash: raw values are hashed into 1..vocabulary_size-1 and 0 stays 0. Raw values
            are int64, or strings with `dtype="string"`.
        dtype: dtype of the ids: "int32", "int64", or "string" (only with `use_hash`).
        embedding_name: table to use; columns with one name share it. The column's own name
            when left out.
        group_name: label for models that treat groups of fields apart.
        embeddings_initializer: Keras initializer, or its name, of the table.
        pretrained: array (vocabulary_size, embedding_dim), the table's start values. Never
            compared and never part of a saved configuration (the weights are saved).
        trainable: False freezes the table.

    Raises:
        TypeError, ValueError: an argument has a wrong type or range.

    Example:
        >>> SparseFeat("item_id", 1000, embedding_dim=16).embedding_name
        'item_id'
    """

    name: str
    vocabulary_size: int
    _: KW_ONLY
    embedding_dim: int | str = 8
    use_hash: bool = False
    dtype: str = "int32"
    embedding_name: str | None = None
    group_name: str = "default_group"
    embeddings_initializer: Any = None
    pretrained: Any = field(default=None, compare=False, repr=False)
    trainable: bool = True

    def __post_init__(self) -> None:
        owner = f"SparseFeat({self.name!r})"
        _check_name("SparseFeat", "name", self.name)
        _check_count(owner, "vocabulary_size", self.vocabulary_size)
        object.__setattr__(self, "vocabulary_size", int(self.vocabulary_size))
        if self.embedding_dim == "auto":
            object.__setattr__(self, "embedding_dim", 6 * int(self.vocabulary_size**0.25))
        _check_count(owner, "embedding_dim", self.embedding_dim)
        object.__setattr__(self, "embedding_dim", int(self.embedding_dim))
        if self.embedding_name is None:
            object.__setattr__(self, "embedding_name", self.name)
        _check_name(owner, "embedding_name", self.embedding_name)
        _check_name(owner, "group_name", self.group_name)
        if self.dtype not in _ID_DTYPES:
            raise ValueError(f"{owner}: dtype must be one of {_ID_DTYPES}, got {self.dtype!r}.")
        if self.dtype == "string" and not self.use_hash:
            raise ValueError(
                f"{owner}: dtype='string' needs use_hash=True. Set it, or encode the strings to "
                "ids with deeprec_tf.data.FeatureEncoder."
            )
        if self.use_hash and self.vocabulary_size < 2:
            raise ValueError(
                f"{owner}: hashing needs vocabulary_size of at least 2 (0 is kept for padding), "
                f"got {self.vocabulary_size}."
            )
        shape = getattr(self.pretrained, "shape", None)
        if self.pretrained is not None and tuple(shape or ()) != self.table_shape:
            raise ValueError(
                f"{owner}: pretrained must be an array of shape {self.table_shape} "
                f"(vocabulary_size, embedding_dim), got {shape}."
            )

    @property
    def table_shape(self) -> tuple[int, int]:
        """Rows and width of the table."""
        return (self.vocabulary_size, int(self.embedding_dim))

    @property
    def input_dtype(self) -> str:
        """Dtype of the model's Input: hashed columns start at int64 keys."""
        return "int64" if self.use_hash else self.dtype


@dataclass(frozen=True, slots=True)
class DenseFeat:
    """A numeric column: `dimension` floats a row, shape (B,) or (B, dimension).

    Args:
        name: the input's name.
        dimension: width of the vector.
        dtype: dtype of the Input.

    Raises:
        TypeError, ValueError: an argument has a wrong type or range.
    """

    name: str
    dimension: int = 1
    _: KW_ONLY
    dtype: str = "float32"

    def __post_init__(self) -> None:
        _check_name("DenseFeat", "name", self.name)
        owner = f"DenseFeat({self.name!r})"
        _check_count(owner, "dimension", self.dimension)
        object.__setattr__(self, "dimension", int(self.dimension))
        if self.dtype not in _DENSE_DTYPES:
            raise ValueError(f"{owner}: dtype must be one of {_DENSE_DTYPES}, got {self.dtype!r}.")

    @property
    def input_dtype(self) -> str:
        """Dtype of the model's Input."""
        return self.dtype


@dataclass(frozen=True, slots=True)
class VarLenSparseFeat:
    """A sequence of ids, shape (B, T) with T <= maxlen, left-aligned and padded with 0.

    Args:
        sparsefeat: the column of one element; name, table and hashing are read from it.
        maxlen: most elements a row may hold; of longer rows the newest are to be kept.
        combiner: how the sequence is pooled where a model takes it as one field: "mean",
            "sum", "max" or "none" (kept as a sequence). Sequence models ignore it for their
            behaviors.
        length_name: input (B,) with the count of real elements; the mask is then
            position < length. Without it the mask is id != 0.
        weight_name: input (B, T) with a weight for every element; like the combiner, for pooling.
        weight_norm: weights are turned into a softmax over the real elements.
        group: with more than 1 the ids have shape (B, T, group): several negatives a step,
            or sessions.

    Raises:
        TypeError, ValueError: an argument has a wrong type or range.

    Example:
        >>> VarLenSparseFeat(SparseFeat("hist_item_id", 1000, embedding_name="item_id"), 50).name
        'hist_item_id'
    """

    sparsefeat: SparseFeat
    maxlen: int
    _: KW_ONLY
    combiner: str = "mean"
    length_name: str | None = None
    weight_name: str | None = None
    weight_norm: bool = True
    group: int = 1

    def __post_init__(self) -> None:
        if not isinstance(self.sparsefeat, SparseFeat):
            raise TypeError(
                "VarLenSparseFeat: sparsefeat must be a SparseFeat, got "
                f"{type(self.sparsefeat).__name__}."
            )
        owner = f"VarLenSparseFeat({self.name!r})"
        for label in ("maxlen", "group"):
            _check_count(owner, label, getattr(self, label))
            object.__setattr__(self, label, int(getattr(self, label)))
        if self.combiner not in COMBINERS:
            raise ValueError(
                f"{owner}: combiner must be one of {COMBINERS}, got {self.combiner!r}."
            )
        for label, value in (("length_name", self.length_name), ("weight_name", self.weight_name)):
            if value is not None:
                _check_name(owner, label, value)
                if value == self.name:
                    raise ValueError(f"{owner}: {label} is the column's own name.")

    @property
    def name(self) -> str:
        """Name of the input."""
        return self.sparsefeat.name

    @property
    def vocabulary_size(self) -> int:
        """Rows of the table, padding counted."""
        return self.sparsefeat.vocabulary_size

    @property
    def embedding_dim(self) -> int:
        """Width of the table."""
        return int(self.sparsefeat.embedding_dim)

    @property
    def embedding_name(self) -> str:
        """Name of the table."""
        return str(self.sparsefeat.embedding_name)

    @property
    def use_hash(self) -> bool:
        """Whether raw values are hashed."""
        return self.sparsefeat.use_hash

    @property
    def dtype(self) -> str:
        """Dtype of the ids as the user gives them."""
        return self.sparsefeat.dtype

    @property
    def input_dtype(self) -> str:
        """Dtype of the model's Input."""
        return self.sparsefeat.input_dtype

    @property
    def group_name(self) -> str:
        """Group of the field."""
        return self.sparsefeat.group_name


@dataclass(frozen=True, slots=True)
class VarLenDenseFeat:
    """Numbers along a history, shape (B, T) or (B, T, dimension): time stamps, ratings, actions.

    Args:
        name: the input's name.
        maxlen: most elements a row may hold.
        dimension: width of one element.
        dtype: dtype of the Input; "int64" for time stamps in seconds.
        length_name: input (B,) with the count of real elements.

    Raises:
        TypeError, ValueError: an argument has a wrong type or range.
    """

    name: str
    maxlen: int
    dimension: int = 1
    _: KW_ONLY
    dtype: str = "float32"
    length_name: str | None = None

    def __post_init__(self) -> None:
        _check_name("VarLenDenseFeat", "name", self.name)
        owner = f"VarLenDenseFeat({self.name!r})"
        for label in ("maxlen", "dimension"):
            _check_count(owner, label, getattr(self, label))
            object.__setattr__(self, label, int(getattr(self, label)))
        if self.dtype not in _DENSE_DTYPES:
            raise ValueError(f"{owner}: dtype must be one of {_DENSE_DTYPES}, got {self.dtype!r}.")
        if self.length_name is not None:
            _check_name(owner, "length_name", self.length_name)

    @property
    def input_dtype(self) -> str:
        """Dtype of the model's Input."""
        return self.dtype


FeatureColumn = SparseFeat | DenseFeat | VarLenSparseFeat | VarLenDenseFeat
_COLUMN_TYPES = (SparseFeat, DenseFeat, VarLenSparseFeat, VarLenDenseFeat)


@dataclass(frozen=True, slots=True)
class InputSpec:
    """One input of a model: its dtype and the shape of a row (None = open time axis).

    `column` is the column that owns the input; `role` says what it is to that column:
    "ids", "values", "length" or "weight".
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]
    role: str
    column: FeatureColumn


def _specs_of(column: FeatureColumn) -> list[InputSpec]:
    if isinstance(column, SparseFeat):
        return [InputSpec(column.name, column.input_dtype, (), "ids", column)]
    if isinstance(column, DenseFeat):
        return [InputSpec(column.name, column.dtype, (column.dimension,), "values", column)]
    if isinstance(column, VarLenDenseFeat):
        shape: tuple[int | None, ...] = (None,)
        if column.dimension > 1:
            shape = (None, column.dimension)
        specs = [InputSpec(column.name, column.dtype, shape, "values", column)]
    else:
        shape = (None,) if column.group == 1 else (None, column.group)
        specs = [InputSpec(column.name, column.input_dtype, shape, "ids", column)]
        if column.weight_name is not None:
            specs.append(InputSpec(column.weight_name, "float32", (None,), "weight", column))
    if column.length_name is not None:
        specs.append(InputSpec(column.length_name, "int32", (), "length", column))
    return specs


def input_specs(feature_columns: Iterable[FeatureColumn]) -> dict[str, InputSpec]:
    """The inputs that columns ask for, by name, in the order of the columns.

    A length or weight input named by several columns is one input. The same column given
    twice (say, as linear and as deep column) counts once.

    Raises:
        TypeError: an element is no feature column.
        ValueError: a name is used for two different inputs, or two columns that share a table
            disagree on its shape, hashing or trainability.
    """
    specs: dict[str, InputSpec] = {}
    tables: dict[str, SparseFeat] = {}
    for column in feature_columns:
        if not isinstance(column, _COLUMN_TYPES):
            raise TypeError(
                f"feature_columns: expected SparseFeat, DenseFeat, VarLenSparseFeat or "
                f"VarLenDenseFeat, got {type(column).__name__}: {column!r}."
            )
        for spec in _specs_of(column):
            known = specs.setdefault(spec.name, spec)
            shared = spec.role == known.role and spec.role in ("length", "weight")
            if known.column != column and not shared:
                raise ValueError(
                    f"feature_columns: the name {spec.name!r} is used twice for different "
                    f"columns: {known.column!r} and {column!r}. Rename one of them."
                )
        if isinstance(column, SparseFeat | VarLenSparseFeat):
            one = column if isinstance(column, SparseFeat) else column.sparsefeat
            _check_table(tables.setdefault(str(one.embedding_name), one), one)
    return specs


def _check_table(first: SparseFeat, second: SparseFeat) -> None:
    for label in ("vocabulary_size", "embedding_dim", "use_hash", "trainable", "dtype"):
        a, b = getattr(first, label), getattr(second, label)
        if a != b and (label != "dtype" or "string" in (a, b)):
            raise ValueError(
                f"feature_columns: {first.name!r} and {second.name!r} share the table "
                f"{first.embedding_name!r} but differ in {label}: {a} and {b}. Make them equal, "
                "or give one of them another embedding_name."
            )


def get_feature_names(feature_columns: Iterable[FeatureColumn]) -> list[str]:
    """Names of all inputs that the columns ask for, lengths and weights among them.

    Example:
        >>> get_feature_names([SparseFeat("user", 3), DenseFeat("age")])
        ['user', 'age']
    """
    return list(input_specs(feature_columns))


_KINDS = {cls.__name__: cls for cls in _COLUMN_TYPES}
_UNSAVED = ("pretrained", "embeddings_initializer")


def columns_to_config(feature_columns: Iterable[FeatureColumn]) -> list[dict[str, Any]]:
    """Columns as JSON-ready dicts, without arrays and initializers (the tables hold those)."""

    def to_dict(column: Any) -> dict[str, Any]:
        out: dict[str, Any] = {"kind": type(column).__name__}
        for name in column.__dataclass_fields__:
            if name != "_" and name not in _UNSAVED:
                value = getattr(column, name)
                out[name] = to_dict(value) if isinstance(value, SparseFeat) else value
        return out

    return [to_dict(column) for column in feature_columns]


def columns_from_config(config: Iterable[Mapping[str, Any]]) -> list[FeatureColumn]:
    """The inverse of `columns_to_config`."""

    def from_dict(entry: Mapping[str, Any]) -> Any:
        values = {k: from_dict(v) if isinstance(v, Mapping) else v for k, v in entry.items()}
        return _KINDS[values.pop("kind")](**values)

    return [from_dict(entry) for entry in config]
